"""Paragraphs that another program kept apart, as a plain text whose structure is to be found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.text import check_no_columns
from lorelm.corpus.plain_text import read_plain_text
from lorelm.corpus.structure import Content

_TYPED_SHARE: Final = 0.1
"""Of empty paragraphs. From here on the writer put blank lines between paragraphs by hand."""


def read_paragraphs(
    path: Path,
    paragraphs: Sequence[str],
    options: ReadingOptions,
    *,
    glued: frozenset[int] = frozenset(),
) -> Content:
    """Find the structure of paragraphs, as of a plain text with a blank line between them.

    Where the writer separated paragraphs by empty ones, only these are blank lines, so that a
    stanza, or a cue and its speech, stay together.

    Args:
        paragraphs: with line breaks within them; empty ones count.
        glued: numbers of paragraphs that belong to the next one, such as a cue of a script.
    """
    check_no_columns(path, options)
    paragraphs = [_trimmed(paragraph) for paragraph in paragraphs]
    if options.document == "line":
        text = "\n".join(filter(None, paragraphs))
    else:
        num_texts = sum(map(bool, paragraphs))
        is_typed = len(paragraphs) - num_texts >= _TYPED_SHARE * max(1, num_texts)
        pieces = []
        for number, paragraph in enumerate(paragraphs):
            if paragraph or is_typed:
                pieces += [paragraph, "\n" if is_typed or number in glued else "\n\n"]
        text = "".join(pieces).strip("\n")
    return read_plain_text(text, source=path.name, unit=options.document)


def _trimmed(paragraph: str) -> str:
    lines = [line.strip() for line in paragraph.replace("\xa0", " ").split("\n")]
    return "\n".join(line for line in lines if line)
