"""Documents token by token with the surprisal of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from lorelm.corpus.special_tokens import NEWLINE
from lorelm.evaluation.text import HeldOutText
from lorelm.typing import Floats

MIN_TOKENS: Final = 5
"""With fewer tokens a document is hard or easy by chance."""

_DOCUMENTS_AT_EACH_END: Final = 5
_MAX_TOKENS: Final = 250  # a document may be a whole book
_BITS_A_LEVEL: Final = 2
_NUM_LEVELS: Final = 7


@dataclass(frozen=True, kw_only=True)
class ShownToken:
    """A token with its surprisal.

    Attributes:
        space: the white space before it.
        text: how the page shows it.
        bits: -log2 of its probability, and of the spelling of an unknown word.
        kind: "word" (or punctuation), "unknown" (outside the vocabulary), "line-end" or "end" (of
            the document).
    """

    space: str
    text: str
    bits: float
    kind: str

    @property
    def level(self) -> int:
        """Strength of its background, from 0."""
        return min(int(self.bits / _BITS_A_LEVEL), _NUM_LEVELS - 1)

    @property
    def description(self) -> str:
        kinds = {
            "unknown": "unknown word: ",
            "line-end": "end of the line: ",
            "end": "end of the document: ",
        }
        return f"{kinds.get(self.kind, '')}{self.bits:.1f} bits"


@dataclass(frozen=True, kw_only=True)
class ShownDocument:
    """A document token by token.

    Attributes:
        tokens: all, with the end of the document; only the first of a long one.
        num_tokens: of the whole document, without its end.
        bits_per_token: mean over the whole document and its end.
    """

    tokens: Sequence[ShownToken]
    num_tokens: int
    bits_per_token: float

    @property
    def is_whole(self) -> bool:
        return len(self.tokens) > self.num_tokens


def hardest_and_easiest(
    text: HeldOutText, bits: Floats
) -> tuple[list[ShownDocument], list[ShownDocument]]:
    """Return the documents of the highest and of the lowest mean surprisal, most extreme first.

    No document is in both; very short ones are in neither.

    Args:
        bits: of each target token, see :func:`lorelm.evaluation.scores.target_bits`.
    """
    bits_per_token = text.by_document(bits) / text.num_targets
    long_enough = np.flatnonzero(text.num_targets > MIN_TOKENS)
    by_ease = long_enough[np.argsort(bits_per_token[long_enough], kind="stable")].tolist()
    easiest = by_ease[: min(_DOCUMENTS_AT_EACH_END, len(by_ease) // 2)]
    hardest = by_ease[len(easiest) :][-_DOCUMENTS_AT_EACH_END:][::-1]
    return (
        [_shown_document(text, bits, place) for place in hardest],
        [_shown_document(text, bits, place) for place in easiest],
    )


def _shown_document(text: HeldOutText, bits: Floats, place: int) -> ShownDocument:
    num_tokens = len(text.documents[place])
    start = int(text.num_targets[:place].sum())
    own_bits = bits[start : start + num_tokens + 1]
    shown = own_bits if num_tokens <= _MAX_TOKENS else own_bits[:_MAX_TOKENS]
    return ShownDocument(
        tokens=[_shown_token(text, place, i, each) for i, each in enumerate(shown.tolist())],
        num_tokens=num_tokens,
        bits_per_token=float(own_bits.mean()),
    )


def _shown_token(text: HeldOutText, document: int, i: int, bits: float) -> ShownToken:
    """Return target `i` of a document: a token, or its end."""
    tokens = text.documents[document]
    if i == len(tokens):
        return ShownToken(space=" ", text="end", bits=bits, kind="end")
    if tokens[i] == NEWLINE:
        return ShownToken(space=" ", text="↵", bits=bits, kind="line-end")
    space, word = split_space(text.tokenizer.piece(tokens[i], tokens[i - 1] if i else None))
    kind = "word" if tokens[i] in text.vocabulary else "unknown"
    return ShownToken(space=space, text=word, bits=bits, kind=kind)


def level_names() -> list[str]:
    """Return the bits that each strength of background stands for, weakest first."""
    bounds = range(0, _NUM_LEVELS * _BITS_A_LEVEL, _BITS_A_LEVEL)
    return [*(f"{low}–{high}" for low, high in pairwise(bounds)), f"{bounds[-1]} or more bits"]


def split_space(piece: str) -> tuple[str, str]:
    """Split off the leading spaces, so that a mark covers the words alone."""
    rest = piece.lstrip(" ")
    return piece[: len(piece) - len(rest)], rest
