"""Drawing of one neuron: forward to the loss, backward to the slopes, and one step."""

import worked
from svg import LARGE, MARGIN, RIGHT, SMALL, Drawing, Look, Style

_GRADIENT = Style(colour="second", width=2.25, dashed=True)
_MIDDLE = 137
"""The height of the sum; the inputs are drawn at this distance above and below it."""
_APART = 50


def number(value: float, places: int = 1) -> str:
    return f"{value:.{places}f}".replace("-", "−")


def network() -> Drawing:
    """A weighted sum, a non-linear function, a loss, and the way back."""
    before, after = worked.neuron(worked.NEURON_WEIGHTS), worked.neuron(worked.stepped())
    drawing = Drawing(
        "One neuron learns one step",
        "Three inputs are multiplied by their weights and added; sigma makes a probability of the "
        f"sum, and the loss is {number(before.loss, 2)}. The gradient goes back, the "
        f"weights change against their slopes, and the loss is {number(after.loss, 2)}.",
        height=498,
    )
    drawing.text(MARGIN, 38, "Forward: what it predicts", size=LARGE, colour="accent", bold=True)
    _forward(drawing, before)
    drawing.text(MARGIN, 270, "Backward: what to change", size=LARGE, colour="second", bold=True)
    _backward(drawing, before)
    drawing.text(MARGIN, 472, "Forward again:", size=SMALL, bold=True)
    again = f"p = {number(after.probability, 2)}, loss {number(after.loss, 2)}"
    drawing.text(MARGIN + 154, 472, again, size=SMALL)
    return drawing


def _forward(drawing: Drawing, neuron: worked.Neuron) -> None:
    for row, (x, weight) in enumerate(
        zip(worked.NEURON_INPUTS, worked.NEURON_WEIGHTS, strict=True)
    ):
        y = _MIDDLE + _APART * (row - 1)
        drawing.chip(MARGIN, y - 17, 40, f"{x:g}")
        drawing.arrow((MARGIN + 40, y), (84, y))
        look = Look(fill="tint-2", stroke=None)
        drawing.chip(84, y - 17, 82, f"× {number(weight)}", look)
        if row == 1:
            drawing.arrow((166, y), (195, y))
        else:
            drawing.arrow((166, y), (210, y), (210, _MIDDLE + 15 * (row - 1)))
    drawing.circle(210, _MIDDLE, "+")
    drawing.arrow((225, _MIDDLE), (246, _MIDDLE))
    drawing.chip(246, _MIDDLE - 17, 48, number(neuron.total))
    drawing.arrow((294, _MIDDLE), (314, _MIDDLE))
    drawing.circle(329, _MIDDLE, "σ")
    drawing.arrow((344, _MIDDLE), (364, _MIDDLE))
    drawing.chip(364, _MIDDLE - 17, 92, f"p = {number(neuron.probability, 2)}")
    drawing.arrow((410, _MIDDLE + 17), (410, 178))
    drawing.chip(352, 178, 104, f"loss {number(neuron.loss, 2)}", Look(fill="tint-4", stroke=None))
    drawing.text(246, _MIDDLE - 30, "sum", size=SMALL, colour="quiet")
    drawing.text(RIGHT, _MIDDLE - 30, "of “river”", size=SMALL, colour="quiet", anchor="end")


def _backward(drawing: Drawing, neuron: worked.Neuron) -> None:
    columns = {"weight": 110, "slope": 230, "new weight": 400}
    for name, x in columns.items():
        drawing.text(x, 304, name, size=SMALL, anchor="middle", colour="quiet")
    drawing.arrow((410, 212), (410, 240), (320, 240), style=_GRADIENT)
    rows = zip(worked.NEURON_WEIGHTS, neuron.slopes, worked.stepped(), strict=True)
    for row, (weight, slope, new) in enumerate(rows):
        y = 318 + 42 * row
        drawing.chip(
            columns["weight"] - 40, y, 80, number(weight), Look(fill="tint-2", stroke=None)
        )
        drawing.chip(columns["slope"] - 40, y, 80, number(slope), Look(stroke="second"))
        drawing.arrow((columns["slope"] + 44, y + 17), (columns["new weight"] - 44, y + 17))
        drawing.chip(
            columns["new weight"] - 40, y, 80, number(new), Look(fill="tint-2", stroke=None)
        )
