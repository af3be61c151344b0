"""The paragraphs of an edition of Standard Ebooks, in reading order.

Its source is XHTML that says what each part is (https://standardebooks.org/manual): `bodymatter`,
`z3998:persona`, `noteref`. Older editions write `chapter` where newer ones write `z3998:chapter`,
so only what follows the colon is compared.
"""

import posixpath
import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote

from lorelm.corpus.formats.archives import Archive
from lorelm.corpus.formats.xml import Element, attribute, local_name, parse_xml
from lorelm.errors import CorpusError

_PACKAGE: Final = "src/epub/content.opf"
_PAGE_TYPE: Final = "application/xhtml+xml"
_TYPE: Final = "{http://www.idpf.org/2007/ops}type"

_SKIPPED_TAGS: Final = {
    *("h1", "h2", "h3", "h4", "h5", "h6", "hgroup", "head", "script", "style"),
    *("figure", "img", "svg", "math", "nav", "hr"),
}
_SKIPPED_TYPES: Final = {
    *("titlepage", "halftitlepage", "fulltitle", "title", "subtitle", "toc", "loi"),
    *("dedication", "epigraph", "preface", "foreword", "introduction", "bridgehead"),
    *("endnote", "endnotes", "footnote", "footnotes"),
    *("dramatis-personae",),
}
_NOTE_TYPES: Final = {"noteref", "backlink"}
_BLOCKS: Final = {
    *("address", "article", "blockquote", "body", "dd", "div", "dl", "dt", "footer"),
    *("header", "li", "ol", "p", "section", "table", "tbody", "td", "tr", "ul"),
}
_REMOVED: Final = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
_SPACES: Final = re.compile(r"[^\S\n]+")
_LINE_END: Final = re.compile(r" ?\n ?")


class Paragraph(NamedTuple):
    """A paragraph, a stanza or a speech, and the number of its chapter, counted from 1."""

    chapter: int
    text: str


def read_book(archive: Archive) -> list[Paragraph]:
    """Return the paragraphs of the body matter.

    Raises:
        CorpusError: the archive is damaged or holds no edition of Standard Ebooks.
    """
    reader = _Reader()
    for name in _pages(archive):
        reader.read_page(parse_xml(archive.path, archive.read(name), name))
    return reader.paragraphs


def _pages(archive: Archive) -> Iterator[str]:
    """Yield the names of the pages in the order of the spine."""
    packages = [name for name in archive.names if re.fullmatch(rf"[^/]+/{_PACKAGE}", name)]
    if len(packages) != 1:
        raise CorpusError(
            f"{archive.path} has no {_PACKAGE}: it is no edition of Standard Ebooks; check the "
            "list of the books (--sources)",
            code="books.no_edition",
        )
    [package] = packages
    root = parse_xml(archive.path, archive.read(package), package)
    items = {attribute(item, "id"): item for item in root.iter() if local_name(item) == "item"}
    for reference in root.iter():
        if local_name(reference) != "itemref":
            continue
        item = items.get(attribute(reference, "idref"))
        if item is not None and attribute(item, "media-type") == _PAGE_TYPE:
            folder = posixpath.dirname(package)
            yield posixpath.normpath(posixpath.join(folder, unquote(attribute(item, "href"))))


class _Reader:
    """Paragraphs of the pages that were read.

    A chapter begins with each page, and within a page with each part that is a chapter or a work
    of its own (`article`). Chapters without a paragraph get no number.
    """

    def __init__(self) -> None:
        self.paragraphs: list[Paragraph] = []
        self._chapter = 1

    def read_page(self, root: Element) -> None:
        for body in root:
            if local_name(body) == "body" and "bodymatter" in _types(body):
                self._begin_chapter()
                self._read(body, in_play=False)

    def _begin_chapter(self) -> None:
        if self.paragraphs and self.paragraphs[-1].chapter == self._chapter:
            self._chapter += 1

    def _read(self, element: Element, *, in_play: bool) -> None:
        name, types = local_name(element), _types(element)
        in_play = in_play or "drama" in types
        if not name or name in _SKIPPED_TAGS or _SKIPPED_TYPES & types:
            return
        if name == "article" or (name == "section" and "chapter" in types):
            self._begin_chapter()
        if name == "table":
            if in_play:
                self._read_play(element)
        elif any(local_name(child) in _BLOCKS for child in element):
            self._read_children(element, in_play=in_play)
        else:
            self._add(text_of(element))

    def _read_children(self, element: Element, *, in_play: bool) -> None:
        for child in element:
            self._read(child, in_play=in_play)

    def _read_play(self, table: Element) -> None:
        """Read a table of speeches; one without a name continues what was said together."""
        for row in table.iter():
            if local_name(row) != "tr":
                continue
            cells = [cell for cell in row if local_name(cell) == "td"]
            names = [text_of(cell) for cell in cells if "persona" in _types(cell)]
            speech = "\n".join(
                text
                for cell in cells
                if "persona" not in _types(cell)
                for text in _texts_of(cell)
                if text
            )
            self._add(f"{names[0].upper()}: {speech}" if names and names[0] else speech)

    def _add(self, text: str) -> None:
        if text:
            self.paragraphs.append(Paragraph(self._chapter, text))


def text_of(element: Element) -> str:
    """Return the text of a paragraph, a line break where the edition has one."""
    text = "".join(_pieces(element)).translate(_REMOVED)
    return _LINE_END.sub("\n", _SPACES.sub(" ", text)).strip()


def _texts_of(cell: Element) -> Iterator[str]:
    """Yield the stanzas or paragraphs of a speech; most speeches have neither."""
    blocks = [child for child in cell.iter() if local_name(child) in ("p", "li")]
    yield from map(text_of, blocks or [cell])


def _pieces(element: Element) -> Iterator[str]:
    name, types = local_name(element), _types(element)
    if name == "br":
        yield "\n"
    if not name or name == "br" or name in _SKIPPED_TAGS or _NOTE_TYPES & types:
        return
    is_direction = name in ("i", "span") and "stage-direction" in types
    if is_direction:
        yield "("
    yield _unwrapped(element.text)
    for child in element:
        yield from _pieces(child)
        yield _unwrapped(child.tail)
    if is_direction:
        yield ")"


def _unwrapped(text: str | None) -> str:
    """Return a text of the source, whose own line ends are spaces."""
    return (text or "").replace("\n", " ")


def _types(element: Element) -> set[str]:
    """Return what an element is, without the vocabularies' prefixes."""
    return {each.rpartition(":")[2] for each in element.get(_TYPE, "").split()}
