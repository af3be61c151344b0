"""The structure of a plain text, recognised by its shape: lines, prose, verse, or a script."""

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from lorelm.corpus.documents import DocumentUnit
from lorelm.corpus.near_scripts import near_script_warning
from lorelm.corpus.scripts import read_script
from lorelm.corpus.structure import (
    SENTENCE_END,
    Content,
    TextKind,
    Turn,
    count_blocks,
    goes_on,
    would_not_fit,
)

_GUTENBERG_START: Final = re.compile(r"^\*\*\* ?START OF TH(?:E|IS) PROJECT GUTENBERG.*$", re.M)
_GUTENBERG_END: Final = re.compile(r"^\*\*\* ?END OF TH(?:E|IS) PROJECT GUTENBERG.*$", re.M)
_PAGE_NUMBER: Final = re.compile(r"^\W{0,3}(?:page\s+)?(\d{1,4})\W{0,3}$", re.I)
_HEADING: Final = re.compile(
    r"^(?:(?:chapter|book|part|act|scene|letter|canto|prologue|epilogue)\b.{0,60}"
    r"|[IVXLC]+\.?|(?:\*\s*){3,}|#{1,6} .*)$",
    re.I,
)
_HYPHENATED: Final = re.compile(r"\b(\w+)[-‐\u00ad]\n\s*(\w+)")

# Of text that a program has wrapped, the next word would not have fit on 95 % of the lines within a
# paragraph; of verse and of separate lines, on less than 20 %.
_WRAPPED_SHARE: Final = 0.6
_WRAPPED_WIDTHS: Final = range(30, 133)
_MARGIN: Final = 10
_MIN_AT_MARGIN: Final = 0.1
_VERSE_WIDTH: Final = 60
_STANZA_LINES: Final = 2
_MIN_BLOCKS: Final = 4
_MAX_BLOCK_LINES: Final = 20
_PROSE_WORDS: Final = 25
_MIN_PAGES: Final = 3
_LINES_OF_PAGE: Final = range(15, 90)


def read_plain_text(text: str, *, source: str, unit: DocumentUnit | None) -> Content:
    """Find the structure of a text.

    With the unit `line`, the text is taken as it is. Else the header and licence of Project
    Gutenberg, page numbers and running heads are left out, and what was wrapped is joined.

    Args:
        unit: what a document is to be; None leaves the choice to the kind of text.
    """
    if unit == "line":
        return _content("lines", [[*map(Turn, text.split("\n"))]], source, [])
    notes: list[str] = []
    text = _without_gutenberg(text, notes)
    lines = _without_pages([line.rstrip() for line in text.expandtabs(4).split("\n")], notes)
    script = read_script(lines) if unit != "paragraph" else None
    if script is not None:
        return _content("script", script, source, notes)
    content = _read_prose(lines, source, unit, notes)
    warning = near_script_warning(text.split("\n"), source) if unit in (None, "scene") else None
    return replace(content, warnings=[warning] if warning else [])


def _read_prose(
    lines: Sequence[str], source: str, unit: DocumentUnit | None, notes: list[str]
) -> Content:
    """Return the lines or paragraphs of a text that is no script."""
    shape = _Shape.of(lines)
    kind = shape.kind
    if kind == "lines" and unit is None:
        return _content("lines", [[*map(Turn, lines)]], source, notes)
    if kind == "wrapped prose":
        paragraphs = _wrapped_paragraphs(lines, shape)
        notes.append(f"Lines of {source} that were wrapped at {shape.width} characters are joined.")
    elif shape.num_blocks > 1 and (kind != "lines" or unit == "paragraph"):
        paragraphs = _plain_paragraphs(lines)
    else:
        paragraphs = [line for line in lines if line.strip()]
    return _content(kind, _sections(paragraphs), source, notes)


def _content(
    kind: TextKind, scenes: Sequence[Sequence[Turn]], source: str, notes: Sequence[str]
) -> Content:
    return Content(kind=kind, works=[scenes], source=source, notes=notes)


def _without_gutenberg(text: str, notes: list[str]) -> str:
    start, end = _GUTENBERG_START.search(text), _GUTENBERG_END.search(text)
    if start is None and end is None:
        return text
    notes.append("Project Gutenberg's header and licence are left out.")
    return text[start.end() if start else 0 : end.start() if end else len(text)]


def _without_pages(lines: Sequence[str], notes: list[str]) -> list[str]:
    """Leave out page numbers that count up, and the running heads beside them."""
    pages = _page_numbers(lines)
    breaks = [place for place, line in enumerate(lines) if "\f" in line]
    beside = Counter(
        _head(lines[near]) for place in (*pages, *breaks) for near in _neighbours(lines, place)
    )
    heads = {head for head, count in beside.items() if head and count >= _MIN_PAGES}
    dropped = {*pages}
    for place in (*pages, *breaks):
        dropped |= {near for near in _neighbours(lines, place) if _head(lines[near]) in heads}
    if dropped:
        notes.append(f"{len(dropped):,} page numbers and running heads are left out.")
    # What stood before and after a page goes on, so the blank lines around it go too.
    return _joined_pages(lines, dropped)


def _page_numbers(lines: Sequence[str]) -> list[int]:
    """Return the places of numbers that count up and are as far apart as pages are."""
    pages: list[int] = []
    last: int | None = None
    for place, line in enumerate(lines):
        found = _PAGE_NUMBER.match(line.replace("\f", "").strip())
        if found and (last is None or last < int(found[1]) <= last + 3):
            pages.append(place)
            last = int(found[1])
    gaps = [after - before for before, after in pairwise(pages)]
    if len(pages) < _MIN_PAGES or int(statistics.median(gaps)) not in _LINES_OF_PAGE:
        return []
    return pages


