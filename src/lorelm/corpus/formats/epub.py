"""Books in EPUB: the chapters in the order of the spine (https://www.w3.org/TR/epub-33/)."""

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.archives import Archive
from lorelm.corpus.formats.html import paragraphs_of
from lorelm.corpus.formats.paragraphs import read_paragraphs
from lorelm.corpus.formats.xml import Element, attribute, local_name, parse_xhtml, parse_xml
from lorelm.corpus.structure import Content
from lorelm.errors import CorpusError

_CONTAINER: Final = "META-INF/container.xml"
_ENCRYPTION: Final = "META-INF/encryption.xml"
_PAGE_TYPES: Final = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def read(path: Path, content: bytes, options: ReadingOptions) -> Content:
    """Read the paragraphs of a book.

    Raises:
        CorpusError: it is damaged, or its chapters are encrypted.
    """
    archive = Archive(path, content)
    chapters = list(_chapters(path, archive))
    locked = _encrypted(path, archive)
    if locked.intersection(chapters):
        raise CorpusError(
            f"{path} is locked by its shop (DRM): no program but the shop's can read it; take a "
            "copy without DRM",
            code="corpus.locked",
        )
    paragraphs = [
        paragraph
        for chapter in chapters
        for paragraph in paragraphs_of(parse_xhtml(path, archive.read(chapter), chapter))
    ]
    return read_paragraphs(path, paragraphs, options)


def _chapters(path: Path, archive: Archive) -> Iterator[str]:
    """Yield the names of the pages in reading order, without the table of contents."""
    package = _package(path, archive)
    root = parse_xml(path, archive.read(package), package)
    items = {attribute(item, "id"): item for item in root.iter() if local_name(item) == "item"}
    for reference in root.iter():
        if local_name(reference) != "itemref" or attribute(reference, "linear") == "no":
            continue
        item = items.get(attribute(reference, "idref"))
        if item is None or attribute(item, "media-type") not in _PAGE_TYPES:
            continue
        if "nav" not in attribute(item, "properties").split():
            yield _resolved(package, attribute(item, "href"))


def _package(path: Path, archive: Archive) -> str:
    root = parse_xml(path, archive.read(_CONTAINER), _CONTAINER)
    for element in root.iter():
        if local_name(element) == "rootfile" and attribute(element, "full-path"):
            return attribute(element, "full-path")
    raise CorpusError(
        f"{path} is damaged: {_CONTAINER} names no package of chapters; download it again",
        code="corpus.damaged",
    )


def _encrypted(path: Path, archive: Archive) -> set[str]:
    """Return the names of the encrypted parts; in books without DRM these are fonts."""
    if _ENCRYPTION not in archive:
        return set()
    root: Element = parse_xml(path, archive.read(_ENCRYPTION), _ENCRYPTION)
    return {
        unquote(attribute(element, "URI"))
        for element in root.iter()
        if local_name(element) == "cipherreference"
    }


def _resolved(package: str, href: str) -> str:
    folder = posixpath.dirname(package)
    return posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0])))
