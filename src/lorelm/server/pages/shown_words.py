"""The words of a sample for the page, each with a tint for its probability."""

import math
from dataclasses import dataclass

from lorelm.generation.controls import LEVEL_BOUNDS
from lorelm.generation.reply import Sample, Token
from lorelm.server.pages.scene import is_cue


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


def shown_words(sample: Sample) -> list[ShownWord]:
    """Return the words of a sample with scored tokens."""
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
                title=_title(token, probability, is_copied=is_copied),
                is_copied=is_copied,
                is_cue=is_cue(text),
            )
        )
    return words


def level_of(probability: float) -> int:
    """Return the tint of a word with this probability."""
    return sum(probability < bound for bound in LEVEL_BOUNDS)


def _title(token: Token, probability: float, *, is_copied: bool) -> str:
    others = [
        f"{other.text.strip() or '(end)'} {_percent(math.exp(other.log_probability))}"
        for other in token.alternatives
        if other.text.strip() != token.text.lstrip()
    ]
    note = ". Copied from the training text" if is_copied else ""
    return f"{_percent(probability)}; or: {', '.join(others)}{note}"


def _percent(probability: float) -> str:
    """Format a probability: 42 %, 0.3 %."""
    return f"{100 * probability:.0f} %" if probability >= 0.01 else f"{100 * probability:.1g} %"
