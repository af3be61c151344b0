import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lorelm.generation.engine.prefix_cache import PrefixCache
from lorelm.model.config import ModelConfig
from lorelm.runtime.base import PastStates, State

CONFIG = ModelConfig(vocabulary_size=9, embedding_size=4, hidden_size=4, num_layers=1)
ENTRY_BYTES = 2 * 4 * 4 + 3 * 4  # h and c, and three ids


def state(number: int) -> State:
    zeros = State.zeros(CONFIG, 1)
    return State([array + number for array in zeros.arrays])


def number_of(found: tuple[int, State] | None) -> float | None:
    return None if found is None else float(found[1].hidden[0][0, 0])


def test_the_longest_prefix_is_found() -> None:
    cache = PrefixCache(10_000)
    for number, ids in enumerate(([1], [1, 2, 3], [1, 2, 3, 4, 5], [7])):
        cache.put(ids, state(number))
    for ids, length, number in (
        ([1, 2, 3, 4], 3, 1),
        ([1, 2, 3, 4, 5], 5, 2),
        ([1, 2, 3, 4, 5, 6], 5, 2),
        ([1, 9], 1, 0),
        ([7, 1], 1, 3),
    ):
        found = cache.longest_prefix(ids)
        assert found is not None
        assert (found[0], number_of(found)) == (length, number)
    assert cache.longest_prefix([2, 3]) is None
    assert cache.longest_prefix([]) is None


@given(
    st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=12), max_size=30),
    st.lists(st.integers(0, 1), max_size=14),
    st.integers(1, 12),
)
def test_the_longest_prefix_is_that_of_a_plain_search(
    known: list[list[int]], ids: list[int], num_kept: int
) -> None:
    """For texts that begin and end alike, some of which were evicted."""
    max_bytes = num_kept * ENTRY_BYTES
    cache = PrefixCache(max_bytes)
    kept: dict[tuple[int, ...], int] = {}
    for number, one in enumerate(known):
        cache.put(one, state(number))
        if 32 + 4 * len(one) > max_bytes:
            continue
        kept.pop(tuple(one), None)
        kept[tuple(one)] = number
        while sum(32 + 4 * len(ids) for ids in kept) > max_bytes:
            del kept[next(iter(kept))]
    beginnings = [one for one in kept if tuple(ids[: len(one)]) == one]
    found = cache.longest_prefix(ids)
    if not beginnings:
        assert found is None
    else:
        longest = max(beginnings, key=len)
        assert found is not None
        assert (found[0], number_of(found)) == (len(longest), kept[longest])


def test_the_least_recently_used_state_is_evicted() -> None:
    cache = PrefixCache(2 * ENTRY_BYTES)
    cache.put([1, 1, 1], state(1))
    cache.put([2, 2, 2], state(2))
    assert number_of(cache.longest_prefix([1, 1, 1])) == 1
    cache.put([3, 3, 3], state(3))
    assert cache.longest_prefix([2, 2, 2]) is None
    assert number_of(cache.longest_prefix([1, 1, 1])) == 1
    assert number_of(cache.longest_prefix([3, 3, 3])) == 3


def test_a_state_is_replaced_and_counted_once() -> None:
    cache = PrefixCache(2 * ENTRY_BYTES)
    for number in range(5):
        cache.put([1, 1, 1], state(number))
    cache.put([2, 2, 2], state(9))
    assert number_of(cache.longest_prefix([1, 1, 1])) == 4
    assert number_of(cache.longest_prefix([2, 2, 2])) == 9


def test_the_neural_cache_counts_towards_the_size() -> None:
    cache = PrefixCache(2 * ENTRY_BYTES)
    past = PastStates(np.zeros((100, 4), np.float32), np.zeros(100, np.int64))
    cache.put([1, 1, 1], state(1)._replace(past=[past]))
    assert cache.longest_prefix([1, 1, 1]) is None


def test_a_cache_of_zero_bytes_is_disabled() -> None:
    cache = PrefixCache(0)
    cache.put([1], state(1))
    assert cache.longest_prefix([1]) is None


@given(
    st.lists(st.lists(st.integers(0, 2), max_size=4), max_size=30),
    st.lists(st.integers(0, 2), max_size=5),
    st.integers(0, 400),
)
def test_what_is_found_is_what_was_put(
    kept: list[list[int]], asked: list[int], max_bytes: int
) -> None:
    cache = PrefixCache(max_bytes)
    for number, ids in enumerate(kept):
        cache.put(ids, state(number))
    found = cache.longest_prefix(asked)
    if found is not None:
        beginning = asked[: found[0]]
        assert number_of(found) == max(n for n, ids in enumerate(kept) if ids == beginning)
    elif max_bytes == 400:
        assert all(asked[: len(ids)] != ids for ids in kept[-6:])
