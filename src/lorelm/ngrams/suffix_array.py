"""Suffix array: an exact index of a text."""

from collections.abc import Callable
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from lorelm.ngrams.matches import LongestRuns, Matches
from lorelm.typing import AnyInts, Bools, Ints

Int32s = npt.NDArray[np.int32]

MAX_ID: Final = np.iinfo(np.int32).max
END_OF_TEXT: Final = -1
NOT_IN_TEXT: Final = -2

# All positions of a run are tried if it occurs no more often than this: with 1, a query of text
# that occurs twice takes twice as long; with 64, every query does.
FEW_POSITIONS: Final = 16
MAX_PAIRS: Final = 2_000_000

# A search begins with a copy of the symbol of each 128th slot: 8 steps in place of 20 for a million
# tokens, at a sixteenth of a byte per token.
SAMPLING: Final = 128


class SuffixArray:
    """The sorted suffixes of a text of symbols (tokens, or fingerprints of some tokens each).

    (Manber and Myers 1993, https://doi.org/10.1137/0222058.)

    Args:
        order: the position of each suffix, from :func:`sorted_suffixes`; an index into it is called
            a slot. It takes 4 bytes per symbol.
        symbols_at: returns the symbols at some positions: numbers from 0 to 2**63 - 2.
    """

    def __init__(self, order: Int32s, symbols_at: Callable[[Ints], Ints]) -> None:
        self.order: Final = order
        self._symbols_at: Final = symbols_at
        self._samples: Final = symbols_at(order[::SAMPLING].astype(np.int64))

    @classmethod
    def build(cls, ids: AnyInts) -> Self:
        """Index a text of fewer than 2**31 tokens, each an id from 0 to 2**31 - 1.

        It takes 8 bytes per token.

        Raises:
            ValueError: an id is out of this range.
        """
        if ids.size and not (ids.min() >= 0 and ids.max() <= MAX_ID):
            raise ValueError(f"the ids of a text are from 0 to {MAX_ID}; these are not")
        text = ids.astype(np.int32)
        return cls(
            sorted_suffixes(*_first_tokens(text)),
            lambda positions: text[positions].astype(np.int64),
        )

    def contains(self, symbols: Ints) -> Bools:
        """Return which of these symbols are in the text."""
        found = np.zeros(symbols.size, dtype=np.bool_)
        if self.order.size:
            # Sorted queries share cache lines: 50,000 of a million take 11 ms, unsorted 15 ms.
            by_value = np.argsort(symbols)
            ordered = symbols[by_value]
            found[by_value] = self._symbols_in(self._first_slots(ordered), 0) == ordered
        return found

    def longest_matches(self, query: AnyInts) -> Matches:
        """Return the longest run of symbols at each index of a query that is in the text; exact.

        A symbol that the text cannot have (below 0, say, for an unknown word) matches nothing.

        For each index, the range of suffixes that begin with its symbols is narrowed by one symbol
        at a time until few are left (`FEW_POSITIONS`). These are tried one by one, at most
        `MAX_PAIRS` at once (a query of a million symbols takes up to 240 MB). Each index inside a
        run that occurs more often costs a step per symbol of the run: a query of 2,000 equal
        symbols, if the text has as many in a row, takes 2 s.
        """
        query = query.astype(np.int64)

        def is_same(places: Ints, positions: Ints) -> Bools:
            same: Bools = query[places] == self._symbols_at(positions)
            return same

        runs = LongestRuns(is_same, num_places=query.size, num_positions=self.order.size)
        symbols = np.append(np.where(query < 0, NOT_IN_TEXT, query), NOT_IN_TEXT)
        firsts, ends = self._first_slots(_bounds(symbols))
        places, depth = np.arange(symbols.size), 1
        stands = firsts < ends
        while stands.any():
            places, firsts, ends = places[stands], firsts[stands], ends[stands]
            is_few = ends - firsts <= FEW_POSITIONS
            self._try_few(runs, places[is_few], firsts[is_few], ends[is_few])
            places, shorter, ends = places[~is_few], firsts[~is_few], ends[~is_few]
            bounds = _bounds(symbols[places + depth])
            firsts, ends = self._first_slots_within(shorter, ends, depth, bounds)
            stands = firsts < ends
            runs.add(places[~stands], self._positions(shorter[~stands]))
            depth += 1
        return runs.matches()

    def _try_few(self, runs: LongestRuns, places: Ints, firsts: Ints, ends: Ints) -> None:
        """Try each index with all positions of its slots, which are few."""
        at_once = MAX_PAIRS // FEW_POSITIONS
        for start in range(0, places.size, at_once):
            part = slice(start, start + at_once)
            slots = firsts[part, None] + np.arange(FEW_POSITIONS)
            rows, columns = np.nonzero(slots < ends[part, None])
            runs.add(places[part][rows], self._positions(slots[rows, columns]))

    def _positions(self, slots: Ints) -> Ints:
        return self.order[slots].astype(np.int64)

    def _first_slots(self, symbols: Ints) -> Ints:
        """Return the first slot whose suffix begins with this symbol or a larger, or the end."""
        ends = np.searchsorted(self._samples, symbols) * SAMPLING
        firsts = np.maximum(ends - SAMPLING, 0)
        return self._first_slots_within(firsts, np.minimum(ends, self.order.size), 0, symbols)

    def _first_slots_within(self, firsts: Ints, ends: Ints, depth: int, symbols: Ints) -> Ints:
        """Return the first slot of each range whose symbol at `depth` is no smaller, or its end."""
        firsts, ends = np.broadcast_to(firsts, symbols.shape), np.broadcast_to(ends, symbols.shape)
        for _ in range(int((ends - firsts).max(initial=0)).bit_length()):
            middles = (firsts + ends) >> 1
            is_below = (self._symbols_in(middles, depth) < symbols) & (middles < ends)
            firsts = np.where(is_below, middles + 1, firsts)
            ends = np.where(is_below, ends, middles)
        return firsts

    def _symbols_in(self, slots: Ints, depth: int) -> Ints:
        """Return the symbols at `depth` of the suffixes in these slots."""
        last = self.order.size - 1
        positions = self._positions(np.minimum(slots, last)) + depth
        symbols = self._symbols_at(np.minimum(positions, last))
        return np.where(positions <= last, symbols, END_OF_TEXT)


