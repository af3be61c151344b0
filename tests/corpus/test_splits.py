import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.errors import raises_code

from lorelm.corpus.splits import TEST, TRAIN, VALID, ShuffledSplit
from lorelm.errors import CorpusError

seeds = st.integers(0, 2**32)
keys_lists = st.lists(st.integers(0, 30), min_size=3).filter(lambda keys: len(set(keys)) >= 3)


def split(keys, seed):
    """The places of the documents of each part."""
    parts = [*map(ShuffledSplit(keys, seed=seed).part_of, keys)]
    wanted = (TRAIN, VALID, TEST)
    return [[i for i, part in enumerate(parts) if part == each] for each in wanted]


@given(keys_lists, seeds)
def test_every_document_has_a_part_and_no_part_is_empty(keys, seed):
    parts = split(keys, seed)
    assert sorted([*parts[0], *parts[1], *parts[2]]) == list(range(len(keys)))
    assert all(parts)


@given(keys_lists, seeds)
def test_one_seed_always_gives_one_split(keys, seed):
    assert split(keys, seed) == split(list(keys), seed)


@given(seeds, seeds)
def test_another_seed_gives_another_split(seed, other):
    keys = range(1000)
    assert (split(keys, seed) == split(keys, other)) == (seed == other)


@pytest.mark.parametrize("num_documents", [10, 11, 99, 1000, 2390])
def test_distinct_documents_are_split_eighty_ten_ten(num_documents):
    sizes = [*map(len, split(range(num_documents), 0))]
    for size, share in zip(sizes, (0.8, 0.1, 0.1), strict=True):
        assert abs(size - share * num_documents) <= 1


@given(st.lists(st.integers(1, 5), min_size=60, max_size=200), seeds)
def test_repeated_documents_move_the_shares_by_no_more_than_their_number(repeats, seed):
    keys = [key for key, repeat in enumerate(repeats) for _ in range(repeat)]
    train, valid, test = split(keys, seed)
    assert abs(len(train) - 0.8 * len(keys)) <= 5
    assert abs(len(valid) - 0.1 * len(keys)) <= 10
    assert abs(len(test) - 0.1 * len(keys)) <= 5


@pytest.mark.parametrize("keys", [[], ["a"], ["a", "a", "a", "a"], ["a", "b", "a", "b"]])
def test_fewer_than_three_different_documents_are_refused(keys):
    with raises_code(CorpusError, "corpus.too_few_documents"):
        ShuffledSplit(keys, seed=0)
