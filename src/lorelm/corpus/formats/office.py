"""Word and OpenDocument texts: the paragraphs of DOCX and ODT files."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.archives import Archive, locked
from lorelm.corpus.formats.formatted_scripts import CUE_STYLES, Paragraph, Run, with_colons
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

_STRONG_STYLE: Final = re.compile(r"strong|bold|character|speaker|name", re.I)
_STRONG_IN_WORD: Final = ("b", "u", "caps", "smallcaps")
_STRONG_IN_ODT: Final = (
    ("font-weight", "bold"),
    ("text-transform", "uppercase"),
    ("font-variant", "small-caps"),
    ("text-underline-style", "solid"),
)


def read_docx(path: Path, content: bytes, options: ReadingOptions) -> Content:
    """Read the paragraphs of a Word file.

    Headers, footers, notes, comments and deleted text are left out.
    """
    root = parse_xml(path, Archive(path, content).read("word/document.xml"), "word/document.xml")
    # Alternative content repeats a text box for older programs.
    found = list(_outside(root, ("p",), frozenset(("fallback", "txbxcontent", "del"))))
    paragraphs = [
        Paragraph(
            runs=list(_word_runs(element)),
            style=_word_style(element),
            is_name_cell=_is_name_cell(element, "tc"),
        )
        for element in found
    ]
    kept = [paragraph for paragraph in paragraphs if not paragraph.style.startswith("toc")]
    return _content(path, kept, options)


def read_odt(path: Path, content: bytes, options: ReadingOptions) -> Content:
    """Read the paragraphs and headings of an OpenDocument text."""
    archive = Archive(path, content)
    manifest = "META-INF/manifest.xml"
    if manifest in archive and b"encryption-data" in archive.read(manifest):
        raise locked(path)
    root = parse_xml(path, archive.read("content.xml"), "content.xml")
    body = next((element for element in root.iter() if local_name(element) == "text"), root)
    found = list(_outside(body, ("p", "h"), _SKIPPED_PARTS_OF_ODT | {"frame", "note"}))
    parents, formats = _parent_styles(root), _formats(root)
    names = [attribute(element, "style-name") for element in found]
    paragraphs = [
        Paragraph(
            runs=list(_odt_runs(element, formats)),
            style=parents.get(name, name).lower(),
            is_name_cell=_is_name_cell(element, "table-cell"),
        )
        for element, name in zip(found, names, strict=True)
    ]
    return _content(path, paragraphs, options)


def _content(path: Path, paragraphs: Sequence[Paragraph], options: ReadingOptions) -> Content:
    glued = frozenset(n for n, p in enumerate(paragraphs) if p.style.startswith(CUE_STYLES))
    texts = [paragraph.text for paragraph in paragraphs]
    content = read_paragraphs(path, texts, options, glued=glued)
    if content.kind == "script" or options.document in ("line", "paragraph"):
        return content
    notes: list[str] = []
    script = with_colons(paragraphs, notes)
    as_script = read_paragraphs(path, script, options) if script else content
    return as_script.with_notes(notes) if as_script.kind == "script" else content


def _is_name_cell(paragraph: Element, cell: str) -> bool:
    """Return whether a paragraph is all that stands in the first cell of a row of two."""
    parent = paragraph.getparent()
    row = parent.getparent() if parent is not None and local_name(parent) == cell else None
    if row is None:
        return False
    cells = [child for child in row if local_name(child) == cell]
    num_paragraphs = sum(local_name(child) == "p" for child in parent)
    return len(cells) == 2 and cells[0] is parent and num_paragraphs == 1


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


def _word_runs(paragraph: Element) -> Iterator[Run]:
    skipped = _SKIPPED_IN_WORD | {"fallback", "p"}
    for child in paragraph.iterchildren():
        for element in _outside(child, ("t", "tab", "br", "cr", "nobreakhyphen"), skipped):
            name = local_name(element)
            text = ""
            if name == "t":
                text = element.text or ""
            elif name == "nobreakhyphen":
                text = "-"
            elif attribute(element, "type") in ("", "textWrapping"):
                text = "\t" if name == "tab" else "\n"
            yield Run(text, *_word_format(element.getparent()))


def _word_format(run: Element) -> tuple[bool, bool]:
    """Return whether a run stands out, and whether it is italic."""
    properties = next((child for child in run if local_name(child) == "rpr"), ())
    values = {local_name(each): attribute(each, "val") for each in properties}
    formats = {name for name, value in values.items() if value not in ("0", "false", "none")}
    style = values.get("rstyle", "")
    stands_out = not formats.isdisjoint(_STRONG_IN_WORD) or bool(_STRONG_STYLE.search(style))
    return stands_out, "i" in formats or style == "Emphasis"


def _odt_runs(paragraph: Element, formats: Mapping[str, tuple[bool, bool]]) -> Iterator[Run]:
    """Yield the text of a paragraph; an ODT counts repeated spaces, and white space is one."""
    own = formats.get(attribute(paragraph, "style-name"), (False, False))
    steps: list[tuple[str | Element, tuple[bool, bool]]] = [(paragraph, own)]
    while steps:
        step, outer = steps.pop()
        if isinstance(step, str):
            yield Run(step, *outer)
            continue
        name = local_name(step)
        if name in _SKIPPED_IN_ODT or (name in ("p", "h") and step is not paragraph):
            continue
        if name in ("line-break", "tab", "s"):
            count = attribute(step, "c")
            spaces = " " * min(int(count) if count.isdigit() else 1, 100)
            yield Run({"line-break": "\n", "tab": "\t", "s": spaces}[name], *outer)
        inner = formats.get(attribute(step, "style-name"), outer) if name == "span" else outer
        following: list[tuple[str | Element, tuple[bool, bool]]] = [
            (_SPACES.sub(" ", step.text or ""), inner)
        ]
        for child in step:
            following += [(child, inner), (_SPACES.sub(" ", child.tail or ""), inner)]
        steps += reversed(following)


def _formats(root: Element) -> dict[str, tuple[bool, bool]]:
    """Return of each automatic style whether it stands out, and whether it is italic."""
    formats = {"Strong_20_Emphasis": (True, False), "Emphasis": (False, True)}
    for style in root.iter():
        if local_name(style) != "style":
            continue
        for properties in style:
            if local_name(properties) == "text-properties":
                stands_out = any(attribute(properties, n) == value for n, value in _STRONG_IN_ODT)
                is_italic = attribute(properties, "font-style") == "italic"
                formats[attribute(style, "name")] = (stands_out, is_italic)
    return formats


def _parent_styles(root: Element) -> dict[str, str]:
    """Return the named style behind each automatic one ("P3" -> "Character")."""
    return {
        attribute(style, "name"): attribute(style, "parent-style-name")
        for style in root.iter()
        if local_name(style) == "style" and attribute(style, "parent-style-name")
    }
