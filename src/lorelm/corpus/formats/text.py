"""Text whose encoding nobody named, and the plain text that it is by default."""

import codecs
import re
from pathlib import Path
from typing import Final

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.plain_text import read_plain_text
from lorelm.corpus.structure import Content
from lorelm.corpus.text_files import decode
from lorelm.errors import CorpusError

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED: Final = re.compile(
    rb"""<(?:meta|\?xml)\b[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?([\w-]+)""", re.I
)
_SAMPLE_BYTES: Final = 1024


def decode_text(path: Path, content: bytes, encoding: str | None) -> tuple[str, list[str]]:
    """Return the text of a file with plain line ends, and a note if its encoding was guessed.

    Without an encoding, a byte order mark decides; else the text is UTF-8, what a page of HTML
    declares, or Windows-1252, whichever fits first.

    Raises:
        CorpusError: no encoding fits, or the text holds a NUL character.
    """
    notes: list[str] = []
    if encoding is None:
        encoding = _encoding_of(path, content)
        if encoding != "utf-8":
            notes.append(
                f"{path.name} is read as {encoding}; if that is wrong, name the right encoding "
                "(--encoding)."
            )
    text = decode(path, content, encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n"), notes


def check_no_columns(path: Path, options: ReadingOptions) -> None:
    """Refuse the options of tables for a file that is none.

    Raises:
        CorpusError: one of them is given.
    """
    for name, column in (
        ("text_column (--text-column)", options.text_column),
        ("speaker_column (--speaker-column)", options.speaker_column),
        ("scene_column (--scene-column)", options.scene_column),
    ):
        if column:
            raise CorpusError(
                f"{path} is plain text and has no columns: leave out {name}, or give the "
                "file the ending of a table (.csv, .tsv, .jsonl, .parquet)",
                code="corpus.no_columns",
            )


def read(path: Path, text: str, options: ReadingOptions) -> Content:
    """Read a plain text."""
    check_no_columns(path, options)
    return read_plain_text(text.removesuffix("\n"), source=path.name, unit=options.document)


def _encoding_of(path: Path, content: bytes) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding
    if _is_utf8(content):
        return "utf-8"
    declared = _DECLARED.search(content[:_SAMPLE_BYTES])
    for encoding in (declared[1].decode("ascii").lower() if declared else "cp1252", "cp1252"):
        try:
            content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        return encoding
    raise CorpusError(
        f"{path} is neither UTF-8 nor Windows-1252 text: save it as UTF-8, or name its "
        "encoding (--encoding), such as shift_jis",
        code="corpus.encoding",
    )


def _is_utf8(content: bytes) -> bool:
    """Return whether a text is UTF-8, or was before it was damaged in few places."""
    if content.startswith(codecs.BOM_UTF8) or content.isascii():
        return True
    text = content.decode("utf-8", "replace")
    num_wrong = text.count("\ufffd")
    return num_wrong == 0 or sum(not char.isascii() for char in text) > 2 * num_wrong
