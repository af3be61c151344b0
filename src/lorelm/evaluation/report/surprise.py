"""Documents word by word, each with how much it surprised the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from lorelm.corpus.tokenizer import NEWLINE
from lorelm.evaluation.report.spacing import apart
from lorelm.evaluation.text import HeldOutText
from lorelm.typing import Floats

FEWEST_TOKENS: Final = 5
"""A document of fewer is hard or easy by chance."""

_DOCUMENTS_AT_EACH_END: Final = 5
_MOST_TOKENS: Final = 250  # a document may be a whole book
_BITS_A_LEVEL: Final = 2
_NUM_LEVELS: Final = 7


@dataclass(frozen=True, kw_only=True)
class ShownToken:
    """A token and how surprised the network was.

    Attributes:
        space: the white space before it.
        text: what stands for it on the page.
        bits: what it costs: -log2 of the probability that the network gave it, and of the spelling
            of an unknown word.
        kind: "word" (or punctuation), "unknown" to the vocabulary, "line-end" or "end" of the
            document.
    """

    space: str
    text: str
    bits: float
    kind: str

    @property
    def level(self) -> int:
        """How strong its background is, from 0."""
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
        tokens: all with the end of the document, or the first of a long one.
        num_tokens: of the whole document, its end not counted.
        bits_per_token: the mean over the whole document and its end.
        is_whole: whether all of it is shown.
    """

    tokens: Sequence[ShownToken]
    num_tokens: int
    bits_per_token: float
    is_whole: bool


def hardest_and_easiest(
    text: HeldOutText, bits: Floats
) -> tuple[list[ShownDocument], list[ShownDocument]]:
    """The documents of the highest and of the lowest mean surprise, the furthest out first.

    No document is in both; very short ones are in none.

    Args:
        bits: what each event costs, unknown words with their spelling if that is known.
    """
    bits_per_token = text.by_document(bits) / text.num_targets
    long_enough = np.flatnonzero(text.num_targets > FEWEST_TOKENS)
    by_ease = long_enough[np.argsort(bits_per_token[long_enough], kind="stable")].tolist()
    easiest = by_ease[: min(_DOCUMENTS_AT_EACH_END, len(by_ease) // 2)]
    hardest = by_ease[len(easiest) :][-_DOCUMENTS_AT_EACH_END:][::-1]
    return (
        [_shown_document(text, bits, place) for place in hardest],
        [_shown_document(text, bits, place) for place in easiest],
    )


def _shown_document(text: HeldOutText, bits: Floats, place: int) -> ShownDocument:
    num_tokens = len(text.documents[place])
    is_whole = num_tokens <= _MOST_TOKENS
    start = int(text.num_targets[:place].sum())
    return ShownDocument(
        tokens=[
            _shown_token(text, place, i, float(bits[start + i]))
            for i in range(num_tokens + 1 if is_whole else _MOST_TOKENS)
        ],
        num_tokens=num_tokens,
        bits_per_token=float(bits[start : start + num_tokens + 1].mean()),
        is_whole=is_whole,
    )


def _shown_token(text: HeldOutText, document: int, i: int, bits: float) -> ShownToken:
    """Event `i` of a document: a token, or its end."""
    tokens = text.documents[document]
    if i == len(tokens):
        return ShownToken(space=" ", text="end", bits=bits, kind="end")
    if tokens[i] == NEWLINE:
        return ShownToken(space=" ", text="↵", bits=bits, kind="line-end")
    space, word = apart(text.tokenizer.piece(tokens[i], tokens[i - 1] if i else None))
    kind = "word" if tokens[i] in text.vocabulary else "unknown"
    return ShownToken(space=space, text=word, bits=bits, kind=kind)


def level_names() -> list[str]:
    """What the strengths of background mean, the weakest first."""
    bounds = range(0, _NUM_LEVELS * _BITS_A_LEVEL, _BITS_A_LEVEL)
    return [*(f"{low}–{high}" for low, high in pairwise(bounds)), f"{bounds[-1]} or more bits"]
