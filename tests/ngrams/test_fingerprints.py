import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.ngrams.fingerprints import WINDOW, FingerprintIndex
from lorelm.ngrams.suffix_array import SuffixArray

KEYS = np.random.default_rng(0).integers(0, 2**64, 10_000, dtype=np.uint64)
KEYS[1] = 0  # a key that a caller may choose for the document end
KEYS[2] = 2**64 - 1

ids = st.lists(st.integers(0, 2), max_size=40) | st.lists(st.integers(0, 9), max_size=40)


def keys_of(tokens):
    return KEYS[np.array(tokens, dtype=np.int64)]


def index_of(tokens):
    return FingerprintIndex.build(keys_of(tokens))


def assert_agrees_with_the_suffix_array(index, text, query):
    found = index.longest_matches(keys_of(query))
    exact = SuffixArray.build(np.array(text, dtype=np.int64)).longest_matches(
        np.array(query, dtype=np.int64)
    )
    expected = np.where(exact.lengths >= WINDOW, exact.lengths, 0)
    assert found.lengths.tolist() == expected.tolist()
    for place, (length, position) in enumerate(
        zip(found.lengths.tolist(), found.positions.tolist(), strict=True)
    ):
        if length:
            assert text[position : position + length] == query[place : place + length]
        else:
            assert position == -1


@given(ids, ids)
def test_runs_of_three_or_more_are_those_of_the_suffix_array(text, query):
    assert_agrees_with_the_suffix_array(index_of(text), text, query)


@given(ids, ids, st.data())
def test_runs_copied_from_the_text_are_found(text, query, data):
    start = data.draw(st.integers(0, len(text)))
    copied = text[start : data.draw(st.integers(start, len(text)))]
    assert_agrees_with_the_suffix_array(index_of(text), text, query + copied + query)


def test_a_text_with_a_long_repeat():
    part = np.random.default_rng(0).integers(0, 50, 1500).tolist()
    text = [*part, 60, *part, 61, *part[:700]]
    index = index_of(text)
    for query in (text, [*part[1000:], *part[:100], 60, *part[5:50]], [7] * 50):
        assert_agrees_with_the_suffix_array(index, text, query)


def test_a_long_text_finds_its_own_words_and_no_others():
    # 32 bits in place of 40 would take about nine of these runs for runs of the text.
    rng = np.random.default_rng(0)
    text = rng.integers(0, 2**64, 200_000, dtype=np.uint64)
    others = rng.integers(0, 2**64, 200_000, dtype=np.uint64)
    index = FingerprintIndex.build(text)
    assert not index.longest_matches(others).lengths.any()
    own = index.longest_matches(text[1000:1100])
    assert own.lengths.tolist() == [*range(100, 2, -1), 0, 0]
    assert own.positions.tolist() == [*range(1000, 1098), -1, -1]
    assert (own.lengths.dtype, own.positions.dtype) == (np.int64, np.int64)


@given(
    st.lists(st.integers(0, 1), max_size=40) | st.lists(st.integers(0, 9), max_size=40),
    st.integers(3, 12),
    st.data(),
)
def test_candidates_that_complete_a_run_are_those_of_brute_force(text, n, data):
    runs = {tuple(text[start : start + n]) for start in range(len(text) - n + 1)}
    contexts = st.lists(st.integers(0, 9), min_size=n - 1, max_size=n - 1)
    if runs:
        contexts |= st.sampled_from(sorted(run[:-1] for run in runs))
        contexts |= st.just(text[len(text) - n + 1 :])
    context = data.draw(contexts)
    candidates = data.draw(st.lists(st.integers(0, 12), max_size=15))
    found = index_of(text).completing(keys_of(context), keys_of(candidates))
    assert found.dtype == np.bool_
    assert found.tolist() == [(*context, candidate) in runs for candidate in candidates]


def test_many_candidates_and_a_frequent_context():
    rng = np.random.default_rng(0)
    text = np.where(rng.random(20_000) < 0.5, rng.integers(10, 3000, 20_000), 5).tolist()
    index = index_of(text)
    candidates = list(range(3000))
    for context in ([5, 5], [5, 5, 5], [5, 5, 5, 5]):
        n = len(context)
        following = {
            text[start + n] for start in range(len(text) - n) if text[start : start + n] == context
        }
        found = index.completing(keys_of(context), keys_of(candidates))
        assert np.flatnonzero(found).tolist() == sorted(following)


@pytest.mark.parametrize("context", [[], [4]])
def test_a_context_shorter_than_two_tokens_is_refused(context):
    with pytest.raises(ValueError, match=f"2 tokens or more; this one has {len(context)}"):
        index_of([1, 2, 3]).completing(keys_of(context), keys_of([1]))


