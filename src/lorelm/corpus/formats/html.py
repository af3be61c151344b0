"""Web pages: their paragraphs, without navigation, scripts and forms."""

import re
from pathlib import Path
from typing import Final

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.paragraphs import read_paragraphs
from lorelm.corpus.formats.xml import Element, local_name, parse_html
from lorelm.corpus.structure import Content

_SKIPPED: Final = {
    *("head", "script", "style", "noscript", "template", "svg", "math", "nav", "header", "footer"),
    *("aside", "form", "button", "select", "textarea", "iframe", "object", "audio", "video"),
    *("canvas", "map", "figure"),
}
_BLOCKS: Final = {
    *("address", "article", "blockquote", "body", "caption", "center", "dd", "details", "dialog"),
    *("div", "dl", "dt", "fieldset", "h1", "h2", "h3", "h4", "h5", "h6", "hgroup", "hr", "html"),
    *("legend", "li", "main", "menu", "ol", "p", "pre", "section", "summary", "table", "tbody"),
    *("td", "tfoot", "th", "thead", "tr", "ul"),
}
_MAIN: Final = ("main", "article")
_SPACES: Final = re.compile(r"[ \t\r\n\f]+")


def read(path: Path, text: str, options: ReadingOptions) -> Content:
    """Read the paragraphs of a web page."""
    return read_paragraphs(path, paragraphs_of(parse_html(path, text)), options)


def paragraphs_of(root: Element) -> list[str]:
    """Return the paragraphs of a page, or of its main part where it says which that is."""
    for name in _MAIN:
        found = [element for element in root.iter() if local_name(element) == name]
        if len(found) == 1:
            root = found[0]
            break
    collector = _Collector()
    collector.add(root)
    collector.end_paragraph()
    return collector.paragraphs


class _Collector:
    """Paragraphs of the elements that were visited.

    Elements are visited without recursion: a hostile page nests them a hundred thousand deep.
    """

    def __init__(self) -> None:
        self.paragraphs: list[str] = []
        self._open: list[str] = []

    def add(self, root: Element) -> None:
        # A step is an element to enter, or the text after it together with what it ended.
        steps: list[tuple[Element, bool, bool]] = [(root, False, False)]
        while steps:
            element, is_left, keeps_lines = steps.pop()
            if is_left:
                self._leave(element, keeps_lines, has_tail=element is not root)
                continue
            steps.append((element, True, keeps_lines))
            name = local_name(element)
            if name in _SKIPPED or not name or element.get("hidden") is not None:
                continue
            keeps_lines = keeps_lines or name in ("pre", "listing", "xmp")
            self._enter(name)
            self._add_text(element.text, keeps_lines)
            steps += [(child, False, keeps_lines) for child in reversed(element)]

    def end_paragraph(self) -> None:
        lines = [line.strip(" ") for line in "".join(self._open).split("\n")]
        text = "\n".join(lines).strip("\n")
        # A blank line in a preformatted text, or two <br>, end a paragraph.
        self.paragraphs += [part.strip("\n") for part in re.split(r"\n{2,}", text) if part.strip()]
        self._open = []

    def _enter(self, name: str) -> None:
        if name == "br":
            self._open.append("\n")
        elif name in ("td", "th") and self._open:
            self._open.append(" ")
        elif name in _BLOCKS:
            self.end_paragraph()

    def _leave(self, element: Element, keeps_lines: bool, *, has_tail: bool) -> None:
        name = local_name(element)
        if name in _BLOCKS and name not in ("td", "th"):
            self.end_paragraph()
        if has_tail:
            self._add_text(element.tail, keeps_lines)

    def _add_text(self, text: str | None, keeps_lines: bool) -> None:
        if not text:
            return
        if keeps_lines:
            self._open.append(text.replace("\r\n", "\n").replace("\r", "\n").expandtabs())
        elif collapsed := _SPACES.sub(" ", text):
            follows_space = self._open and self._open[-1].endswith((" ", "\n"))
            self._open.append(collapsed.lstrip(" ") if follows_space else collapsed)
