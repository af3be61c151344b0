"""Word and OpenDocument texts: the paragraphs of DOCX and ODT files."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.archives import Archive, locked
from lorelm.corpus.formats.paragraphs import read_paragraphs
from lorelm.corpus.formats.xml import Element, attribute, local_name, parse_xml
from lorelm.corpus.structure import Content

# What was deleted with changes tracked, and what is no text of the paragraph.
_SKIPPED_IN_WORD: Final = frozenset(
    ("del", "movefrom", "instrtext", "deltext", "ppr", "rpr", "txbxcontent", "footnotereference")
)
_SKIPPED_IN_ODT: Final = frozenset(
    ("tracked-changes", "annotation", "annotation-end", "note", "frame", "sequence-decls", "forms")
)
_SKIPPED_PARTS_OF_ODT: Final = frozenset(
    ("table-of-content", "alphabetical-index", "tracked-changes", "sequence-decls", "annotation")
)

_SPACES: Final = re.compile(r"\s+")

# Styles of screenplays: what bears one of them belongs to the paragraph below.
_CUE_STYLES: Final = ("character", "parenthetical")


def read_docx(path: Path, content: bytes, options: ReadingOptions) -> Content:
    """Read the paragraphs of a Word file.

    Headers, footers, notes, comments and deleted text are left out.
    """
    root = parse_xml(path, Archive(path, content).read("word/document.xml"), "word/document.xml")
    # Alternative content repeats a text box for older programs.
    found = list(_outside(root, ("p",), frozenset(("fallback", "txbxcontent", "del"))))
    styles = [_word_style(element) for element in found]
    texts = ["".join(_word_text(element)) for element in found]
    keep = [number for number, style in enumerate(styles) if not style.startswith("toc")]
    return _content(path, [texts[i] for i in keep], [styles[i] for i in keep], options)


def read_odt(path: Path, content: bytes, options: ReadingOptions) -> Content:
    """Read the paragraphs and headings of an OpenDocument text."""
    archive = Archive(path, content)
    manifest = "META-INF/manifest.xml"
    if manifest in archive and b"encryption-data" in archive.read(manifest):
        raise locked(path)
    root = parse_xml(path, archive.read("content.xml"), "content.xml")
    body = next((element for element in root.iter() if local_name(element) == "text"), root)
    found = list(_outside(body, ("p", "h"), _SKIPPED_PARTS_OF_ODT | {"frame", "note"}))
    styles = _parent_styles(root)
    names = [attribute(element, "style-name") for element in found]
    return _content(
        path,
        ["".join(_odt_text(element)) for element in found],
        [styles.get(name, name).lower() for name in names],
        options,
    )


def _content(
    path: Path, texts: Sequence[str], styles: Sequence[str], options: ReadingOptions
) -> Content:
    glued = frozenset(n for n, style in enumerate(styles) if style.startswith(_CUE_STYLES))
    return read_paragraphs(path, texts, options, glued=glued)


def _outside(root: Element, names: tuple[str, ...], skipped: frozenset[str]) -> Iterator[Element]:
    """Yield elements by name in the order of the document, without those inside skipped ones."""
    steps = [root]
    while steps:
        element = steps.pop()
        name = local_name(element)
        if name in skipped:
            continue
        if name in names:
            yield element
        steps += reversed(element)


def _word_style(paragraph: Element) -> str:
    for element in paragraph.iterchildren():
        if local_name(element) == "ppr":
            for style in element.iterchildren():
                if local_name(style) == "pstyle":
                    return attribute(style, "val").lower()
    return ""


def _word_text(paragraph: Element) -> Iterator[str]:
    skipped = _SKIPPED_IN_WORD | {"fallback", "p"}
    for child in paragraph.iterchildren():
        for element in _outside(child, ("t", "tab", "br", "cr", "nobreakhyphen"), skipped):
            name = local_name(element)
            if name == "t":
                yield element.text or ""
            elif name == "nobreakhyphen":
                yield "-"
            elif attribute(element, "type") in ("", "textWrapping"):
                yield "\t" if name == "tab" else "\n"


def _odt_text(paragraph: Element) -> Iterator[str]:
    """Yield the text of a paragraph; an ODT counts repeated spaces, and white space is one."""
    steps: list[str | Element] = [paragraph]
    while steps:
        step = steps.pop()
        if isinstance(step, str):
            yield step
            continue
        name = local_name(step)
        if name in _SKIPPED_IN_ODT or (name in ("p", "h") and step is not paragraph):
            continue
        if name in ("line-break", "tab", "s"):
            count = attribute(step, "c")
            spaces = " " * min(int(count) if count.isdigit() else 1, 100)
            yield {"line-break": "\n", "tab": "\t", "s": spaces}[name]
        following: list[str | Element] = [_SPACES.sub(" ", step.text or "")]
        for child in step:
            following += [child, _SPACES.sub(" ", child.tail or "")]
        steps += reversed(following)


def _parent_styles(root: Element) -> dict[str, str]:
    """Return the named style behind each automatic one ("P3" -> "Character")."""
    return {
        attribute(style, "name"): attribute(style, "parent-style-name")
        for style in root.iter()
        if local_name(style) == "style" and attribute(style, "parent-style-name")
    }