@pytest.mark.parametrize("num_tokens", [0, 1, 2])
def test_a_text_shorter_than_three_tokens_has_no_run(num_tokens):
    text = list(range(num_tokens))
    index = FingerprintIndex.from_bytes(index_of(text).to_bytes())
    assert index.num_tokens == num_tokens
    assert index.longest_matches(keys_of([0, 1, 2, 3])).lengths.tolist() == [0] * 4
    assert index.longest_matches(keys_of([])).lengths.tolist() == []
    for context in ([0, 1], [0, 1, 2]):
        assert index.completing(keys_of(context), keys_of([2, 3])).tolist() == [False] * 2


@given(ids, ids)
def test_an_index_comes_back_from_its_bytes(text, query):
    content = index_of(text).to_bytes()
    index = FingerprintIndex.from_bytes(content)
    assert index.num_tokens == len(text)
    assert_agrees_with_the_suffix_array(index, text, query)
    for context in (query[:2], query[:4]):
        if len(context) >= 2:
            assert np.array_equal(
                index.completing(keys_of(context), KEYS[:10]),
                index_of(text).completing(keys_of(context), KEYS[:10]),
            )
    assert index.to_bytes() == content


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zip_of_text():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("num_tokens", "high", "low"):
            archive.writestr(f"{name}.npy", "the ring")
    return file.getvalue()


def arrays(**changes):
    """The arrays of an index of five tokens, some of them others."""
    whole = {
        "num_tokens": np.int64(5),
        "high": np.arange(3, dtype=np.uint32),
        "low": np.zeros(3, dtype=np.uint8),
    }
    return npz(**{name: value for name, value in (whole | changes).items() if value is not None})


def test_arrays_as_they_should_be_are_read():
    assert FingerprintIndex.from_bytes(arrays()).num_tokens == 5


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"the ring",
        zip_of_text(),
        npy(np.arange(3)),
        arrays(num_tokens=None),
        arrays(high=None),
        arrays(low=None),
        arrays(num_tokens=np.int64(6)),
        arrays(num_tokens=np.int64(-1)),
        arrays(num_tokens=np.int64(-1), high=np.zeros(0, "u4"), low=np.zeros(0, "u1")),
        arrays(num_tokens=np.array([5])),
        arrays(num_tokens=np.float64(5)),
        arrays(high=np.arange(4, dtype=np.uint32)),
        arrays(low=np.arange(2, dtype=np.uint8)),
        arrays(high=np.arange(3)),
        arrays(low=np.zeros(3, dtype=bool)),
        arrays(high=np.zeros((3, 1), dtype=np.uint32), low=np.zeros((3, 1), dtype=np.uint8)),
        arrays(high=np.array([{}, {}, {}], dtype=object)),
    ],
)
def test_what_is_no_index_is_refused(content):
    with pytest.raises(ValueError, match=r"^this is no index of fingerprints: ."):
        FingerprintIndex.from_bytes(content)


@given(st.data())
def test_damaged_bytes_are_refused_or_change_nothing(data):
    content = index_of(range(20)).to_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[place] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(changed), content[:place]):
        try:
            index = FingerprintIndex.from_bytes(damaged)
        except ValueError:
            continue
        assert damaged != content[:place]
        assert index.to_bytes() == content


def test_it_keeps_fewer_than_ten_bytes_a_token():
    text = np.random.default_rng(0).integers(0, 9000, 100_000)
    keys = KEYS[text]
    tracemalloc.start()
    index = FingerprintIndex.build(keys)
    num_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert index.num_tokens == 100_000
    assert num_bytes < 10 * 100_000
    assert len(index.to_bytes()) < 5.1 * 100_000


@given(ids, ids, st.integers(WINDOW, 8), st.data())
def test_the_filter_misses_no_run_of_the_text(text, query, length, data):
    start = data.draw(st.integers(0, max(0, len(text) - length)))
    index = index_of(text)
    if len(text) >= length:
        query = query + text[start : start + length] + query
        assert index.may_hold_run(keys_of(query), length)
    if not index.may_hold_run(keys_of(query), length):
        assert (index.longest_matches(keys_of(query)).lengths < length).all()


def test_the_filter_excludes_most_texts_without_a_run():
    random = np.random.default_rng(0)
    index = index_of(random.integers(0, 5000, 20_000).tolist())
    maybe = [index.may_hold_run(keys_of(random.integers(5000, 10_000, 50)), 6) for _ in range(300)]
    assert sum(maybe) < 0.3 * 300
    assert not index.may_hold_run(keys_of([]), 6)
    assert not index_of([]).may_hold_run(keys_of([1, 2, 3]), 3)
