"""Copies: spans of tokens that are word for word in the training text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, Protocol

import numpy as np

from lorelm.corpus.special_tokens import NEWLINE
from lorelm.corpus.token_keys import DOCUMENT_END_KEY, document_keys, line_break_key, token_keys
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.ngrams.matches import Matches, covered
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
class CopiedTexts:
    """Texts with their matches in the training text.

    Attributes:
        matches: for each text, within its own tokens.
        num_tokens: of each text. Punctuation marks are tokens.
        num_copied: for each of :data:`SPAN_LENGTHS`, the tokens of each text in spans of at least
            that length from the training text.
        copied_lines_share: share of whole lines (documents, or lines in them) that are a whole line
            of the training text; None without a whole line.
    """

    texts: Sequence[WrittenText]
    matches: Sequence[Matches]
    num_tokens: Ids
    num_copied: Mapping[int, Ids]
    copied_lines_share: float | None

    @property
    def copied_share(self) -> dict[int, float]:
        """For each of :data:`SPAN_LENGTHS`, the share of all tokens that are copied."""
        num_tokens = max(self.num_tokens.sum(), 1)
        return {n: float(copied.sum() / num_tokens) for n, copied in self.num_copied.items()}

    @property
    def longest_copy(self) -> int:
        """Tokens of the longest span from the training text."""
        return max((int(m.lengths.max(initial=0)) for m in self.matches), default=0)


def find_copies(
    texts: Sequence[WrittenText], index: CopyIndex, tokenizer: Tokenizer
) -> CopiedTexts:
    """Look texts up in the training text."""
    matches = _matches_of_each(texts, index, tokenizer)
    return CopiedTexts(
        texts=texts,
        matches=matches,
        num_tokens=np.array([len(text.tokens) for text in texts]),
        num_copied={
            n: np.array([int(covered(m.lengths, min_length=n).sum()) for m in matches])
            for n in SPAN_LENGTHS
        },
        copied_lines_share=_copied_lines_share(texts, index, tokenizer),
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


def _copied_lines_share(
    texts: Sequence[WrittenText], index: CopyIndex, tokenizer: Tokenizer
) -> float | None:
    """Return the share of whole lines that are a whole line of the training text.

    A line of the training text begins and ends with a document end or a line break.
    """
    lines = [token_keys(line, tokenizer) for text in texts for line in _whole_lines(text)]
    if not lines:
        return None
    ends = (DOCUMENT_END_KEY, line_break_key(tokenizer))
    lengths = np.array([len(line) + 2 for line in lines])
    starts = np.cumsum([0, *lengths[:-1]])
    are_copied = np.zeros(len(lines), dtype=np.bool_)
    for before, after in product(ends, ends):
        keys = np.concatenate([part for line in lines for part in ([before], line, [after])])
        are_copied |= index.longest_matches(keys).lengths[starts] >= lengths
    return float(are_copied.mean())


def distinct_shares(texts: Sequence[WrittenText], tokenizer: Tokenizer) -> dict[int, float]:
    """Return distinct n-grams over all n-grams, for each of :data:`DISTINCT_LENGTHS`.

    (Li et al. 2016, https://arxiv.org/abs/1510.03055.) It falls with the length of the text, so
    compare texts of the same length.
    """
    keys = [token_keys(text.tokens, tokenizer).tolist() for text in texts]
    shares = {}
    for n in DISTINCT_LENGTHS:
        ngrams = [tuple(of[i : i + n]) for of in keys for i in range(len(of) - n + 1)]
        shares[n] = len(set(ngrams)) / len(ngrams) if ngrams else 0.0
    return shares
