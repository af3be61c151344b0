"""What ``lorelm inspect`` says of a text, as pictures: :func:`pictures_of`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lorelm.translations import gettext_noop

_MAX_SPEAKERS: Final = 8
_SCALE_DECADES: Final = (2, 7)
"""The scale of the text's size goes from a hundred to ten million tokens."""

SIZES: Final = (
    (1_000, gettext_noop("a few pages")),
    (20_000, gettext_noop("a story")),
    (200_000, gettext_noop("a novel")),
    (10_000_000, gettext_noop("a shelf of books")),
)
"""Names of the zones of the scale, with their ends in tokens.

Whether that is enough the verdict alone says: it depends on the start of the training, too.
"""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A number, drawn as a share of the largest one."""

    name: str
    value: int
    share: float


@dataclass(frozen=True, kw_only=True)
class Zone:
    """A part of the scale of sizes, from `begin` to `end` in per cent."""

    name: str
    begin: float
    end: float
    is_here: bool


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a document, with the name of its speaker."""

    speaker: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What the page draws.

    Attributes:
        place: of this text on the scale of sizes, in per cent.
        known_share: of the words of held-out text, those that the model would know; None where
            there is too little text to tell.
        num_more_speakers: beside those that have a bar.
    """

    place: float
    zones: Sequence[Zone]
    known_share: float | None
    speakers: Sequence[Bar]
    num_more_speakers: int
    documents: Sequence[Sequence[Line]]


def pictures_of(report: Mapping[str, Any]) -> Pictures:
    """Return what to draw of a report."""
    num_tokens, speakers = report["tokens"], report["speakers"]
    most = max(speakers.values(), default=1)
    rates = [cut_off["unknown_rate"] for cut_off in report["cut_offs"]]
    known = 1 - min(rates) if rates and not math.isnan(min(rates)) else None
    shown = [*speakers.items()][:_MAX_SPEAKERS]
    return Pictures(
        place=_place(num_tokens),
        zones=_zones(num_tokens),
        known_share=known,
        speakers=[Bar(name=name, value=n, share=n / most) for name, n in shown],
        num_more_speakers=len(speakers) - len(shown),
        documents=[_lines(text, speakers) for text in report["first_documents"]],
    )


def _place(num_tokens: int) -> float:
    first, last = _SCALE_DECADES
    decades = math.log10(max(num_tokens, 1))
    return round(100 * min(max((decades - first) / (last - first), 0), 1), 1)


def _zones(num_tokens: int) -> list[Zone]:
    zones, begin = [], 0
    for end, name in SIZES:
        is_last = end == SIZES[-1][0]
        is_here = begin <= num_tokens < end or (is_last and num_tokens >= end)
        zones.append(Zone(name=name, begin=_place(begin), end=_place(end), is_here=is_here))
        begin = end
    return zones


def _lines(document: str, speakers: Mapping[str, int]) -> list[Line]:
    lines = []
    for line in document.split("\n"):
        name, colon, text = line.partition(":")
        is_cue = bool(colon) and name in speakers
        lines.append(Line(speaker=name if is_cue else "", text=text.strip() if is_cue else line))
    return lines
