"""An index of a text that does not hold the text: a fingerprint of each three tokens of it."""

import io
from bisect import bisect_left, bisect_right
from functools import partial
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from lorelm.ngrams.matches import Matches
from lorelm.ngrams.suffix_array import SortedSuffixes, sorted_suffixes
from lorelm.typing import Bools, Ints

UInt64s = npt.NDArray[np.uint64]
UInt32s = npt.NDArray[np.uint32]
UInt8s = npt.NDArray[np.uint8]

WINDOW: Final = 3
"""How many tokens a fingerprint is of; no shorter run can be told.

Three, because callers put a key for the document end around each document: a document of a single
token is then told too, by the run "end, token, end".
"""

LOW_BITS: Final = 8
FILTER_BITS: Final = 4
"""Places of the filter for each token of the text."""
MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
NOT_AN_INDEX: Final = "this is no index of fingerprints"
ARRAYS: Final = {
    "num_tokens": (np.dtype(np.int64), 0),
    "high": (np.dtype(np.uint32), 1),
    "low": (np.dtype(np.uint8), 1),
}


class FingerprintIndex:
    """Tells which runs of three or more tokens stand in a text, and where, without the text.

    A token is given as its key: 64 well-mixed bits, the same for equal tokens. For each place of
    the text the index keeps a fingerprint of 40 bits of the three tokens that begin there, and in
    memory the order of what follows each place: 9 bytes a token, and 5 on disk.

    Two runs are taken to be equal where all their fingerprints are. So no run that stands in the
    text is ever missed. A run of three tokens that does not stand there is taken for one that does
    with a chance of about num_tokens / 2**40 (one in a million for a text of a million tokens), and
    a run of n tokens that has no three in a row from the text with a chance of about
    num_tokens / 2**(40 * (n - 2)). A run that goes on from one of the text with a token that does
    not follow there is taken to go on with a chance of k / 2**40, where it stands k times.
    """

    def __init__(self, *, num_tokens: int, high: UInt32s, low: UInt8s) -> None:
        """Takes the high 32 and the low 8 bits of the fingerprint at each place that has one."""
        self.num_tokens: Final = num_tokens
        self._high: Final = high
        self._low: Final = low
        self._fingerprints_at: Final = partial(_joined, high, low)
        order = sorted_suffixes(self._fingerprints_at(np.arange(high.size)), num_compared=1)
        self._suffixes: Final = SortedSuffixes(order, self._fingerprints_at)
        is_there = np.zeros(FILTER_BITS * max(high.size, 1), dtype=np.bool_)
        is_there[self._fingerprints_at(np.arange(high.size)) % is_there.size] = True
        self._filter: Final = np.packbits(is_there, bitorder="little")

    @classmethod
    def build(cls, keys: UInt64s) -> Self:
        """Indexes a text of fewer than 2**31 tokens, given the key of each."""
        fingerprints = _fingerprints_of_windows(keys)
        high = (fingerprints >> LOW_BITS).astype(np.uint32)
        return cls(num_tokens=keys.size, high=high, low=fingerprints.astype(np.uint8))

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Reads what :meth:`to_bytes` wrote.

        Raises:
            ValueError: the content is something else.
        """
        arrays = _read_arrays(content)
        num_tokens = int(arrays["num_tokens"])
        if num_tokens < 0 or arrays["high"].size != max(0, num_tokens - WINDOW + 1):
            raise ValueError(f"{NOT_AN_INDEX}: it does not hold {num_tokens} tokens as it says")
        return cls(num_tokens=num_tokens, high=arrays["high"], low=arrays["low"])

    def to_bytes(self) -> bytes:
        """The index as a NumPy .npz file; not compressed, since hashes do not compress."""
        file = io.BytesIO()
        np.savez(file, num_tokens=np.int64(self.num_tokens), high=self._high, low=self._low)
        return file.getvalue()

    @property
    def nbytes(self) -> int:
        """The bytes that the index holds in memory."""
        arrays = self._high, self._low, self._filter
        return self._suffixes.nbytes + sum(array.nbytes for array in arrays)

    def may_hold_run(self, query_keys: UInt64s, length: int) -> bool:
        """Whether so many tokens in a row of a query may stand in the text; False is sure.

        True is wrong for about one in ten texts of 50 tokens and a length of 6. It takes 10 µs for
        such a text, and :meth:`longest_matches` 200.
        """
        windows = _fingerprints_of_windows(query_keys)
        are_likely = self._are_likely(windows)
        return b"\x01" * (length - WINDOW + 1) in are_likely.tobytes()

    def _are_likely(self, windows: Ints) -> Bools:
        """Which of these fingerprints may stand in the text; False is sure."""
        bits = windows % (FILTER_BITS * max(self._high.size, 1))
        are_likely: Bools = ((self._filter[bits >> 3] >> (bits & 7)) & 1).astype(np.bool_)
        return are_likely

    def longest_matches(self, query_keys: UInt64s) -> Matches:
        """The longest run at each place of a query that stands in the text; 0 for one below three.

        For the memory it takes, and where it is slow: :meth:`SortedSuffixes.longest_matches`.
        """
        in_windows = self._suffixes.longest_matches(_fingerprints_of_windows(query_keys))
        places = np.flatnonzero(in_windows.lengths)
        lengths = np.zeros(query_keys.size, dtype=np.int64)
        lengths[places] = in_windows.lengths[places] + WINDOW - 1
        positions = np.full(query_keys.size, -1)
        positions[places] = in_windows.positions[places]
        return Matches(lengths=lengths, positions=positions)

    def completing(self, context_keys: UInt64s, candidate_keys: UInt64s) -> Bools:
        """Which candidates make, after this context, a run that stands in the text.

        Raises:
            ValueError: the context has fewer than two tokens.
        """
        if context_keys.size < WINDOW - 1:
            raise ValueError(
                f"a context needs {WINDOW - 1} tokens or more; this one has {context_keys.size}"
            )
        if context_keys.size == WINDOW - 1:
            windows = _fingerprints_of_last(context_keys, candidate_keys)
            stands = self._are_likely(windows)  # which leaves a fifth to be looked up
            stands[stands] = self._suffixes.contains(windows[stands])
            return stands
        lasts = self._positions_of_run(context_keys) + context_keys.size - (WINDOW - 1)
        lasts = lasts[lasts < self._high.size]
        if not lasts.size:
            return np.zeros(candidate_keys.size, dtype=np.bool_)
        standing = np.unique(self._fingerprints_at(lasts))
        return np.isin(_fingerprints_of_last(context_keys, candidate_keys), standing)

    def _positions_of_run(self, keys: UInt64s) -> Ints:
        """Where a run of three or more tokens begins in the text, every time it stands there."""
        slots = range(self._high.size)
        for offset, fingerprint in enumerate(_fingerprints_of_windows(keys).tolist()):
            slots = self._narrowed(slots, offset, fingerprint)
            if not slots:
                break
        return self._suffixes.order[slots.start : slots.stop].astype(np.int64)

    def _narrowed(self, slots: range, offset: int, fingerprint: int) -> range:
        """The slots, of these, that have this fingerprint after `offset` equal ones.

        In plain Python: for a single range this takes 9 µs, and in NumPy 190 µs.
        """
        order, high, low = self._suffixes.order.data, self._high.data, self._low.data
        num_windows = len(order)

        def fingerprint_in(position: int) -> int:
            position += offset
            return high[position] << LOW_BITS | low[position] if position < num_windows else -1

        first = bisect_left(order, fingerprint, slots.start, slots.stop, key=fingerprint_in)
        return range(first, bisect_right(order, fingerprint, first, slots.stop, key=fingerprint_in))


def _joined(high: UInt32s, low: UInt8s, positions: Ints) -> Ints:
    return (high[positions].astype(np.int64) << LOW_BITS) | low[positions]


def _fingerprints_of_windows(keys: UInt64s) -> Ints:
    return _fingerprints(keys[:-2], keys[1:-1], keys[2:])


def _fingerprints_of_last(context_keys: UInt64s, candidate_keys: UInt64s) -> Ints:
    """Of the last window of the context and each candidate."""
    return _fingerprints(context_keys[-2:-1], context_keys[-1:], candidate_keys)


def _fingerprints(first: UInt64s, second: UInt64s, third: UInt64s) -> Ints:
    """40 bits for three tokens: a polynomial of their keys, mixed by the finaliser of SplitMix64.

    (Steele, Lea and Flood 2014, https://doi.org/10.1145/2660193.2660195, with the constants that
    Vigna's https://prng.di.unimi.it/splitmix64.c has.) All arithmetic is modulo 2**64.
    """
    mixed = (first * MULTIPLIER + second) * MULTIPLIER + third
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(24)).astype(np.int64)


def _read_arrays(content: bytes) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            # NumPy gives bytes for what is in the zip and is no array.
            arrays = {name: np.asarray(file[name]) for name in ARRAYS}
    except Exception as error:  # zipfile and NumPy raise nearly anything for damaged bytes
        raise ValueError(f"{NOT_AN_INDEX}: {error}") from error
    for name, (dtype, ndim) in ARRAYS.items():
        array = arrays[name]
        if array.dtype != dtype or array.ndim != ndim:
            raise ValueError(f"{NOT_AN_INDEX}: {name} is {array.dtype} with {array.ndim} axes")
    if arrays["high"].size != arrays["low"].size:
        raise ValueError(f"{NOT_AN_INDEX}: its high and low bits are of different lengths")
    return arrays
