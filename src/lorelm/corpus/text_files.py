"""Plain text to documents, and bytes to text."""

import codecs
import encodings
from pathlib import Path

from lorelm.corpus.documents import Documents, ReadingOptions
from lorelm.errors import CorpusError


def decode(path: Path, content: bytes, encoding: str, *, lines_before: int = 0) -> str:
    """The text of a file, refused with the place and a remedy where it is not text.

    Args:
        lines_before: lines of the file that are not in `content`.

    Raises:
        CorpusError: the encoding is unknown or does not fit, or the text holds a NUL character.
    """
    # Asked of Python's own codecs: a package may have registered one that answers to any name.
    codec = encodings.search_function(encoding.lower())
    is_utf8 = codec is not None and codec.name == "utf-8"
    if is_utf8 and content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise CorpusError(f"{path} is UTF-16, not UTF-8: read it with --encoding utf-16")
    if is_utf8:
        content = content.removeprefix(codecs.BOM_UTF8)
    try:
        if codec is None:
            raise LookupError(encoding)
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = lines_before + content.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{path} is not {encoding} text (see line {line}): save it as UTF-8, or say what it "
            "is, for example --encoding cp1252"
        ) from error
    except (LookupError, UnicodeError) as error:
        raise CorpusError(
            f"there is no encoding called {encoding!r}: try utf-8 or cp1252"
        ) from error
    if "\0" in text:
        line = lines_before + text[: text.index("\0")].count("\n") + 1
        raise CorpusError(
            f"{path} holds a NUL character in line {line}: it is damaged or not text; "
            "remove the character and try again"
        )
    return text


def read_plain_text(path: Path, content: bytes, options: ReadingOptions) -> Documents:
    for flag, column in (
        ("--text-column", options.text_column),
        ("--speaker-column", options.speaker_column),
    ):
        if column is not None:
            raise CorpusError(
                f"{path} is read as plain text and has no columns: leave out {flag}, or give the "
                "file the ending of a table (.csv, .tsv, .jsonl, .parquet)"
            )
    text = decode(path, content, options.encoding).replace("\r\n", "\n").replace("\r", "\n")
    texts = {
        "line": lambda: text.split("\n"),
        "paragraph": lambda: _paragraphs(text),
        "file": lambda: [text],
    }[options.document]()
    if options.document == "line" and texts and not texts[-1]:
        texts.pop()  # what follows the last line break is no line
    return Documents(texts=texts, source=path.name)


def _paragraphs(text: str) -> list[str]:
    paragraphs: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip():
            paragraphs[-1].append(line)
        elif paragraphs[-1]:
            paragraphs.append([])
    return ["\n".join(lines) for lines in paragraphs if lines]
