"""A stream of ids cut for truncated back-propagation through time (BPTT)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Self

import numpy as np

from lorelm.corpus.vocabulary import EOS_ID, Vocabulary
from lorelm.errors import CorpusError
from lorelm.typing import Ids, Ints

# Of a corpus with more documents, runs of neighbours are shuffled: a permutation of this many takes
# 2 MB, whatever the corpus.
MAX_RUNS: Final = 100_000

_SCANNED_IDS: Final = 1_000_000
"""Ids that are scanned at a time: a stream may be memory-mapped and larger than memory."""


def encode_stream(documents: Iterable[Sequence[str]], vocabulary: Vocabulary) -> Ids:
    """Return the ids of all documents end to end, `<eos>` after each: the target tokens."""
    parts = [np.append(vocabulary.encode(tokens), EOS_ID) for tokens in documents]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def num_windows(num_tokens: int, batch_size: int, bptt: int) -> int:
    """Return the number of BPTT windows in the columns of a stream."""
    return -(-(num_tokens // batch_size) // bptt)


def _run_starts(stream: Ids) -> Ints:
    """Return where documents begin: at most 100,000, every nth of all of them."""
    scanned = range(0, len(stream), _SCANNED_IDS)
    num_ends = sum(np.count_nonzero(stream[i : i + _SCANNED_IDS] == EOS_ID) for i in scanned)
    step = max(1, -(-num_ends // MAX_RUNS))
    found = [np.zeros(1, np.int64)]
    num_found = 1
    for i in scanned:
        starts = np.flatnonzero(stream[i : i + _SCANNED_IDS] == EOS_ID) + i + 1
        found.append(starts[-num_found % step :: step].copy())  # a view would keep all of them
        num_found += len(starts)
    kept: Ints = np.concatenate(found)
    return kept[kept < len(stream)]


class DocumentPermutation:
    """A permutation of the documents of a stream; the identity at first.

    Of a corpus of more than 100,000 documents, runs of neighbours stay together.
    """

    def __init__(self, stream: Ids) -> None:
        self._starts = starts = _run_starts(stream)
        self._lengths = np.diff(np.append(starts, len(stream)))
        self._arrange(np.arange(len(starts)))

    def shuffled(self, generator: np.random.Generator) -> Self:
        """Return another permutation of the same documents, drawn from the generator."""
        other = object.__new__(type(self))
        other._starts, other._lengths = self._starts, self._lengths
        other._arrange(generator.permutation(len(self._starts)))
        return other

    def _arrange(self, order: Ints) -> None:
        lengths = self._lengths[order]
        self._ends = np.cumsum(lengths)
        self._offsets = self._starts[order] - (self._ends - lengths)

    def places(self, positions: Ints) -> Ints:
        """Map positions in the permuted stream to places in the stream itself."""
        places: Ints = positions + self._offsets[np.searchsorted(self._ends, positions, "right")]
        return places


class TokenBatcher:
    """Cuts a stream into `batch_size` columns of equal length, to be read side by side.

    A target is the id that follows its input. The input of the first target is an `<eos>`, as it is
    at the start of every document. The last ``len(stream) % batch_size`` ids are left out.

    Args:
        stream: ids with an `<eos>` after each document; may be memory-mapped.
        permutation: of the documents; None keeps their order.
        columns: which of the columns to read; all of them by default.

    Raises:
        CorpusError: the stream is shorter than `batch_size`.
    """

    def __init__(
        self,
        stream: Ids,
        *,
        batch_size: int,
        permutation: DocumentPermutation | None = None,
        columns: slice = slice(None),
    ) -> None:
        self.num_steps: Final = len(stream) // batch_size
        if self.num_steps == 0:
            raise CorpusError(
                f"the training part has {len(stream):,} tokens, too few for a batch of "
                f"{batch_size}: use a batch_size (--batch-size) of {max(1, len(stream) // 2)} "
                "or less, or a longer corpus",
                code="corpus.too_few_tokens",
            )
        self._stream = stream
        self._permutation = permutation
        self._starts_B = (np.arange(batch_size) * self.num_steps)[columns]

    def windows(self, *, bptt: int, first: int = 0) -> Iterator[tuple[Ids, Ids]]:
        """Yield `inputs_TB`, `targets_TB` of `bptt` steps; the last pair may be shorter.

        Args:
            first: the window to begin with.
        """
        for start in range(first * bptt, self.num_steps, bptt):
            steps_T = np.arange(start - 1, min(start + bptt, self.num_steps))
            ids_TB = self._ids(steps_T[:, None] + self._starts_B)
            yield ids_TB[:-1], ids_TB[1:]

    def _ids(self, positions: Ints) -> Ids:
        clipped = np.maximum(positions, 0)
        places = clipped if self._permutation is None else self._permutation.places(clipped)
        ids: Ids = self._stream[places].astype(np.int64, copy=False)
        return np.where(positions < 0, EOS_ID, ids)
