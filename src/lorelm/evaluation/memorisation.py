"""Copies: spans of tokens that are word for word in the training text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from lorelm.corpus.token_keys import DOCUMENT_END_KEY, document_keys, line_break_key, token_keys
from lorelm.corpus.tokenizer import NEWLINE, Tokenizer
from lorelm.ngrams.matches import Matches, Span, covered, longest_spans
from lorelm.ngrams.suffix_array import SuffixArray
from lorelm.typing import Ids, Keys

SPAN_LENGTHS: Final = (4, 6, 8, 12)
DISTINCT_LENGTHS: Final = (1, 2, 3)


class CopyIndex(Protocol):
    """Index of the training text: exact (:class:`TrainingText`) or of fingerprints."""

    def longest_matches(self, keys: Keys, /) -> Matches: ...


class TrainingText:
    """The training documents with an exact index."""

    def __init__(self, documents: Sequence[Sequence[str]], tokenizer: Tokenizer) -> None:
        self._documents = documents
        self._tokenizer = tokenizer
        self._ends = np.cumsum([len(tokens) + 1 for tokens in documents])
        self._known_keys, ids = np.unique(document_keys(documents, tokenizer), return_inverse=True)
        self._suffixes = SuffixArray.build(ids)

    def longest_matches(self, keys: Keys) -> Matches:
        places = np.searchsorted(self._known_keys, keys)
        known = np.append(self._known_keys, DOCUMENT_END_KEY)[places] == keys
        return self._suffixes.longest_matches(np.where(known, places, len(self._known_keys)))

    def document_at(self, position: int) -> str:
        """Return the document that contains a position of a :class:`Matches`."""
        # An `<eos>` key precedes the first document, so positions are one ahead of the tokens.
        place = int(np.searchsorted(self._ends, position - 1, side="right"))
        return self._tokenizer.detokenize(self._documents[min(place, len(self._documents) - 1)])


@dataclass(frozen=True, kw_only=True)
class WrittenText:
    """A text to look up: a sample, or a document by a person.

    Attributes:
        tokens: without `<eos>`.
        is_complete: False if it was cut off; its last line is then not a whole line.
    """

    tokens: Sequence[str]
    is_complete: bool = True


@dataclass(frozen=True, kw_only=True)
class CopyMetrics:
    """Shares of texts that are in the training text.

    Attributes:
        num_tokens: total over the texts.
        copied_share: for each of :data:`SPAN_LENGTHS`, share of the tokens in spans of at least
            that length from the training text. Punctuation marks are tokens.
        longest_copy: tokens of the longest such span.
        copied_lines_share: share of whole lines (documents, or lines in them) that are a whole line
            of the training text; None without a whole line.
    """

    num_texts: int
    num_tokens: int
    copied_share: dict[int, float]
    longest_copy: int
    copied_lines_share: float | None


@dataclass(frozen=True, kw_only=True)
class CopiedTexts:
    """Texts with their matches in the training text.

    Attributes:
        matches: for each text, within its own tokens.
        num_tokens: of each text.
        num_copied: for each of :data:`SPAN_LENGTHS`, the copied tokens of each text.
    """

    texts: Sequence[WrittenText]
    matches: Sequence[Matches]
    num_tokens: Ids
    num_copied: Mapping[int, Ids]
    metrics: CopyMetrics

    def spans(self, place: int, *, min_length: int) -> list[Span]:
        """Return the copied spans of one text."""
        return longest_spans(self.matches[place], min_length=min_length)


def find_copies(
    texts: Sequence[WrittenText], index: CopyIndex, tokenizer: Tokenizer
) -> CopiedTexts:
    """Look texts up in the training text."""
    matches = _matches_of_each(texts, index, tokenizer)
    num_tokens = np.array([len(text.tokens) for text in texts])
    num_copied = {
        n: np.array([int(covered(m.lengths, min_length=n).sum()) for m in matches])
        for n in SPAN_LENGTHS
    }
    are_lines_copied = _are_copied(
        [line for text in texts for line in _whole_lines(text)], index, tokenizer
    )
    metrics = CopyMetrics(
        num_texts=len(texts),
        num_tokens=int(num_tokens.sum()),
        copied_share={
            n: float(copied.sum() / max(num_tokens.sum(), 1)) for n, copied in num_copied.items()
        },
        longest_copy=max((int(m.lengths.max(initial=0)) for m in matches), default=0),
        copied_lines_share=float(are_lines_copied.mean()) if len(are_lines_copied) else None,
    )
    return CopiedTexts(
        texts=texts,
        matches=matches,
        num_tokens=num_tokens,
        num_copied=num_copied,
        metrics=metrics,
    )


def count_seen(
    documents: Sequence[Sequence[str]], index: CopyIndex, tokenizer: Tokenizer
) -> tuple[int, int]:
    """Count the documents that are also training documents, and their tokens."""
    keys = document_keys(documents, tokenizer)
    lengths = np.array([len(tokens) for tokens in documents])
    starts = np.cumsum([0, *(lengths + 1)[:-1]])
    # From the end before a document to its own end: a match that long is the whole document.
    is_seen = index.longest_matches(keys).lengths[starts] >= lengths + 2
    return int(is_seen.sum()), int(lengths[is_seen].sum())


def _matches_of_each(
    texts: Sequence[WrittenText], index: CopyIndex, tokenizer: Tokenizer
) -> list[Matches]:
    """Look up all texts at once, and cut the matches at the end of each text."""
    together = index.longest_matches(document_keys([text.tokens for text in texts], tokenizer))
    matches = []
    start = 1
    for text in texts:
        length = len(text.tokens)
        inside = slice(start, start + length)
        matches.append(
            Matches(
                lengths=np.minimum(together.lengths[inside], np.arange(length, 0, -1)),
                positions=together.positions[inside],
            )
        )
        start += length + 1
    return matches


def _whole_lines(text: WrittenText) -> list[list[str]]:
    """Return the lines of a text, without the last one if the text was cut off."""
    lines: list[list[str]] = [[]]
    for token in text.tokens:
        if token == NEWLINE:
            lines.append([])
        else:
            lines[-1].append(token)
    return [line for line in lines[: None if text.is_complete else -1] if line]


def _are_copied(
    lines: Sequence[Sequence[str]], index: CopyIndex, tokenizer: Tokenizer
) -> npt.NDArray[np.bool_]:
    """Return for each line whether it is a whole line of the training text.

    A line of the training text begins and ends with a document end or a line break.
    """
    ends = (DOCUMENT_END_KEY, line_break_key(tokenizer))
    are_copied = np.zeros(len(lines), dtype=np.bool_)
    lengths = np.array([len(line) + 2 for line in lines], dtype=np.int64)
    starts = np.cumsum([0, *lengths])[:-1]
    line_keys = [token_keys(line, tokenizer) for line in lines]
    for before, after in product(ends, ends):
        parts = [part for line in line_keys for part in ([before], line, [after])]
        if parts:
            are_copied |= index.longest_matches(np.concatenate(parts)).lengths[starts] >= lengths
    return are_copied


def distinct_shares(texts: Sequence[WrittenText], tokenizer: Tokenizer) -> dict[int, float]:
    """Return distinct n-grams over all n-grams, for each of :data:`DISTINCT_LENGTHS`.

    (Li et al. 2016, https://arxiv.org/abs/1510.03055.) It falls with the length of the text, so
    compare texts of the same length.
    """
    return {n: _distinct_share(texts, n, tokenizer) for n in DISTINCT_LENGTHS}


def _distinct_share(texts: Sequence[WrittenText], n: int, tokenizer: Tokenizer) -> float:
    ngrams = [
        tuple(keys[i : i + n])
        for keys in (token_keys(text.tokens, tokenizer).tolist() for text in texts)
        for i in range(len(keys) - n + 1)
    ]
    return len(set(ngrams)) / len(ngrams) if ngrams else 0.0
