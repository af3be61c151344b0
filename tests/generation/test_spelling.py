from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from lorelm.generation.spelling import Spellings

WORDS = st.text(st.sampled_from("abcé\U00010400"), max_size=6)


def edits(one: str, other: str) -> int:
    """Optimal string alignment distance, by its definition on the ends of both words."""

    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        costs = [
            distance(i - 1, j) + 1,
            distance(i, j - 1) + 1,
            distance(i - 1, j - 1) + (one[i - 1] != other[j - 1]),
        ]
        if i > 1 and j > 1 and one[i - 2 : i] == other[j - 2 : j][::-1]:
            costs.append(distance(i - 2, j - 2) + 1)
        return min(costs)

    return distance(len(one), len(other))


@given(words=st.lists(WORDS, unique=True, max_size=8), word=WORDS, max_distance=st.integers(0, 2))
def test_it_finds_what_comparing_with_every_word_finds(
    words: list[str], word: str, max_distance: int
) -> None:
    near = [each for each in words if edits(word, each) <= max_distance]
    near.sort(key=lambda each: edits(word, each))  # stable: equally near ones keep their order
    assert Spellings(words).nearest(word, limit=3, max_distance=max_distance) == near[:3]
