"""Is it copying: spans of tokens that stand word for word in the training text."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

import numpy as np

from lorelm.corpus.token_keys import LINE_END_KEY, Keys, document_keys, token_keys
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.ngrams.matches import Matches, Span, covered, longest_spans
from lorelm.ngrams.suffix_array import SuffixArray

SPAN_LENGTHS: Final = (4, 6, 8, 12)
DISTINCT_LENGTHS: Final = (1, 2, 3)


class CopyIndex(Protocol):
    """What knows the training text: exactly (:class:`TrainingText`) or by fingerprints."""

    def longest_matches(self, keys: Keys, /) -> Matches: ...


class TrainingText:
    """The training documents, and an exact index of them."""

    def __init__(self, documents: Sequence[Sequence[str]], tokenizer: Tokenizer) -> None:
        self._documents = documents
        self._tokenizer = tokenizer
        self._ends = np.cumsum([len(tokens) + 1 for tokens in documents])
        self._known_keys, ids = np.unique(document_keys(documents, tokenizer), return_inverse=True)
        self._suffixes = SuffixArray.build(ids)

    def longest_matches(self, keys: Keys) -> Matches:
        places = np.searchsorted(self._known_keys, keys)
        known = np.append(self._known_keys, LINE_END_KEY)[places] == keys
        return self._suffixes.longest_matches(np.where(known, places, len(self._known_keys)))

    def document_at(self, position: int) -> str:
        """The document in which the token at a position of a :class:`Matches` stands."""
        # A line end stands before the first document, so positions are one ahead of the tokens.
        place = int(np.searchsorted(self._ends, position - 1, side="right"))
        return self._tokenizer.detokenize(self._documents[min(place, len(self._documents) - 1)])


@dataclass(frozen=True, kw_only=True)
class WrittenText:
    """A text that may hold copies: a sample, or a document by a person.

    Attributes:
        tokens: without `<eos>`.
        is_complete: False where it was cut off, so that its last line is none.
    """

    tokens: Sequence[str]
    is_complete: bool = True


@dataclass(frozen=True, kw_only=True)
class CopyFigures:
    """How much of some texts stands in the training text.

    Attributes:
        num_texts: how many texts.
        num_tokens: of all of them together.
        copied_share: for each of :data:`SPAN_LENGTHS`, the share of the tokens that lie in a span
            of at least so many that stands in the training text. Punctuation marks are tokens.
        longest_copy: tokens of the longest such span.
        copied_lines_share: the share of whole lines (documents, or lines in them) that are a whole
            line of the training text; None where there is no whole line.
        distinct_share: for each of :data:`DISTINCT_LENGTHS`, distinct n-grams over all n-grams
            (Li et al. 2016, https://arxiv.org/abs/1510.03055). It falls with the length of a text:
            compare texts of one length.
    """

    num_texts: int
    num_tokens: int
    copied_share: dict[int, float]
    longest_copy: int
    copied_lines_share: float | None
    distinct_share: dict[int, float]


@dataclass(frozen=True, kw_only=True)
class CopiedTexts:
    """Texts and their matches in the training text, kept to be shown.

    Attributes:
        matches: of the tokens of each text alone.
    """

    texts: Sequence[WrittenText]
    matches: Sequence[Matches]
    figures: CopyFigures

    def spans(self, place: int, *, min_length: int) -> list[Span]:
        """The copied spans of one text."""
        return longest_spans(self.matches[place], min_length=min_length)


def find_copies(
    texts: Sequence[WrittenText], index: CopyIndex, tokenizer: Tokenizer
) -> CopiedTexts:
    """Looks texts up in the training text."""
    matches: list[Matches] = []
    are_lines_copied: list[bool] = []
    for text in texts:
        keys = document_keys([text.tokens], tokenizer)
        with_ends = index.longest_matches(keys)
        matches.append(_inside(with_ends))
        are_lines_copied += _are_lines_copied(text, keys, with_ends)
    num_tokens = sum(len(text.tokens) for text in texts)
    figures = CopyFigures(
        num_texts=len(texts),
        num_tokens=num_tokens,
        copied_share={
            n: sum(int(covered(m.lengths, min_length=n).sum()) for m in matches)
            / max(num_tokens, 1)
            for n in SPAN_LENGTHS
        },
        longest_copy=max((int(m.lengths.max(initial=0)) for m in matches), default=0),
        copied_lines_share=(
            sum(are_lines_copied) / len(are_lines_copied) if are_lines_copied else None
        ),
        distinct_share={n: _distinct_share(texts, n, tokenizer) for n in DISTINCT_LENGTHS},
    )
    return CopiedTexts(texts=texts, matches=matches, figures=figures)


def _inside(with_ends: Matches) -> Matches:
    """The matches of a text alone: without the line ends around it, which are no words of it."""
    num_tokens = len(with_ends.lengths) - 2
    return Matches(
        lengths=np.minimum(with_ends.lengths[1:-1], np.arange(num_tokens, 0, -1)),
        positions=with_ends.positions[1:-1],
    )


def _are_lines_copied(text: WrittenText, keys: Keys, with_ends: Matches) -> list[bool]:
    """Of each whole line, whether it stands between two line ends of the training text."""
    ends = np.flatnonzero(keys == LINE_END_KEY)
    if not text.is_complete:
        ends = ends[:-1]
    return [
        bool(with_ends.lengths[begin] > end - begin)
        for begin, end in pairwise(ends.tolist())
        if end - begin > 1
    ]


def _distinct_share(texts: Sequence[WrittenText], n: int, tokenizer: Tokenizer) -> float:
    ngrams = [
        tuple(keys[i : i + n])
        for keys in (token_keys(text.tokens, tokenizer).tolist() for text in texts)
        for i in range(len(keys) - n + 1)
    ]
    return len(set(ngrams)) / len(ngrams) if ngrams else 0.0
