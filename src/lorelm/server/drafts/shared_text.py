"""The words of a shared text for its page."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from lorelm.corpus.tokenizer import Tokenizer
from lorelm.history.content import Content
from lorelm.server.pages.scene import is_cue, parts_of
from lorelm.server.pages.shown_words import level_of


@dataclass(frozen=True, kw_only=True)
class ShownPart:
    """A part of a shared text.

    Attributes:
        style: classes of style.css; empty for plain text.
        is_generated: whether the model wrote it.
    """

    text: str
    style: str = ""
    is_generated: bool = False


def shown_parts(content: Content, tokenizer: Tokenizer) -> Iterator[ShownPart]:
    """Yield the parts of a text in their order.

    Args:
        tokenizer: finds the names of speakers in what somebody typed.
    """
    begins_line = True
    for part in content:
        if isinstance(part, str):
            yield from _typed_parts(part, tokenizer, begins_line=begins_line)
            begins_line = part.endswith("\n")
            continue
        text, log_probability, *copied = part
        begins_line = text.endswith("\n")
        styles = ["word", f"p{level_of(math.exp(log_probability))}"]
        if any(copied):
            styles.append("copied")
        if is_cue(text):
            styles.append("cue")
        yield ShownPart(text=text, style=" ".join(styles), is_generated=True)


def _typed_parts(text: str, tokenizer: Tokenizer, *, begins_line: bool) -> Iterator[ShownPart]:
    # A name at the beginning of the part, behind a word of the model, is in the middle of a line.
    head = 0 if begins_line else text.find("\n") + 1 or len(text)
    if head:
        yield ShownPart(text=text[:head])
    for each in parts_of(text[head:], tokenizer):
        yield ShownPart(text=each.text, style="cue" if each.is_cue else "")
