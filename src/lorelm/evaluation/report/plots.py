"""Plots of an evaluation: training curves, calibration, perplexity by document length.

Importing this module raises :class:`MissingExtraError` where Matplotlib is not installed.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from lorelm.bundle import Bundle
from lorelm.errors import MissingExtraError
from lorelm.evaluation.measure import EvaluationResult
from lorelm.evaluation.report.files import write_file
from lorelm.evaluation.scores import NUM_BINS, Calibration, LengthClass, calibration, length_classes
from lorelm.typing import Floats

try:
    import matplotlib.style
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import (
        LogLocator,
        MaxNLocator,
        NullLocator,
        PercentFormatter,
        StrMethodFormatter,
    )
except ImportError as error:
    raise MissingExtraError("drawing plots", "train") from error

CURVES: Final = "curves"
CALIBRATION: Final = "calibration"
DOCUMENT_LENGTH: Final = "document-length"

_PNG_DOTS_PER_INCH: Final = 150
_WIDTH: Final = 6.0
"""Inches: on a phone, where a plot is as wide as the page, 10 points stay legible."""

INK: Final = "#23211d"
QUIET: Final = "#625d54"
RULE: Final = "#d9d3c6"
BAR: Final = "#bdb4a2"
FIRST: Final = "#1b5e91"
SECOND: Final = "#a8481a"

_LINES: Final[Sequence[Mapping[str, Any]]] = tuple(
    {"linestyle": style, "color": color}
    for style in ("-", "--", ":")
    for color in (FIRST, SECOND, "#2f7d4f", "#8a4f9e", "#8a6d1d")
)
"""Of each run of a plot: the sixth has the first color again, dashed."""

_MAX_MARKED: Final = 60
"""With more epochs their points run into each other."""

_STYLE: Final[Mapping[str, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "lorelm",
    "text.color": INK,
    "xtick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.color": QUIET,
    "ytick.labelcolor": INK,
}


def write_plots(folder: Path, bundle: Bundle, result: EvaluationResult) -> None:
    """Write the plots to a folder: ``curves.png``, ``calibration.png``, ``document-length.png``.

    There are no curves if the bundle has no training metrics.

    Raises:
        InputError: they cannot be written.
    """
    for name, image in render_plots(bundle, result, "png").items():
        write_file(folder / f"{name}.png", image, what="plot")


def render_plots(
    bundle: Bundle, result: EvaluationResult, form: Literal["png", "svg"]
) -> dict[str, bytes]:
    """Return each plot as an image by its name; the same metrics give the same bytes.

    Raises:
        BundleError: the training metrics are damaged.
    """
    metrics = bundle.training_metrics()
    classes = length_classes(result.text, result.network.log_probabilities)
    with plain_style():
        figures = {CURVES: draw_curves(metrics)} if metrics else {}
        figures[CALIBRATION] = draw_calibration(calibration(result.network))
        figures[DOCUMENT_LENGTH] = draw_document_length(classes, overall=result.metrics.perplexity)
        return {name: render_image(figure, form) for name, figure in figures.items()}


def render_curves(
    metrics: Sequence[Mapping[str, Any]], *, ngram: tuple[int, float] | None
) -> bytes:
    """Return the training curves as the PNG file of a bundle; see :func:`draw_curves`."""
    with plain_style():
        return render_image(draw_curves(metrics, ngram=ngram), "png")


def render_runs(
    runs: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    over: Literal["epoch", "seconds"],
    form: Literal["png", "svg"],
) -> bytes:
    """Return one plot of the validation perplexity of several runs.

    Args:
        runs: the training metrics of each run, by its name.
        over: the horizontal axis.
    """
    with plain_style():
        figure = Figure(figsize=(_WIDTH, 4), layout="constrained")
        axes = figure.subplots()
        for (name, metrics), line in zip(runs.items(), cycle(_LINES), strict=False):
            marker = "." if len(metrics) < _MAX_MARKED else None
            axes.plot(
                [row[over] for row in metrics],
                [row["valid_perplexity"] for row in metrics],
                marker=marker,
                label=name,
                **line,
            )
        axes.set_ylabel("perplexity (validation)")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_xlabel(over if over == "epoch" else "seconds of training")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _legend_above(axes)
        return render_image(figure, form)


def draw_curves(
    metrics: Sequence[Mapping[str, Any]], *, ngram: tuple[int, float] | None = None
) -> Figure:
    """Draw loss, perplexity and learning rate over the epochs of `Bundle.training_metrics`.

    Args:
        ngram: order of the n-gram baseline and its perplexity on the validation part.
    """
    figure = Figure(figsize=(_WIDTH, 7), layout="constrained")
    loss, perplexities, rates = figure.subplots(3, sharex=True, height_ratios=[3, 2, 1.4])
    epochs = [row["epoch"] for row in metrics]
    best = max(row["epoch"] for row in metrics if row["is_best"])
    for axes in (loss, perplexities, rates):
        axes.axvline(best, color=QUIET, linestyle=":", label=f"best epoch ({best})")

    def line(axes: Axes, key: str, **look: Any) -> None:
        axes.plot(epochs, [row[key] for row in metrics], marker=".", **look)

    line(loss, "train_loss_nats_per_token", color=SECOND, linestyle="--", label="training")
    line(loss, "valid_loss_nats_per_token", color=FIRST, label="validation")
    line(perplexities, "valid_perplexity", color=FIRST)
    line(rates, "learning_rate", color=INK, drawstyle="steps-mid")
    loss.set_ylabel("loss (nats per token)")
    _legend_above(loss)
    perplexities.set_ylabel("perplexity (validation)")
    if ngram is not None:
        label = f"n-gram model (order {ngram[0]})"
        perplexities.axhline(ngram[1], color=SECOND, linestyle="--", zorder=1, label=label)
        _legend_above(perplexities)
    rates.set_ylabel("learning rate")
    rates.set_ylim(bottom=0)
    rates.set_xlabel("epoch")
    rates.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    return figure


def draw_calibration(of: Calibration) -> Figure:
    """Draw the accuracy of the top predictions over their confidence, and their number."""
    figure, accuracy, counts = _points_over_bars(height=6.5)
    confidence = of.confidence
    accuracy.plot([0, 1], [0, 1], color=QUIET, linestyle="--", label="perfect calibration")
    intervals = wilson_interval(of.accuracy, of.count)
    accuracy.vlines(confidence, *intervals, color=FIRST)
    # A share of 0 or 1 lies on the frame, which would cut the mark in half.
    look: dict[str, Any] = {"color": FIRST, "clip_on": False}
    label = "network, with 95 % intervals"
    accuracy.plot(confidence, of.accuracy, "o", label=label, **look)
    accuracy.set_ylabel("accuracy of the top prediction")
    accuracy.set_ylim(0, 1)
    accuracy.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    _legend_above(accuracy)
    classes = np.minimum(np.floor(confidence * NUM_BINS), NUM_BINS - 1)
    centres = (classes + 0.5) / NUM_BINS
    _bars(counts, centres, of.count, width=0.8 / NUM_BINS)
    counts.set_ylabel("predictions")
    counts.set_xlabel("confidence in the top prediction")
    counts.set_xlim(0, 1)
    counts.xaxis.set_major_locator(MaxNLocator(5))
    counts.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    return figure


def wilson_interval(shares: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Return the lower and upper ends of the 95 % intervals of shares of counts (Wilson 1927).

    (https://doi.org/10.1080/01621459.1927.10502953.)
    """
    z = 1.96
    middle = (shares + z**2 / (2 * counts)) / (1 + z**2 / counts)
    reach = (
        z / (1 + z**2 / counts) * np.sqrt(shares * (1 - shares) / counts + z**2 / (4 * counts**2))
    )
    return middle - reach, middle + reach


