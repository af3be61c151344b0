"""What the drawings are made of: text, boxes, bars and arrows in two colour schemes.

A drawing is 480 units wide, so that its smallest letters are 11 pixels high on a phone. It stands
on a plate of its own, since a site may be dark while the browser prefers light. No font is named.
"""

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final, Literal, get_args

WIDTH: Final = 480
MARGIN: Final = 24
RIGHT: Final = WIDTH - MARGIN

SMALL: Final = 16.5
NORMAL: Final = 18
LARGE: Final = 20

_SMALLEST: Final = 16
"""At a width of 340 pixels this is 11.3 pixels."""

_COLORS: Final = Path(__file__).resolve().parents[2] / "src/lorelm/server/static/colors.css"

Colour = Literal[
    "paper", "ink", "quiet", "rule", "field", "accent", "on-accent", "second",
    "tint-1", "tint-2", "tint-3", "tint-4",
]  # fmt: skip
Anchor = Literal["start", "middle", "end"]

_FONT: Final = 'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif'
_NARROW: Final = "iljtfrI.,:;!'|()[] ·-"
_WIDE: Final = "mwMW%@—"


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a line is drawn."""

    colour: Colour = "quiet"
    width: float = 1.75
    dashed: bool = False


PLAIN: Final = Style()


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a chip is drawn."""

    fill: Colour = "field"
    stroke: Colour | None = "rule"
    colour: Colour = "ink"
    bold: bool = False


CHIP: Final = Look()
STRONG: Final = Look(fill="accent", stroke=None, colour="on-accent", bold=True)


class Drawing:
    """A drawing of some height.

    Args:
        title: what it is, for a screen reader.
        description: what the drawing shows, for screen readers.
    """

    def __init__(self, title: str, description: str, *, height: float) -> None:
        self._title: Final = title
        self._description: Final = description
        self.height: Final = height
        self._parts: Final[list[str]] = []

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = NORMAL,
        colour: Colour = "ink",
        anchor: Anchor = "start",
        bold: bool = False,
    ) -> None:
        """Write a line of text; `y` is its baseline, or its middle for `anchor="middle"`.

        Raises:
            ValueError: it is too small for a phone, or it may leave the plate with a wide font.
        """
        if size < _SMALLEST:
            raise ValueError(f"{text!r} is too small to be read on a phone: {size}")
        width = width_of(text, size=size, bold=bold)
        left = x - width * {"start": 0, "middle": 0.5, "end": 1}[anchor]
        if left < 6 or left + width > WIDTH - 6:
            raise ValueError(f"{text!r} leaves the plate: {left:.0f} to {left + width:.0f}")
        more = ' font-weight="600"' if bold else ""
        if anchor != "start":
            more += f' text-anchor="{anchor}"'
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" class="f-{colour}"{more}>'
            f"{escape(text, quote=False)}</text>"
        )

    def lines(self, x: float, y: float, *texts: str, colour: Colour = "quiet") -> None:
        """Write lines of small text below each other."""
        for i, text in enumerate(texts):
            self.text(x, y + 23 * i, text, size=SMALL, colour=colour)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: Colour = "field",
        stroke: Colour | None = "rule",
        radius: float = 8,
    ) -> None:
        line = f" s-{stroke}" if stroke else ""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" '
            f'class="f-{fill}{line}"/>'
        )

    def chip(
        self, x: float, y: float, width: float, text: str, look: Look = CHIP, *, height: float = 34
    ) -> None:
        """Draw a box with a text in its middle.

        Raises:
            ValueError: the text may be wider than the box.
        """
        if width_of(text, size=SMALL, bold=look.bold) > width - 4:
            raise ValueError(f"{text!r} may not fit into {width}")
        self.box(x, y, width, height, fill=look.fill, stroke=look.stroke, radius=6)
        self.text(
            x + width / 2,
            y + height / 2 + SMALL * 0.35,
            text,
            size=SMALL,
            colour=look.colour,
            anchor="middle",
            bold=look.bold,
        )

    def bar(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """Draw a bar; a pale one has an outline, for its contrast."""
        stroke: Colour | None = "accent" if colour.startswith("tint") else None
        self.box(x, y, max(width, 2), height, fill=colour, stroke=stroke, radius=2)

    def circle(self, x: float, y: float, text: str) -> None:
        """Draw an operation such as × in a circle."""
        self._parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="15" class="f-field s-ink"/>')
        self.text(x, y + LARGE * 0.34, text, size=LARGE, anchor="middle")

    def line(self, *points: tuple[float, float], style: Style = PLAIN) -> None:
        """Draw a line through points."""
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
        dashes = ' stroke-dasharray="5 5"' if style.dashed else ""
        self._parts.append(
            f'<path d="{path}" class="n s-{style.colour}" stroke-width="{style.width:g}"{dashes}/>'
        )

    def arrow(self, *points: tuple[float, float], style: Style = PLAIN) -> None:
        """Draw a line through points with a head at its end, along an axis."""
        (x0, y0), (x, y) = points[-2:]
        along_x, along_y = (x > x0) - (x < x0), (y > y0) - (y < y0)
        back_x, back_y = x - 9 * along_x, y - 9 * along_y
        self.line(*points[:-1], (back_x, back_y), style=style)
        sides = [(back_x + 5 * s * along_y, back_y + 5 * s * along_x) for s in (1, -1)]
        corners = "L".join(f"{a:g} {b:g}" for a, b in [(x, y), *sides])
        self._parts.append(f'<path d="M{corners}z" class="f-{style.colour}"/>')

    def svg(self) -> str:
        """Return the file."""
        size = f'width="{WIDTH}" height="{self.height:g}" viewBox="0 0 {WIDTH} {self.height:g}"'
        plate = (
            f'<rect x="0.75" y="0.75" width="{WIDTH - 1.5}" height="{self.height - 1.5:g}" rx="12" '
            'class="f-paper s-rule"/>'
        )
        head = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" '
            'aria-labelledby="title desc">',
            f'<title id="title">{escape(self._title, quote=False)}</title>',
            f'<desc id="desc">{escape(self._description, quote=False)}</desc>',
            "<!-- Drawn by docs/diagrams/draw.py. -->",
            f"<style>{_css()}</style>",
        ]
        return "\n".join([*head, plate, *self._parts, "</svg>"]) + "\n"


def width_of(text: str, *, size: float, bold: bool = False) -> float:
    """Return about how wide a text is in a wide font (DejaVu Sans)."""
    narrow, wide = sum(map(text.count, _NARROW)), sum(map(text.count, _WIDE))
    ems = 0.37 * narrow + 0.9 * wide + 0.62 * (len(text) - narrow - wide)
    return ems * size * (1.08 if bold else 1)


def _css() -> str:
    """Return the colours of the pages that LoreLM serves as classes, `f-` to fill and `s-` to draw.

    A file of its own cannot read colors.css, and not all viewers know `light-dark()`.
    """
    source = _COLORS.read_text(encoding="utf-8")
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", source)
    light, dark = (
        "".join(
            f".f-{name}{{fill:{both[scheme]}}}.s-{name}{{stroke:{both[scheme]}}}"
            for name, *both in pairs
            if name in get_args(Colour)
        )
        for scheme in (0, 1)
    )
    return (
        f"text{{font-family:{_FONT}}}rect,circle{{stroke-width:1.5}}"
        f".n{{fill:none;stroke-linejoin:round}}{light}"
        f"@media (prefers-color-scheme:dark){{{dark}}}"
    )
