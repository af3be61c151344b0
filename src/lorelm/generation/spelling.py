"""Words that differ by a typing mistake: :class:`Spellings`."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from lorelm.typing import AnyInts

_NUM_CLASSES: Final = 32
"""Classes of letters that are counted: letters whose codes differ by a multiple share one."""


class Spellings:
    """Words in an order, to be searched for those nearest to another one.

    The distance is the optimal string alignment: the number of letters that are inserted, deleted,
    replaced or swapped with their neighbour, no letter twice. One such edit changes the counts of
    letters by two in all at most. This rules out most words, all at once: of 24,000, one to twenty
    are usually left to be compared.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words: Final = words
        self._lengths_V: Final = np.array([len(word) for word in words], dtype=np.int64)
        self._counts_VC: Final = _counts(words)

    def nearest(self, word: str, *, limit: int, max_distance: int) -> list[str]:
        """Return the nearest words, the nearest first; equally near ones in their own order."""
        found = [
            (distance, place)
            for place in self._candidates(word, max_distance)
            if (distance := _distance(word, self._words[place], max_distance)) <= max_distance
        ]
        return [self._words[place] for _, place in sorted(found)[:limit]]

    def _candidates(self, word: str, max_distance: int) -> list[int]:
        places_N = np.flatnonzero(np.abs(self._lengths_V - len(word)) <= max_distance)
        differences_NC = np.abs(self._counts_VC[places_N] - _counts([word]))
        is_near_N = differences_NC.sum(axis=1) <= 2 * max_distance
        found: list[int] = places_N[is_near_N].tolist()
        return found


def _counts(words: Sequence[str]) -> AnyInts:
    """Return the number of letters of each class in each word, of shape (words, classes)."""
    codes = np.frombuffer("".join(words).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    places = np.repeat(np.arange(len(words)), [len(word) for word in words])
    counts = np.bincount(
        places * _NUM_CLASSES + codes % _NUM_CLASSES, minlength=len(words) * _NUM_CLASSES
    )
    return counts.reshape(-1, _NUM_CLASSES).astype(np.int16)


def _distance(one: str, other: str, most: int) -> int:
    """Return the optimal string alignment distance of two words; `most` + 1 if it is more."""
    before_last: list[int] = []
    last: list[int] = [*range(len(other) + 1)]
    for i, letter in enumerate(one):
        row = [i + 1]
        for j, other_letter in enumerate(other):
            cost = min(last[j] + (letter != other_letter), last[j + 1] + 1, row[j] + 1)
            if i and j and letter == other[j - 1] and one[i - 1] == other_letter:
                cost = min(cost, before_last[j - 1] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before_last, last = last, row
    return min(last[-1], most + 1)
