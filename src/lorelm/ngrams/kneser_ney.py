"""Interpolated modified Kneser-Ney: an n-gram model, the baseline of the network.

The smoothing of Chen & Goodman 1998 (An Empirical Study of Smoothing Techniques for Language
Modeling, https://dash.harvard.edu/handle/1/25104739). With c the count of an n-gram, c(h) the sum
of it over all words after the context h, and h' the context h without its first word::

    p(w | h) = (c(hw) - D(c(hw))) / c(h) + b(h) p(w | h')
    b(h)     = (D1 N1(h) + D2 N2(h) + D3 N3+(h)) / c(h)

N1(h) is the number of words seen once after h, and so on. Below order 1 all words are equally
likely. For an unseen context the probability of the shorter context is used. At the highest order
c is the number of occurrences of an n-gram; at lower orders, of different words before it.
Each order has its own discounts, from its own counts of counts.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from lorelm.ngrams.npz import load_arrays
from lorelm.typing import Floats, Ints

MAX_ORDER: Final = 5

# If the counts of counts allow no estimate: half of the count of an n-gram seen 1, 2 or 3 times.
_FALLBACK_DISCOUNTS: Final = (0.5, 1.0, 1.5)


@dataclass(frozen=True, kw_only=True)
class _Level:
    """The distinct n-grams of one length n; the index of one is its id.

    Attributes:
        keys: id of the first n-1 words, times the size of the vocabulary, plus the last word.
            Ascending, so the n-grams of one context are adjacent.
        counts: c of each n-gram.
        discounted: (c - D(c)) / c(h) of each n-gram.
        backoff: b(h) of each context h, an (n-1)-gram; 1 if nothing follows it.
    """

    keys: Ints
    counts: Ints
    discounted: Floats
    backoff: Floats


class KneserNey:
    """An n-gram model.

    Args:
        keys: of each length from 1 up, as :class:`_Level` has them.
        counts: the same for c.

    Attributes:
        order: the length of the longest n-grams.
        vocabulary_size: number of ids.
    """

    def __init__(
        self, keys: Sequence[Ints], counts: Sequence[Ints], *, vocabulary_size: int
    ) -> None:
        self.order: Final = len(keys)
        self.vocabulary_size: Final = vocabulary_size
        num_contexts = [1, *map(len, keys)]
        self._levels: Final = [
            _level(*level, vocabulary_size=vocabulary_size)
            for level in zip(keys, counts, num_contexts, strict=False)
        ]

    @classmethod
    def fit(cls, stream: Ints, *, order: int, vocabulary_size: int) -> Self:
        """Fit the model of one order; see :meth:`fit_orders`."""
        return cls.fit_orders(stream, max_order=order, vocabulary_size=vocabulary_size)[-1]

    @classmethod
    def fit_orders(cls, stream: Ints, *, max_order: int, vocabulary_size: int) -> list[Self]:
        """Count the n-grams of a stream of ids once; return the models of order 1 to `max_order`.

        Contexts continue across the whole stream. A stream of fewer than n ids has no n-gram, and
        the model of that order is the one below.
        """
        keys, occurrences, continuations = _count(stream, max_order, vocabulary_size)
        return [
            cls(
                keys[:order],
                [*continuations[: order - 1], occurrences[order - 1]],
                vocabulary_size=vocabulary_size,
            )
            for order in range(1, max_order + 1)
        ]

    def probabilities(self, stream: Ints) -> Floats:
        """Return the probability of each id but the first, given the `order` - 1 ids before it.

        The array is one shorter than the stream: the first id is only a context.
        """
        ids = self._ngram_ids(stream)
        probabilities = np.full(max(len(stream) - 1, 0), 1 / self.vocabulary_size)
        contexts = np.zeros(len(stream), np.int64)
        for level, ngrams in zip(self._levels, ids, strict=True):
            known = contexts[:-1] >= 0
            discounted = np.where(ngrams[1:] >= 0, _take(level.discounted, ngrams[1:]), 0.0)
            backoff = np.where(known, _take(level.backoff, contexts[:-1]), 1.0)
            probabilities = discounted + backoff * probabilities
            contexts = ngrams
        return probabilities

    def distribution(self, context: Ints) -> Floats:
        """Return the probability `[V]` of every id after a context."""
        context = context[max(0, len(context) - self.order + 1) :]
        probabilities_V = np.full(self.vocabulary_size, 1 / self.vocabulary_size)
        contexts = [0, *(int(ids[-1]) for ids in self._ngram_ids(context) if len(context))]
        for n, level in enumerate(self._levels[: len(context) + 1]):
            if contexts[n] < 0:
                break
            probabilities_V *= level.backoff[contexts[n]]
            first_key = contexts[n] * self.vocabulary_size
            begin, end = np.searchsorted(level.keys, [first_key, first_key + self.vocabulary_size])
            probabilities_V[level.keys[begin:end] - first_key] += level.discounted[begin:end]
        return probabilities_V

    def to_bytes(self) -> bytes:
        """Return the counts as a compressed ``.npz``; about three bytes per n-gram."""
        arrays: dict[str, npt.NDArray[np.integer]] = {
            "vocabulary_size": np.array([self.vocabulary_size])
        }
        num_contexts = 1
        for n, level in enumerate(self._levels, start=1):
            contexts, words = np.divmod(level.keys, self.vocabulary_size)
            words_per_context = np.bincount(contexts, minlength=num_contexts)
            arrays[f"words_{n}"] = _narrow(words)
            arrays[f"words_per_context_{n}"] = _narrow(words_per_context)
            arrays[f"counts_{n}"] = _narrow(level.counts)
            num_contexts = len(level.keys)
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what :meth:`to_bytes` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            return cls._from_arrays(load_arrays(content))
        except Exception as error:  # the arrays may be of any shape
            raise ValueError(f"this is no n-gram model: {error}") from error

    @classmethod
    def _from_arrays(cls, arrays: dict[str, npt.NDArray[np.int64]]) -> Self:
        if any(array.dtype.kind not in "iu" or array.ndim != 1 for array in arrays.values()):
            raise ValueError("an array is no list of whole numbers")
        vocabulary_size = int(arrays["vocabulary_size"][0])
        keys: list[Ints] = []
        counts: list[Ints] = []
        num_contexts = 1
        for n in range(1, len(arrays) // 3 + 1):
            words, words_per_context, count = (
                arrays[f"{name}_{n}"].astype(np.int64)
                for name in ("words", "words_per_context", "counts")
            )
            if len(words_per_context) != num_contexts or len(words) != len(count):
                raise ValueError(f"the arrays of length {n} do not fit")
            if (words < 0).any() or (words >= vocabulary_size).any():
                raise ValueError(f"an id of length {n} is not in the vocabulary")
            if (count < 0).any():
                raise ValueError(f"a count of length {n} is below zero")
            contexts = np.repeat(np.arange(num_contexts), words_per_context)
            keys.append(contexts * vocabulary_size + words)
            if (np.diff(keys[-1]) <= 0).any():
                raise ValueError(f"the n-grams of length {n} are not in order")
            counts.append(count)
            num_contexts = len(words)
        return cls(keys, counts, vocabulary_size=vocabulary_size)

    def _ngram_ids(self, stream: Ints) -> list[Ints]:
        """Return, for each length n, the id of the n-gram that ends at each index; -1 if unseen."""
        ids = []
        prefixes = np.zeros(len(stream), np.int64)
        for level in self._levels:
            ngrams = _find(level.keys, prefixes * self.vocabulary_size + stream)
            ngrams[prefixes < 0] = -1
            ids.append(ngrams)
            prefixes = np.concatenate(([-1], ngrams[:-1])) if len(ngrams) else ngrams
        return ids


def _count(stream: Ints, max_order: int, vocabulary_size: int) -> tuple[list[Ints], ...]:
    """Return, for each length, the keys, their occurrences, and the different words before them."""
    keys: list[Ints] = []
    counts: list[Ints] = []
    continuations: list[Ints] = []
    shorter = np.zeros(len(stream) + 1, np.int64)  # the n-gram of the previous length at each index
    for n in range(max_order):
        unique, ngrams, count = np.unique(
            shorter[:-1] * vocabulary_size + stream[n:], return_inverse=True, return_counts=True
        )
        if n:
            suffixes = np.empty(len(unique), np.int64)
            suffixes[ngrams] = shorter[1:]
            continuations.append(np.bincount(suffixes, minlength=len(keys[-1])))
        keys.append(unique)
        counts.append(count)
        shorter = ngrams
    return keys, counts, continuations


def _level(keys: Ints, counts: Ints, num_contexts: int, *, vocabulary_size: int) -> _Level:
    discounts = np.array([0.0, *_discounts(counts)])
    discount = discounts[np.minimum(counts, 3)]
    contexts = keys // vocabulary_size
    totals = np.bincount(contexts, weights=counts, minlength=num_contexts)
    freed = np.bincount(contexts, weights=discount, minlength=num_contexts)
    backoff = np.ones(num_contexts)
    np.divide(freed, totals, out=backoff, where=totals > 0)
    # An n-gram at the very beginning may have no word before it: c = 0, and c(h) = 0 too.
    discounted = (counts - discount) / np.maximum(totals, 1)[contexts]
    return _Level(keys=keys, counts=counts, discounted=discounted, backoff=backoff)


def _discounts(counts: Ints) -> Sequence[float]:
    """Return D1, D2 and D3+ (Chen & Goodman, equation 26) from the counts of counts."""
    n1, n2, n3, n4 = (int((counts == c).sum()) for c in (1, 2, 3, 4))
    if 0 in (n1, n2, n3, n4):
        return _FALLBACK_DISCOUNTS
    y = n1 / (n1 + 2 * n2)
    estimates = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    # A discount of zero would leave no probability for unseen words, and one above the count would
    # make a probability negative. The formula gives both for a few small corpora.
    return [
        estimate if 0 < estimate < seen else fallback
        for seen, (estimate, fallback) in enumerate(
            zip(estimates, _FALLBACK_DISCOUNTS, strict=True), start=1
        )
    ]


def _find(keys: Ints, wanted: Ints) -> Ints:
    """Return the index of each wanted key in ascending keys; -1 if it is missing."""
    if not len(keys):
        return np.full(len(wanted), -1)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)


def _take(values: Floats, places: Ints) -> Floats:
    """Return the values at some indices; arbitrary values for an index of -1."""
    return values[places] if len(values) else np.zeros(len(places))


def _narrow(values: Ints) -> npt.NDArray[np.integer]:
    """Return the numbers in the smallest type that holds the largest one."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))
