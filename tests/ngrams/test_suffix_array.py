import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.ngrams import matches, suffix_array
from lorelm.ngrams.suffix_array import SuffixArray, sorted_suffixes

# A few ids, so that runs are found over and over.
texts = st.lists(st.integers(0, 2), max_size=40) | st.lists(st.integers(0, 9), max_size=40)
queries = st.lists(st.integers(-2, 3), max_size=20) | st.lists(st.integers(0, 9), max_size=20)


@pytest.fixture(
    scope="module",
    autouse=True,
    params=[None, 1, 3],
    ids=["real-limits", "limits-of-1", "limits-of-3"],
)
def limits(request):
    """The limits by which work is cut into parts: as they are, and small enough to be met."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param:
            patch.setattr(suffix_array, "FEW_POSITIONS", request.param)
            patch.setattr(suffix_array, "MAX_PAIRS", 2 * request.param)
            patch.setattr(suffix_array, "SAMPLING", request.param)
            patch.setattr(matches, "SYMBOLS_AT_ONCE", request.param)
        yield request.param


def longest_matches(text, query):
    return SuffixArray.build(np.array(text, dtype=np.int64)).longest_matches(
        np.array(query, dtype=np.int64)
    )


def lengths_by_brute_force(text, query):
    runs = {
        tuple(text[start:stop])
        for start in range(len(text))
        for stop in range(start, len(text) + 1)
    }
    return [
        max(
            (n for n in range(len(query) - place + 1) if tuple(query[place : place + n]) in runs),
            default=0,
        )
        for place in range(len(query))
    ]


def assert_positions_hold_the_runs(matches, text, query):
    for place, (length, position) in enumerate(
        zip(matches.lengths.tolist(), matches.positions.tolist(), strict=True)
    ):
        if length:
            assert 0 <= position <= len(text) - length
            assert text[position : position + length] == query[place : place + length]
        else:
            assert position == -1


@given(texts)
def test_suffixes_are_in_order(text):
    keys = np.array(text, dtype=np.int64)
    expected = sorted(range(len(text)), key=lambda start: text[start:])
    assert sorted_suffixes(keys, num_compared=1).tolist() == expected


@given(texts, queries)
def test_lengths_are_those_of_brute_force_and_positions_hold_the_runs(text, query):
    found = longest_matches(text, query)
    assert found.lengths.tolist() == lengths_by_brute_force(text, query)
    assert_positions_hold_the_runs(found, text, query)


@given(texts, st.data())
def test_runs_copied_from_the_text_are_found(text, data):
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, len(text)))
    query = data.draw(queries) + text[start:stop] + data.draw(queries)
    found = longest_matches(text, query)
    assert found.lengths.tolist() == lengths_by_brute_force(text, query)
    assert_positions_hold_the_runs(found, text, query)


def test_an_example_by_hand():
    found = longest_matches([5, 1, 2, 3, 1, 2], [1, 2, 3, 2, 1, 2, 5, 7, 1])
    assert found.lengths.tolist() == [3, 2, 1, 1, 2, 1, 1, 0, 1]
    assert found.positions.tolist()[:3] == [1, 2, 3]
    assert found.positions.tolist()[7] == -1
    assert (found.lengths.dtype, found.positions.dtype) == (np.int64, np.int64)


def test_an_empty_text_has_no_run_and_an_empty_query_no_place():
    assert longest_matches([], [1, 2]).lengths.tolist() == [0, 0]
    assert longest_matches([], [1, 2]).positions.tolist() == [-1, -1]
    assert longest_matches([1, 2], []).lengths.tolist() == []
    assert longest_matches([], []).positions.tolist() == []


@pytest.mark.parametrize("query", [[-1, -2], [2**31, 2**40], [-(2**63), 2**63 - 1]])
def test_ids_that_no_text_can_have_are_equal_to_none(query):
    found = longest_matches([0, 2**31 - 1, 1], [2**31 - 1, *query, 1])
    assert found.lengths.tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.uint64])
def test_ids_may_be_any_whole_numbers(dtype):
    text, query = np.array([3, 1, 72, 1], dtype=dtype), np.array([1, 72, 1, 1], dtype=dtype)
    found = SuffixArray.build(text).longest_matches(query)
    assert found.lengths.tolist() == [3, 2, 1, 1]


@pytest.mark.parametrize("ids", [[0, -1], [2**31], np.array([2**64 - 1], dtype=np.uint64)])
def test_ids_out_of_range_are_refused(ids):
    with pytest.raises(ValueError, match="from 0 to 2147483647"):
        SuffixArray.build(np.array(ids))


def test_what_happens_to_the_array_afterwards_does_not_matter():
    ids = np.array([1, 2, 3], dtype=np.int32)
    index = SuffixArray.build(ids)
    ids[:] = 9
    assert index.longest_matches(np.array([2, 3])).lengths.tolist() == [2, 1]


def test_a_text_with_a_long_repeat():
    rng = np.random.default_rng(0)
    part = rng.integers(0, 50, 1500).tolist()
    text = [*part, 60, *part, 61, *part[:700]]
    found = longest_matches(text, text)
    assert found.lengths.tolist() == list(range(len(text), 0, -1))
    copied = [*part[1000:], *part[:100], 60, *part[5:50]]
    found = longest_matches(text, copied)
    assert found.lengths[0] == 500
    assert found.positions[0] in (1000, 2501)
    assert found.lengths[500] == 100
    assert found.lengths[600] == 1
    assert found.lengths[601] == 45
    assert_positions_hold_the_runs(found, text, copied)


def test_one_token_over_and_over():
    found = longest_matches([4] * 60, [4] * 40 + [5] + [4] * 70)
    assert found.lengths.tolist() == [*range(40, 0, -1), 0, *[60] * 11, *range(59, 0, -1)]


def test_it_keeps_fewer_than_ten_bytes_a_token(limits):
    ids = np.random.default_rng(0).integers(0, 9000, 100_000)
    tracemalloc.start()
    index = SuffixArray.build(ids)
    num_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert index.order.size == 100_000
    if limits is None:
        assert num_bytes < 10 * 100_000