def _bounds(symbols: Ints) -> Ints:
    """Return the bounds to search for: the first slot of each symbol and its end.

    Both at once, because NumPy calls dominate a small query: 1.1 ms, one by one 1.5 ms.
    """
    return np.stack((symbols, symbols + 1))


def sorted_suffixes(keys: Ints, num_compared: int) -> Int32s:
    """Return the positions of a text, sorted by the suffixes that begin there.

    A suffix comes after its own prefixes. For a million tokens this takes up to 2 s and 70 MB.

    Args:
        keys: for each position a number from 0 to 2**63 - 1; they are in the order of the first
            `num_compared` symbols of the suffixes, and equal where these are.

    Prefix doubling that skips suffixes already in place (Larsson and Sadakane 2007,
    https://doi.org/10.1016/j.tcs.2007.07.017): suffixes sorted by their first h symbols, each
    ranked by the first slot of those equal to it so far, are sorted by their first 2h symbols
    through the rank of the suffix h symbols further on.
    """
    num_positions = keys.size
    order = np.arange(num_positions, dtype=np.int32)
    ranks = np.zeros(num_positions + 1, dtype=np.int32)  # the last: no symbols come before any
    slots = order.copy()
    while slots.size:
        by_key = np.argsort(keys)
        order[slots] = order[slots[by_key]]
        keys = keys[by_key]
        is_first = np.append(True, keys[1:] != keys[:-1])
        ranks[order[slots]] = np.maximum.accumulate(np.where(is_first, slots, 0)) + 1
        is_alone = is_first & np.append(is_first[1:], True)
        slots = slots[~is_alone]
        starts = order[slots]
        followers = np.minimum(starts.astype(np.int64) + num_compared, num_positions)
        keys = (ranks[starts].astype(np.int64) << 32) | ranks[followers]
        num_compared *= 2
    return order


def _first_tokens(ids: Int32s) -> tuple[Ints, int]:
    """Pack the first tokens of each suffix into 63 bits; return the numbers and the token count."""
    base = int(ids.max(initial=0)) + 2  # 0 stands for what is past the end
    num_tokens = 1
    while base ** (num_tokens + 1) <= 2**63:
        num_tokens += 1
    keys = np.zeros(ids.size, dtype=np.int64)
    for offset in range(num_tokens):
        keys *= base
        present = keys[: max(0, ids.size - offset)]
        present += ids[offset:]
        present += 1
    return keys, num_tokens
