"""Paragraphs of printed pages, told by the places of their lines."""

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final

from lorelm.corpus.plain_text import unwrapped
from lorelm.corpus.structure import SENTENCE_END

_PARAGRAPH_GAP: Final = 1.25
"""Times the usual distance of two lines; from here on, they belong to different paragraphs."""

_INDENT: Final = 0.5
"""Times the height of a line. One that begins so far right of the line before is indented."""

_HEADING_SIZE: Final = 1.2
"""Times the height of the smaller of two lines. From here on, the larger one is a heading."""

_SPACE: Final = 0.25
"""Width of a space, in heights of a line."""

_MIN_PAGES: Final = 3
_HEAD_SHARE: Final = 0.2
"""Of the pages. A line at their top or bottom on so many is a running head."""

_NUMBER: Final = re.compile(r"^\W*(?:page\s+)?(?:\d{1,4}|[ivxlc]+)(?:\s*(?:/|of)\s*\d+)?\W*$", re.I)


_FULL_SHARE: Final = 0.2
"""Of the lines. With fewer full ones, the text is verse, or a list, and none are joined."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page.

    Attributes:
        left, right, bottom, height: in points, from the left lower corner of the page.
        first_word: width of its first word.
    """

    text: str
    left: float
    right: float
    bottom: float
    height: float
    first_word: float


def text_of_pages(pages: Sequence[Sequence[Line]], notes: list[str]) -> str:
    """Join the lines of each paragraph, with a blank line between paragraphs.

    A line is joined with the next one if that one's first word would not have fit on it. Others
    stay apart: verse, and the cues and speeches of a script.

    Args:
        notes: takes what was left out, in a sentence for the user.
    """
    lines = list(_without_heads(pages, notes))
    known = Counter(re.findall(r"[\w-]+", "\n".join(line.text for line in lines)))
    rights = sorted(line.right for line in lines)
    margin = rights[int(0.95 * len(rights))] if rights else 0.0
    distance = _line_distance(lines)
    is_prose = _full_share(lines, margin) >= _FULL_SHARE
    texts: list[str] = []
    joined: list[str] = []
    for line, following in pairwise((*lines, None)):
        assert line is not None
        joined.append(line.text)
        is_full = is_prose and _is_full(line, following, margin)
        is_apart = following is None or _is_apart(line, following, distance, is_full=is_full)
        if is_apart or not is_full:
            texts.append(unwrapped(joined, known))
            texts.append("\n\n" if is_apart else "\n")
            joined = []
    return "".join(texts).strip("\n")


def _without_heads(pages: Sequence[Sequence[Line]], notes: list[str]) -> Iterator[Line]:
    """Yield the lines of all pages but for page numbers and running heads."""
    ends = [{0, len(page) - 1} if page else set() for page in pages]
    counts = Counter(
        chain.from_iterable(
            {_head(page[place]) for place in places}
            for page, places in zip(pages, ends, strict=True)
        )
    )
    least = max(_MIN_PAGES, _HEAD_SHARE * len(pages))
    num_dropped = 0
    for page, places in zip(pages, ends, strict=True):
        for place, line in enumerate(page):
            head = _head(line) if place in places else ""
            if head and counts[head] >= least:
                num_dropped += 1
            else:
                yield line
    if num_dropped:
        notes.append(f"{num_dropped:,} page numbers and running heads are left out.")


def _head(line: Line) -> str:
    """Return what the heads of all pages share; of page numbers, that they are some."""
    return "#" if _NUMBER.match(line.text) else re.sub(r"[\d\W]+", " ", line.text).strip()


def _line_distance(lines: Sequence[Line]) -> float:
    """Return the usual distance of two lines of a paragraph, where most lines stand."""
    distances = [
        above.bottom - below.bottom
        for above, below in pairwise(lines)
        if 0 < above.bottom - below.bottom < 5 * above.height
    ]
    return statistics.median_low(distances) if distances else 0.0


def _is_apart(line: Line, following: Line, distance: float, *, is_full: bool) -> bool:
    """Return whether a paragraph ends between two lines."""
    gap = line.bottom - following.bottom
    sizes = sorted((line.height, following.height))
    if sizes[1] > _HEADING_SIZE * sizes[0] > 0:
        return True
    if following.left > line.left + _INDENT * line.height:
        return True
    if gap < -0.5 * line.height:  # on the next page
        return not is_full and bool(SENTENCE_END.search(line.text))
    return gap > _PARAGRAPH_GAP * distance > 0


def _full_share(lines: Sequence[Line], margin: float) -> float:
    """Return the share of lines that are full: most of prose, few of verse."""
    pairs = list(pairwise(lines))
    return sum(_is_full(*pair, margin) for pair in pairs) / max(1, len(pairs))


def _is_full(line: Line, following: Line | None, margin: float) -> bool:
    if following is None:
        return False
    return line.right + _SPACE * line.height + following.first_word > margin
