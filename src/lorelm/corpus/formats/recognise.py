"""The format of a file, recognised by what it contains, and by its ending where that says more."""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats import json_files, mail, signal_text, text, whatsapp
from lorelm.corpus.formats.archives import Archive, is_zip
from lorelm.corpus.structure import Content
from lorelm.errors import CorpusError

TABLE_SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

KNOWN_SUFFIXES: Final = {
    *TABLE_SUFFIXES,
    *(".txt", ".text", ".md", ".markdown", ".json", ".xlsx", ".xls", ".ods", ".srt", ".vtt"),
    *(".ass", ".ssa", ".epub", ".docx", ".odt", ".html", ".htm", ".xhtml", ".pdf", ".mbox"),
    *(".fountain", ".fdx", ".zip"),
}
"""What is read of a folder or an archive; a file that is named itself may have any ending."""

# Each in a module of its own, imported when such a file comes up: most need a library.
_READERS: Final = {
    "docx": ("office", "read_docx"),
    "odt": ("office", "read_odt"),
    "epub": ("epub", "read"),
    "pdf": ("pdf", "read"),
    "html": ("html", "read"),
    "fountain": ("screenplays", "read_fountain"),
    "fdx": ("screenplays", "read_final_draft"),
    "subtitles": ("subtitles", "read"),
    "json": ("json_files", "read"),
    "jsonl": ("json_files", "read_lines"),
    "spreadsheet": ("spreadsheets", "read"),
    "delimited": ("delimited", "read"),
    "whatsapp": ("whatsapp", "read"),
    "signal": ("signal_text", "read"),
    "mbox": ("mail", "read"),
    "text": ("text", "read"),
}

_OFFICE: Final = {"word/document.xml": "docx", "xl/workbook.xml": "spreadsheet"}
_MIME_TYPES: Final = {
    b"application/epub+zip": "epub",
    b"application/vnd.oasis.opendocument.text": "odt",
    b"application/vnd.oasis.opendocument.spreadsheet": "spreadsheet",
}
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHER_PROGRAMS: Final = (
    (b"{\\rtf", "an RTF file", "save it as DOCX or ODT"),
    (b"BOOKMOBI", "a book for Kindle", "save it as EPUB"),
    (b"SQLite format 3", "a database", "save its texts as CSV"),
    (b"\x1f\x8b", "packed by gzip", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it, or save it as ZIP"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it, or save it as ZIP"),
    (b"\x89PNG", "a picture", "have a program recognise its text (OCR), and give that"),
    (b"\xff\xd8\xff", "a picture", "have a program recognise its text (OCR), and give that"),
)

_SUBTITLES: Final = re.compile(r"WEBVTT|\[Script Info\]|\s*\d+\s*\n\s*\d+:\d\d:\d\d[,.]\d+\s*-->")
_HTML: Final = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S
)
_SAMPLE_CHARACTERS: Final = 4096


def read_content(path: Path, content: bytes, options: ReadingOptions) -> Content:
    """Read a file of any known format.

    Args:
        path: of the file, for messages and for its ending.

    Raises:
        CorpusError: it is damaged, locked, of a format that is not read, or holds no text.
        MissingExtraError: its reader's library is not installed.
    """
    if content.startswith(b"PAR1") or path.suffix.lower() == ".parquet":
        # Imported here: Polars is not part of a serving install and takes 0.1 s to load.
        from lorelm.corpus.tables import read_parquet

        return read_parquet(path, content, options)
    name = _binary_format(path, content)
    if name is not None:
        return _reader(name)(path, content, options)
    decoded, notes = text.decode_text(path, content, options.encoding)
    found: Content = _reader(text_format(path, decoded))(path, decoded, options)
    return found.with_notes(notes)


def is_archive(content: bytes, path: Path) -> bool:
    """Return whether a file is a zip archive of files, and no document."""
    return is_zip(content) and _zip_format(Archive(path, content)) is None


def text_format(path: Path, decoded: str) -> str:
    """Return the format of a text: that of its first lines, else that of its ending."""
    suffix = path.suffix.lower()
    sample = decoded[:_SAMPLE_CHARACTERS].lstrip("\ufeff")
    return next(name for name, fits in _TEXT_FORMATS if fits(suffix, sample, decoded))


# What tells a format, in this order: a test of the ending, the first characters, and all of them.
_TEXT_FORMATS: Final[tuple[tuple[str, Callable[[str, str, str], bool]], ...]] = (
    ("fdx", lambda _suffix, sample, _text: "<FinalDraft" in sample),
    ("html", lambda _suffix, sample, _text: _HTML.match(sample) is not None),
    ("subtitles", lambda _suffix, sample, _text: _SUBTITLES.match(sample) is not None),
    ("jsonl", lambda suffix, _sample, _text: suffix in (".jsonl", ".ndjson")),
    ("jsonl", lambda _suffix, _sample, text: json_files.is_json_lines(text)),
    ("json", lambda suffix, _sample, text: suffix == ".json" or json_files.is_json(text)),
    ("delimited", lambda suffix, _sample, _text: suffix in (".csv", ".tsv")),
    ("fountain", lambda suffix, _sample, _text: suffix == ".fountain"),
    ("html", lambda suffix, _sample, _text: suffix in (".html", ".htm", ".xhtml")),
    ("subtitles", lambda suffix, _sample, _text: suffix in (".srt", ".vtt", ".ass", ".ssa")),
    ("signal", lambda _suffix, _sample, text: signal_text.is_chat(text)),
    ("whatsapp", lambda _suffix, _sample, text: whatsapp.is_chat(text)),
    ("text", lambda _suffix, _sample, _text: True),
)


def _reader(name: str) -> Callable[[Path, Any, ReadingOptions], Content]:
    module, function = _READERS[name]
    reader: Callable[[Path, Any, ReadingOptions], Content] = getattr(
        import_module(f"lorelm.corpus.formats.{module}"), function
    )
    return reader


def _binary_format(path: Path, content: bytes) -> str | None:
    """Return the format of a file that is no plain text; None if it is one.

    Raises:
        CorpusError: it is of a format that is not read.
    """
    if is_zip(content):
        name = _zip_format(Archive(path, content))
        if name is None:
            raise _unknown(path, "a ZIP archive in another one", "unpack it")
        return name
    if b"%PDF-" in content[:1024]:
        return "pdf"
    if content.startswith(_OLE):
        return _ole_format(path, content)
    if mail.is_mailbox(content):
        return "mbox"
    for beginning, what, remedy in _OTHER_PROGRAMS:
        if content.startswith(beginning) or content[60:68] == beginning:
            raise _unknown(path, what, remedy)
    return None


def _zip_format(archive: Archive) -> str | None:
    if "mimetype" in archive:
        return _MIME_TYPES.get(archive.read("mimetype").strip())
    return next((name for part, name in _OFFICE.items() if part in archive), None)


def _ole_format(path: Path, content: bytes) -> str:
    """Return the format of a file of Office 97, or of one that is encrypted."""
    if "EncryptedPackage".encode("utf-16-le") in content:
        raise CorpusError(
            f"{path} is locked with a password: save it without one", code="corpus.locked"
        )
    if "WordDocument".encode("utf-16-le") in content:
        raise _unknown(path, "a Word file of before 2007", "save it as DOCX")
    return "spreadsheet"


def _unknown(path: Path, what: str, remedy: str) -> CorpusError:
    return CorpusError(
        f"{path} is {what}, which is not read: {remedy}", code="corpus.unknown_format"
    )
