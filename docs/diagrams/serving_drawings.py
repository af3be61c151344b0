"""Drawings of how a model is served: quantisation, continuous batching."""

import worked
from svg import MARGIN, RIGHT, SMALL, STRONG, Colour, Drawing, Look, Style

_READS = Look(colour="quiet")
_TINTS: dict[str, Colour] = {
    "A": "tint-2", "B": "tint-4", "C": "tint-3", "D": "tint-4", "E": "tint-2", "F": "tint-3",
}  # fmt: skip
_WRITES = {name: Look(fill=fill, stroke=None, bold=True) for name, fill in _TINTS.items()}


def quantisation() -> Drawing:
    """A scale that is measured depends on the neighbours; a fixed one does not."""
    largest = max(map(abs, worked.STATE))
    cases = (
        ("measured: alone in the batch", largest),
        ("measured: beside a row with 0.95", worked.LOUD),
        ("fixed: whatever is beside it", 1.0),
    )
    integers = [worked.quantised(worked.STATE, scale, 127) for _, scale in cases]
    drawing = Drawing(
        "A fixed scale gives a row the same integers in every batch",
        f"The hidden state {worked.STATE[0]}, {worked.STATE[1]} as integers: {integers[0]} with a "
        f"scale measured when it is alone, {integers[1]} beside a louder row, and always "
        f"{integers[2]} with the fixed scale 1/127.",
        height=452,
    )
    drawing.text(MARGIN, 36, "Two numbers of a hidden state", size=SMALL, bold=True)
    middle, half, line = (MARGIN + RIGHT) / 2, (RIGHT - MARGIN) / 2 - 12, 100
    drawing.line((MARGIN, line), (RIGHT, line), style=Style(colour="quiet", width=2))
    for tick in range(-8, 9):
        x = middle + half * tick / 8
        drawing.line((x, line), (x, line + (12 if tick % 8 == 0 else 6)))
    for end in (-1, 0, 1):
        x = middle + half * end
        drawing.text(x, line + 34, _signed(end), size=SMALL, anchor="middle", colour="quiet")
    for value in worked.STATE:
        x = middle + half * value
        drawing.arrow((x, line - 26), (x, line - 2), style=Style(colour="accent", width=3))
        drawing.text(x, line - 34, _signed(value), size=SMALL, anchor="middle", bold=True)
    for row, ((label, _), whole) in enumerate(zip(cases, integers, strict=True)):
        y, is_fixed = 152 + 98 * row, row == len(cases) - 1
        fill: Colour = "tint-2" if is_fixed else "field"
        drawing.box(MARGIN, y, RIGHT - MARGIN, 86, fill=fill, stroke=None if is_fixed else "rule")
        drawing.text(MARGIN + 14, y + 28, label, size=SMALL, bold=is_fixed)
        for column, (value, integer) in enumerate(zip(worked.STATE, whole, strict=True)):
            x = MARGIN + 14 + 206 * column
            drawing.text(x, y + 64, _signed(value), size=SMALL, colour="quiet")
            drawing.arrow((x + 58, y + 58), (x + 92, y + 58))
            look = STRONG if is_fixed else Look(fill="tint-1", stroke=None, bold=True)
            drawing.chip(x + 100, y + 42, 62, _signed(integer), look)
    return drawing


def continuous_batching() -> Drawing:
    """Requests in batches that wait for the longest one, and in slots that are filled again."""
    static, continuous = worked.static(), worked.continuous()
    drawing = Drawing(
        "Batches that wait, and slots that are filled again",
        f"Six requests in three slots. A batch that begins when the one before has finished takes "
        f"{len(static)} steps; slots that take the next request at once take {len(continuous)}.",
        height=428,
    )
    y = 34.0
    for title, timeline in (("One batch after another", static), ("Continuous", continuous)):
        drawing.text(MARGIN, y, title, size=SMALL, bold=True)
        steps = f"{len(timeline)} steps"
        drawing.text(RIGHT, y, steps, size=SMALL, anchor="end", colour="accent", bold=True)
        width = (RIGHT - MARGIN) / max(len(static), len(continuous))
        for step, slots in enumerate(timeline):
            for slot, work in enumerate(slots):
                _cell(drawing, MARGIN + width * step, y + 14 + 40 * slot, width, work)
        drawing.arrow((MARGIN, y + 146), (RIGHT, y + 146), style=Style(colour="quiet"))
        y += 186
    drawing.chip(MARGIN, 378, 32, "a", _READS, height=32)
    drawing.text(MARGIN + 42, 400, "reads its prompt", size=SMALL)
    drawing.chip(MARGIN + 206, 378, 32, "A", _WRITES["A"], height=32)
    drawing.text(MARGIN + 248, 400, "writes a word", size=SMALL)
    return drawing


def _signed(number: float) -> str:
    return f"{number}".replace("-", "−")


def _cell(
    drawing: Drawing, x: float, y: float, width: float, work: tuple[str, bool] | None
) -> None:
    if work is None:
        drawing.line(
            (x + 10, y + 17), (x + width - 10, y + 17), style=Style(colour="rule", width=3)
        )
        return
    name, reads = work
    look = _READS if reads else _WRITES[name]
    drawing.chip(x + 1, y, width - 2, name.lower() if reads else name, look)
