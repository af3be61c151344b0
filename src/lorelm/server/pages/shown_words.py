"""The words of a sample for the page, each with a tint for its probability."""

import math
from dataclasses import dataclass
from typing import Final

from lorelm.generation.controls import LEVEL_BOUNDS
from lorelm.generation.reply import Sample, Token
from lorelm.server.pages.scene import is_cue
from lorelm.translations import Catalogue

_LEAST_SHOWN: Final = 0.0001
"""Probabilities below are shown as less than this; the same as in words.js."""


@dataclass(frozen=True, kw_only=True)
class ShownWord:
    """A token on the page.

    Attributes:
        space: the white space before it.
        level: from 0 (likely) to 4 (surprising).
        title: its probability and the alternatives.
        is_copied: whether it is in a span of the training text.
        is_cue: whether it is the name before a line.
    """

    space: str
    text: str
    level: int
    title: str
    is_copied: bool
    is_cue: bool


def shown_words(sample: Sample, texts: Catalogue) -> list[ShownWord]:
    """Return the words of a sample with scored tokens, in the language of a page."""
    assert sample.tokens is not None
    words, end = [], 0
    for token in sample.tokens:
        end += len(token.text)
        is_copied = any(span.start < end <= span.end for span in sample.copied_spans or ())
        text = token.text.lstrip()
        assert token.log_probability is not None
        probability = math.exp(token.log_probability)
        words.append(
            ShownWord(
                space=token.text[: len(token.text) - len(text)],
                text=text,
                level=level_of(probability),
                title=_title(token, probability, texts, is_copied=is_copied),
                is_copied=is_copied,
                is_cue=is_cue(text),
            )
        )
    return words


def level_of(probability: float) -> int:
    """Return the tint of a word with this probability."""
    return sum(probability < bound for bound in LEVEL_BOUNDS)


def _title(token: Token, probability: float, texts: Catalogue, *, is_copied: bool) -> str:
    end = texts.gettext("(the end)")
    others = [
        f"{other.text.strip() or end} {_percent(math.exp(other.log_probability), texts)}"
        for other in token.alternatives
        if other.text.strip() != token.text.lstrip()
    ]
    parts = {"percent": _percent(probability, texts), "others": texts.list(others)}
    if is_copied:
        return texts.gettext("%(percent)s; or: %(others)s. Copied from the training text.", **parts)
    return texts.gettext("%(percent)s; or: %(others)s", **parts)


def _percent(probability: float, texts: Catalogue) -> str:
    """Format a probability with at least one significant digit: 42%, 0.3%, < 0.01%."""
    if probability < _LEAST_SHOWN:
        return f"<\u00a0{_percent(_LEAST_SHOWN, texts)}"
    exponent = int(f"{100 * probability:.0e}".partition("e")[2])  # of one digit: 0.96 is 1
    return texts.percent(probability, max(-exponent, 0))