def _joined_pages(lines: Sequence[str], dropped: set[int]) -> list[str]:
    kept: list[str] = []
    after_page = False
    for place, line in enumerate(lines):
        if place in dropped:
            while kept and not kept[-1]:
                kept.pop()
            after_page = True
        elif not (after_page and not line.strip("\f ")):
            kept.append(line.replace("\f", ""))
            after_page = False
    return kept


def _head(line: str) -> str:
    return re.sub(r"[\d\W]+", " ", line).strip()


def _neighbours(lines: Sequence[str], place: int) -> list[int]:
    """Return the places of the line itself and of the nearest ones with text around it."""
    before = next((i for i in range(place - 1, max(-1, place - 4), -1) if lines[i].strip()), None)
    after = next(
        (i for i in range(place + 1, min(len(lines), place + 4)) if lines[i].strip()), None
    )
    return [place, *(i for i in (before, after) if i is not None)]


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """What tells the kinds of text apart.

    Attributes:
        width: of the longest lines, but for a few.
        num_blocks: runs of lines without a blank line among them, and `block_lines`, the lines of
            one on average.
        wrapped_share: of the lines with a line after them, those that the next word would not
            have fit on.
        is_cut_off: whether the longest lines end at a margin, and go on in the next line.
        mean_words: words of a line.
    """

    width: int
    num_blocks: int
    block_lines: float
    wrapped_share: float
    is_cut_off: bool
    mean_words: float
    median_width: float

    @classmethod
    def of(cls, lines: Sequence[str]) -> "_Shape":
        texts = [line for line in lines if line.strip()]
        widths = sorted(map(len, texts)) or [0]
        width = widths[int(0.98 * (len(widths) - 1))]
        pairs = [(a, b) for a, b in pairwise(lines) if a.strip() and b.strip()]
        wrapped = [b for a, b in pairs if would_not_fit(a, b, width)]
        cut_off = [(a, b) for a, b in pairs if len(a) > width - _MARGIN]
        at_margin = [b for a, b in cut_off if not SENTENCE_END.search(a)]
        num_blocks = count_blocks(lines)
        return cls(
            width=width,
            num_blocks=num_blocks,
            block_lines=len(texts) / max(1, num_blocks),
            wrapped_share=len(wrapped) / len(pairs) if goes_on(wrapped) else 0.0,
            is_cut_off=goes_on(at_margin) and len(at_margin) >= _MIN_AT_MARGIN * len(texts),
            mean_words=statistics.mean(len(line.split()) for line in texts) if texts else 0,
            median_width=statistics.median(widths),
        )

    @property
    def kind(self) -> TextKind:
        is_wrapped = self.wrapped_share >= _WRAPPED_SHARE or self.is_cut_off
        if self.width in _WRAPPED_WIDTHS and is_wrapped:
            return "wrapped prose"
        has_blocks = self.num_blocks >= _MIN_BLOCKS and self.block_lines <= _MAX_BLOCK_LINES
        if has_blocks and self.block_lines >= _STANZA_LINES and self.median_width <= _VERSE_WIDTH:
            return "verse"
        if has_blocks or self.mean_words >= _PROSE_WORDS:
            return "paragraphs"
        return "lines"


def _wrapped_paragraphs(lines: Sequence[str], shape: _Shape) -> list[str]:
    """Join wrapped lines; a paragraph ends at a blank line, or where more would have fit."""
    text = "\n".join(lines)
    known = Counter(re.findall(r"[\w-]+", text))
    paragraphs: list[list[str]] = [[]]
    for line, following in pairwise((*lines, "")):
        if line.strip():
            paragraphs[-1].append(line.strip())
        ends = not following.strip() or (line.strip() and _starts_paragraph(line, following, shape))
        if ends and paragraphs[-1]:
            paragraphs.append([])
    return [unwrapped(lines, known) for lines in paragraphs if lines]


def _starts_paragraph(line: str, following: str, shape: _Shape) -> bool:
    if would_not_fit(line, following, shape.width):
        return _indent(following) > _indent(line) and bool(SENTENCE_END.search(line))
    if _HEADING.match(line.strip()):
        return True
    return bool(SENTENCE_END.search(line)) or _indent(following) > _indent(line)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def unwrapped(lines: Sequence[str], known: Counter[str]) -> str:
    """Join lines with spaces, and words that were hyphenated at the end of a line."""

    def mend(found: re.Match[str]) -> str:
        whole, hyphenated = found[1] + found[2], f"{found[1]}-{found[2]}"
        is_one_word = known[whole] > known[hyphenated] or (
            known[whole] == known[hyphenated] and found[2].islower()
        )
        return whole if is_one_word else hyphenated

    return " ".join(_HYPHENATED.sub(mend, "\n".join(lines)).split())


def _plain_paragraphs(lines: Sequence[str]) -> list[str]:
    """Take what stands between blank lines."""
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            paragraphs[-1].append(line.strip())
        elif paragraphs[-1]:
            paragraphs.append([])
    return ["\n".join(lines) for lines in paragraphs if lines]


def _sections(paragraphs: Sequence[str]) -> list[list[Turn]]:
    """Begin a section at each heading; a heading stays with what follows it."""
    sections: list[list[Turn]] = [[]]
    for paragraph in paragraphs:
        if _HEADING.match(paragraph) and any(not _HEADING.match(t.text) for t in sections[-1]):
            sections.append([])
        sections[-1].append(Turn(paragraph))
    return [section for section in sections if section]
