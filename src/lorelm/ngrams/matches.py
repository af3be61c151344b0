"""Matches of a query in an indexed text: which runs of tokens are in the text, and where."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from lorelm.typing import Bools, Ints

MIN_COPY_LENGTH: Final = 6
"""The shortest span that counts as a copy; shorter ones are mostly common phrases."""

# Number of symbols compared at once over all runs, so that a few long runs take wide steps. A query
# of 100,000 tokens of the text takes 0.24 s, and one symbol at a time 1.9 s.
SYMBOLS_AT_ONCE: Final = 4096


@dataclass(frozen=True, kw_only=True)
class Matches:
    """The longest run at each index of a query that is in a text.

    Attributes:
        lengths: number of tokens of that run; 0 if it is too short for the index.
        positions: where one such run begins in the text; -1 if the length is 0.
    """

    lengths: Ints
    positions: Ints


@dataclass(frozen=True)
class Span:
    """The `length` tokens of a query from `start` on are in a text from `position` on."""

    start: int
    length: int
    position: int


def covered(lengths: Ints, *, min_length: int) -> Bools:
    """Return which tokens of a query are in a run of at least `min_length` from the text.

    Args:
        lengths: of the longest run at each index, as in :class:`Matches`.
        min_length: at least 1.
    """
    is_covered: Bools = _furthest_ends(lengths, min_length) > np.arange(lengths.size)
    return is_covered


def longest_spans(matches: Matches, *, min_length: int) -> list[Span]:
    """Return the runs of at least `min_length` (1 or more) tokens, ordered by their starts.

    A run inside another one is left out; two may overlap.
    """
    furthest = _furthest_ends(matches.lengths, min_length)
    starts = np.flatnonzero(np.diff(furthest, prepend=0))
    columns = (starts, matches.lengths[starts], matches.positions[starts])
    return [Span(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _furthest_ends(lengths: Ints, min_length: int) -> Ints:
    """Return the furthest end of a run of at least `min_length` from each index or before."""
    assert min_length >= 1
    ends = np.where(lengths >= min_length, np.arange(lengths.size) + lengths, 0)
    return np.maximum.accumulate(ends)


class LongestRuns:
    """Find the longest runs from candidate pairs (index in the query, position in the text).

    It compares symbols: tokens, or fingerprints of some tokens each. A run is measured only at its
    beginning, so a long one is measured once; an index inside it has the rest of the run that
    reaches furthest.

    Args:
        is_same: whether the symbols at these indices of the query and positions in the text are
            equal; called only for those that exist.
        num_places: number of symbols of the query.
        num_positions: number of symbols of the text.
    """

    def __init__(
        self, is_same: Callable[[Ints, Ints], Bools], *, num_places: int, num_positions: int
    ) -> None:
        self._is_same: Final = is_same
        self._num_places: Final = num_places
        self._num_positions: Final = num_positions
        self._ends: Final = np.zeros(num_places, dtype=np.int64)
        self._positions: Final = np.zeros(num_places, dtype=np.int64)

    def add(self, places: Ints, positions: Ints) -> None:
        """Try these pairs. For each index, one call must have a pair that begins a longest run.

        A pair after equal symbols is skipped: the index before it has a run that reaches as far.
        """
        begins_run = ~self._equal(places - 1, positions - 1)
        places, positions = places[begins_run], positions[begins_run]
        ends = places + self._common_lengths(places, positions)
        np.maximum.at(self._ends, places, ends)
        is_longest = ends == self._ends[places]
        self._positions[places[is_longest]] = positions[is_longest]

    def matches(self) -> Matches:
        """Return the longest run at each index, in symbols."""
        places = np.arange(self._num_places)
        furthest = np.maximum.accumulate(self._ends)
        origins = np.maximum.accumulate(np.where(self._ends == furthest, places, 0))
        lengths = np.maximum(furthest - places, 0)
        positions = np.where(lengths > 0, self._positions[origins] + places - origins, -1)
        return Matches(lengths=lengths, positions=positions)

    def _common_lengths(self, places: Ints, positions: Ints) -> Ints:
        """Return the number of equal symbols from each pair on."""
        lengths = np.zeros(places.size, dtype=np.int64)
        growing = np.arange(places.size)
        while growing.size:
            width = max(1, SYMBOLS_AT_ONCE // growing.size)
            offsets = lengths[growing, None] + np.arange(width)
            equal = self._equal(places[growing, None] + offsets, positions[growing, None] + offsets)
            is_whole = equal.all(axis=1)
            lengths[growing] += np.where(is_whole, width, equal.argmin(axis=1))
            growing = growing[is_whole]
        return lengths

    def _equal(self, places: Ints, positions: Ints) -> Bools:
        """Return whether the symbols of these pairs are equal; False beyond an end."""
        exists = (places >= 0) & (places < self._num_places)
        exists &= (positions >= 0) & (positions < self._num_positions)
        return exists & self._is_same(np.where(exists, places, 0), np.where(exists, positions, 0))
