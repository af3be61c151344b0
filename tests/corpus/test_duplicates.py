from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from lorelm.corpus.duplicates import count_exact_duplicates, count_near_duplicates

DOCUMENTS = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=9), max_size=12)


def test_exact_duplicates_are_counted_beyond_the_first() -> None:
    assert count_exact_duplicates([["a"], ["b"], ["a"], ["a", "b"], ["a"]]) == 2


def test_near_duplicates_worked_by_hand() -> None:
    lines = [
        "we must go to the old bridge",  # 7 words
        "we must go to the old bridge now",  # 7 of 8 shared: near
        "bridge old the to go must we",  # the same words: near
        "we must go to the red river",  # 5 of 9 shared: not
        "we must go",  # too short to be looked at
        "we must go now",
    ]
    documents = [line.split() for line in lines]
    assert count_near_duplicates(documents) == 2  # the two sets of words that differ


@given(documents=DOCUMENTS)
def test_near_duplicates_agree_with_comparing_all_pairs(documents: list[list[str]]) -> None:
    sets = [words for words in {frozenset(tokens) for tokens in documents} if len(words) >= 5]
    near = {
        side
        for one, other in combinations(sets, 2)
        if len(one & other) / len(one | other) >= 0.8
        for side in (one, other)
    }
    assert count_near_duplicates(documents) == len(near)