def draw_document_length(classes: Sequence[LengthClass], *, overall: float) -> Figure:
    """Draw the perplexity of each class of documents, and its number of documents.

    Args:
        overall: the perplexity of all documents together.
    """
    figure, perplexities, counts = _points_over_bars(height=5.5)
    places = np.log2([of.shortest for of in classes])
    perplexities.axhline(overall, color=QUIET, linestyle="--", label="all documents")
    _draw_intervals(perplexities, places, classes)
    perplexities.set_ylabel("perplexity")
    _set_log_scale(perplexities)
    _legend_above(perplexities)
    _bars(counts, places, np.array([of.num_documents for of in classes]), width=0.7)
    counts.set_ylabel("documents")
    counts.set_xlabel("document length in tokens: from this number to twice as many")
    counts.set_xlim(places.min() - 0.6, places.max() + 0.6)
    counts.set_xticks(places, [f"{of.shortest:,}" for of in classes])
    return figure


def _draw_intervals(axes: Axes, places: Floats, classes: Sequence[LengthClass]) -> None:
    """Draw a point per class with its interval; one without is hollow."""
    for is_sure, face, label in (
        (True, FIRST, "network, with 95 % intervals"),
        (False, "none", "a single document"),
    ):
        these = [i for i, of in enumerate(classes) if (of.interval is not None) == is_sure]
        if these:
            points = [classes[i].perplexity for i in these]
            axes.plot(places[these], points, "o", color=FIRST, markerfacecolor=face, label=label)
    for place, of in zip(places, classes, strict=True):
        if of.interval is not None:
            axes.vlines(place, *of.interval, color=FIRST)


def _set_log_scale(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    # Below a ratio of five the axis may hold no round number for a tick.
    stretch = max(1.0, 5 * low / high) ** 0.5
    axes.set_ylim(low / stretch, high * stretch)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _points_over_bars(*, height: float) -> tuple[Figure, Axes, Axes]:
    """Return two panels over one axis: what was measured, and the counts behind it."""
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    points, bars = figure.subplots(2, sharex=True, height_ratios=[3, 1])
    return figure, points, bars


def _bars(axes: Axes, centres: Floats, counts: Floats, *, width: float) -> None:
    bars = axes.bar(centres, counts, width=width, color=BAR)
    axes.bar_label(bars, fmt="{:,.0f}", fontsize=9, padding=1)
    axes.margins(y=0.15)
    axes.set_yticks([])
    axes.spines.left.set_visible(False)


def _legend_above(axes: Axes) -> None:
    """Draw the legend above the plot, where no data can be."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.3, ncols=2)


@contextmanager
def plain_style() -> Iterator[None]:
    """Use the style of these plots, whatever the user's own Matplotlib settings are."""
    with matplotlib.style.context(dict(_STYLE), after_reset=True):
        yield


def render_image(figure: Figure, form: Literal["png", "svg"]) -> bytes:
    """Return a figure as the contents of a file; the same figure gives the same bytes."""
    file = io.BytesIO()
    # Without a date and a version, the same plot is the same file.
    left_out = {"svg": ("Date", "Creator", "Format", "Type"), "png": ("Software",)}[form]
    figure.savefig(
        file, format=form, dpi=_PNG_DOTS_PER_INCH, metadata=dict.fromkeys(left_out, None)
    )
    return file.getvalue()
