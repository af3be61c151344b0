"""XML and HTML trees, parsed by lxml without entities, network or external files."""

import html
import re
from pathlib import Path
from typing import Any, Final

from lorelm.errors import CorpusError, MissingExtraError

try:
    from lxml import etree
except ImportError as error:
    raise MissingExtraError("reading DOCX, ODT, EPUB, HTML and FDX files", "formats") from error

_ENTITY_DECLARATION: Final = re.compile(rb"<!ENTITY", re.I)
_DOCTYPE: Final = re.compile(rb"<!DOCTYPE[^>\[]*>", re.I)
_NAMED_REFERENCE: Final = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos);)(\w+);")

Element = Any
"""An element of lxml, whose stubs are no dependency of this project."""


def parse_xml(path: Path, content: bytes, part: str = "") -> Element:
    """Return the root of an XML document.

    Args:
        path: of the file, for messages.
        part: of the file that holds the document.

    Raises:
        CorpusError: it is not well-formed, or it declares entities, which can grow without limit.
    """
    where = f"{path} ({part})" if part else str(path)
    if _ENTITY_DECLARATION.search(content) or _ENTITY_DECLARATION.search(
        content.replace(b"\0", b"")
    ):
        raise CorpusError(
            f"{where} is refused: it declares XML entities, which no text needs; save it again "
            "with another program",
            code="corpus.xml_entities",
        )
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)
    try:
        return etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f" in line {line}" if line else ""
        raise CorpusError(
            f"{where} is damaged{place} ({_first_line(error)}): save it again",
            code="corpus.damaged",
        ) from error


def parse_xhtml(path: Path, content: bytes, part: str = "") -> Element:
    """Return the root of an XHTML document, or of HTML that takes its place.

    HTML's named characters (``&nbsp;``) are resolved beforehand, for want of the DTD.
    """
    plain = _DOCTYPE.sub(b"", content)
    plain = _NAMED_REFERENCE.sub(_resolved, plain)
    try:
        return parse_xml(path, plain, part)
    except CorpusError as error:
        if error.code != "corpus.damaged":
            raise
    return parse_html(path, content.decode("utf-8", "replace"))


def parse_html(path: Path, text: str) -> Element:
    """Return the root of an HTML page, however it is written.

    Raises:
        CorpusError: there is no element in it.
    """
    # Null characters and lone surrogates are no text of a page.
    encoded = text.encode("utf-8", "replace")
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True)
    try:
        root = etree.fromstring(encoded, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise CorpusError(
            f"{path} is damaged ({_first_line(error)}): save the page again",
            code="corpus.damaged",
        ) from error
    if root is None:
        raise CorpusError(
            f"{path} holds no document with a word in it: is it the right file?",
            code="corpus.no_words",
        )
    return root


def local_name(element: Element) -> str:
    """Return the tag of an element without its namespace, in small letters; "" of no element."""
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def attribute(element: Element, name: str) -> str:
    """Return the value of an attribute, whatever its namespace is."""
    return next(
        (str(value) for key, value in element.attrib.items() if key.rpartition("}")[2] == name), ""
    )


def _resolved(reference: re.Match[bytes]) -> bytes:
    written = reference[0].decode("ascii", "replace")
    meant = html.unescape(written)
    return reference[0] if meant == written else meant.encode("ascii", "xmlcharrefreplace")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "it ends too early").splitlines()[0].partition(", line ")[0]
