"""The words of a shared text for its page."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from lorelm.history.content import Content
from lorelm.server.pages.scene import is_cue
from lorelm.server.pages.shown_words import level_of


@dataclass(frozen=True, kw_only=True)
class ShownPart:
    """A part of a shared text.

    Attributes:
        style: classes of style.css for a word of the model; empty for what somebody typed.
    """

    text: str
    style: str = ""


def shown_parts(content: Content) -> Iterator[ShownPart]:
    """Yield the parts of a text in their order."""
    for part in content:
        if isinstance(part, str):
            yield ShownPart(text=part)
            continue
        text, log_probability, *copied = part
        styles = ["word", f"p{level_of(math.exp(log_probability))}"]
        if any(copied):
            styles.append("copied")
        if is_cue(text):
            styles.append("cue")
        yield ShownPart(text=text, style=" ".join(styles))
