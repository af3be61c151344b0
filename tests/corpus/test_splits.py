import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.corpus.splits import split_documents
from lorelm.errors import CorpusError

seeds = st.integers(0, 2**32)
keys_lists = st.lists(st.integers(0, 30), min_size=3).filter(lambda keys: len(set(keys)) >= 3)


@given(keys_lists, seeds)
def test_parts_hold_every_place_once_and_none_is_empty(keys, seed):
    split = split_documents(keys, seed=seed)
    assert sorted([*split.train, *split.valid, *split.test]) == list(range(len(keys)))
    assert split.train
    assert split.valid
    assert split.test


@given(keys_lists, seeds)
def test_identical_documents_stay_in_one_part(keys, seed):
    split = split_documents(keys, seed=seed)
    train, valid, test = (
        {keys[place] for place in part} for part in (split.train, split.valid, split.test)
    )
    assert not train & valid
    assert not train & test
    assert not valid & test


@given(keys_lists, seeds)
def test_parts_keep_the_order_of_the_corpus(keys, seed):
    split = split_documents(keys, seed=seed)
    for part in (split.train, split.valid, split.test):
        assert list(part) == sorted(part)


@given(keys_lists, seeds)
def test_one_seed_always_gives_one_split(keys, seed):
    assert split_documents(keys, seed=seed) == split_documents(list(keys), seed=seed)


@given(seeds, seeds)
def test_another_seed_gives_another_split(seed, other):
    keys = range(1000)
    assert (split_documents(keys, seed=seed) == split_documents(keys, seed=other)) == (
        seed == other
    )


@pytest.mark.parametrize("num_documents", [10, 11, 99, 1000, 2390])
def test_distinct_documents_are_split_eighty_ten_ten(num_documents):
    split = split_documents(range(num_documents), seed=0)
    sizes = [len(split.train), len(split.valid), len(split.test)]
    for size, share in zip(sizes, (0.8, 0.1, 0.1), strict=True):
        assert abs(size - share * num_documents) <= 1


@given(st.lists(st.integers(1, 5), min_size=60, max_size=200), seeds)
def test_repeated_documents_move_the_shares_by_no_more_than_their_number(repeats, seed):
    keys = [key for key, repeat in enumerate(repeats) for _ in range(repeat)]
    split = split_documents(keys, seed=seed)
    assert abs(len(split.train) - 0.8 * len(keys)) <= 5
    assert abs(len(split.valid) - 0.1 * len(keys)) <= 10
    assert abs(len(split.test) - 0.1 * len(keys)) <= 5


@pytest.mark.parametrize("keys", [[], ["a"], ["a", "a", "a", "a"], ["a", "b", "a", "b"]])
def test_fewer_than_three_different_documents_are_refused(keys):
    with pytest.raises(CorpusError, match=f"has {len(set(keys))} different document"):
        split_documents(keys, seed=0)
