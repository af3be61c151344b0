"""PDF files: their pages as lines with places, and the paragraphs that these make."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.archives import locked
from lorelm.corpus.formats.page_layout import Line, text_of_pages
from lorelm.corpus.formats.pdf_streams import check_streams
from lorelm.corpus.formats.text import check_no_columns
from lorelm.corpus.plain_text import read_plain_text
from lorelm.corpus.structure import Content
from lorelm.corpus.text_files import has_word
from lorelm.errors import CorpusError, MissingExtraError

try:
    import pypdfium2
    import pypdfium2.raw as pdfium
except ImportError as error:
    raise MissingExtraError("reading PDF files", "formats") from error

_LINE_END: Final = (0x0D, 0x0A)

_HYPHENS: Final = (0x02, ord("-"), 0xAD, 0x2010, 0xFFFE)

# What PDFium writes for a hyphen at the end of a line, and for what has no character.
_SPECIAL: Final = {0x02: "-", 0xFFFE: "-", 0x00: "", 0xFFFF: ""}


def read(path: Path, content: bytes, options: ReadingOptions) -> Content:
    """Read the text of a PDF.

    Raises:
        CorpusError: it is damaged, locked with a password, or holds pictures of text alone.
    """
    check_no_columns(path, options)
    check_streams(path, content)
    pages = _pages(path, content)
    if not any(has_word(line.text) for page in pages for line in page):
        raise CorpusError(
            f"{path} has no text on its {len(pages):,} pages: it is a scan, or its letters are "
            "drawn; let a program recognise the text (OCR), and read what that saves",
            code="corpus.scan",
        )
    notes: list[str] = []
    text = text_of_pages(pages, notes)
    found = read_plain_text(text, source=path.name, unit=options.document)
    return found.with_notes(notes)


def _pages(path: Path, content: bytes) -> list[list[Line]]:
    try:
        with pypdfium2.PdfDocument(content) as document:
            return [list(_lines(document[number])) for number in range(len(document))]
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise locked(path) from error
        raise CorpusError(
            f"{path} is damaged ({str(error).rstrip('.')}): download or print it again",
            code="corpus.damaged",
        ) from error


def _lines(page: Any) -> Iterator[Line]:
    with closing(page), closing(page.get_textpage()) as text_page:
        codes = [
            pdfium.FPDFText_GetUnicode(text_page, place) for place in range(text_page.count_chars())
        ]
        for start, end in _line_ranges(text_page, codes):
            words = list(_words(codes, start, end))
            if words:
                yield _line(text_page, codes, words)


def _line_ranges(text_page: Any, codes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield where each line begins and ends; PDFium writes no line end behind a hyphen."""
    start = 0
    for place, code in enumerate(codes):
        if code in _LINE_END:
            yield start, place
            start = place + 1
        elif code in _HYPHENS and place + 1 < len(codes) and codes[place + 1] not in _LINE_END:
            left = text_page.get_charbox(place, loose=True)[0]
            if text_page.get_charbox(place + 1, loose=True)[0] < left:
                yield start, place + 1
                start = place + 1
    yield start, len(codes)


def _words(codes: Sequence[int], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last character of each word."""
    first = start
    for place in range(start, end + 1):
        if place == end or chr(codes[place]).isspace():
            if first < place:
                yield first, place - 1
            first = place + 1


def _line(text_page: Any, codes: Sequence[int], words: Sequence[tuple[int, int]]) -> Line:
    def box(place: int) -> tuple[float, float, float, float]:
        return text_page.get_charbox(place, loose=True)  # type: ignore[no-any-return]

    (first, end_of_first), (_, last) = words[0], words[-1]
    left, bottom, _, top = box(first)
    _, last_bottom, right, last_top = box(last)
    text = " ".join(_text(codes[start : end + 1]) for start, end in words)
    return Line(
        text=text,
        left=left,
        right=right,
        bottom=min(bottom, last_bottom),
        # A ligature's box is lower than that of other letters.
        height=max(top - bottom, last_top - last_bottom),
        first_word=box(end_of_first)[2] - left,
    )


def _text(codes: Sequence[int]) -> str:
    text = "".join(_SPECIAL.get(code, chr(code)) for code in codes)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
