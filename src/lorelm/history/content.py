"""Texts of drafts and links: parts by people and words by a model, as JSON in a row."""

import json
from collections.abc import Sequence
from typing import Any, Final

from lorelm.history.tables import decode_text, encode_text

Content = Sequence[str | list[Any]]
"""The parts of a text in their order: a text that somebody typed, or a token of the model as
``[text, log_probability]`` or ``[text, log_probability, tokens of the copied span]``."""

_EXCERPT_CHARACTERS: Final = 160


def text_of(content: Content) -> str:
    """Return the plain text."""
    return "".join(part if isinstance(part, str) else part[0] for part in content)


def excerpt_of(content: Content) -> str:
    """Return the beginning of the text as one line."""
    line = " ".join(text_of(content).split())
    return line if len(line) <= _EXCERPT_CHARACTERS else f"{line[: _EXCERPT_CHARACTERS - 1]}…"


def encode_content(content: Content) -> str:
    """Return the content as JSON that both databases can store."""
    return encode_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")))


def decode_content(row_value: str) -> Content:
    """Return the content that :func:`encode_content` has encoded."""
    content: Content = json.loads(decode_text(row_value))
    return content
