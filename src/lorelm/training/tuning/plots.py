"""Plots of a tuning: its trials as lines over the settings, and which settings mattered.

Optuna's own plots of these write numbers over each other, and change Matplotlib's global state.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.importance import get_param_importances
from optuna.study import Study
from optuna.trial import TrialState

from lorelm.bundle.atomic_dir import replace_file, wrap_write_errors
from lorelm.evaluation.report.plots import (
    BAR,
    FIRST,
    INK,
    QUIET,
    SECOND,
    plain_style,
    render_image,
)
from lorelm.training.recipe import Recipe
from lorelm.training.tuning.space import Range
from lorelm.training.tuning.trials import Candidate

TRIALS_PLOT: Final = "trials.png"
IMPORTANCE_PLOT: Final = "importance.png"

_MIN_TRIALS: Final = 5
"""Completed trials for a plot of importances; with so few it is a hint only."""

_MAX_LINES: Final = 60


def write_plots(
    folder: Path,
    study: Study,
    found: Sequence[Candidate],
    recipe: Recipe,
    space: Mapping[str, Range],
) -> None:
    """Write ``trials.png`` and ``importance.png``; a plot without enough trials is left out.

    Args:
        found: completed trials, the winner first.
        recipe: that is tuned.

    Raises:
        BundleError: they cannot be written.
    """
    with plain_style():
        figures = {}
        if len(found) > 1:
            figures[TRIALS_PLOT] = draw_trials(found, recipe, space)
        complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        if len(complete) >= _MIN_TRIALS:
            importances = get_param_importances(study)
            figures[IMPORTANCE_PLOT] = draw_importances(importances, len(complete))
        for name, figure in figures.items():
            with wrap_write_errors(folder / name):
                replace_file(folder / name, render_image(figure, "png"))


def draw_trials(found: Sequence[Candidate], recipe: Recipe, space: Mapping[str, Range]) -> Figure:
    """Draw a line for each of the best completed trials, over an axis for each setting."""
    shown = found[:_MAX_LINES]
    perplexities = [each.mean_perplexity for each in shown]
    reach = Range(low=min(perplexities), high=max(perplexities) + 1e-9)
    figure = Figure(figsize=(1.1 * (len(space) + 1), 5), layout="constrained")
    axes = figure.subplots()
    places = range(len(space) + 1)
    for candidate in reversed(shown):
        settings = candidate.first.recipe
        heights = [_height(getattr(settings, name), each) for name, each in space.items()]
        heights.append(_height(candidate.mean_perplexity, reach))
        axes.plot(places, heights, **_look(candidate, found[0], recipe))
    _draw_axes(axes, {**space, "valid_perplexity": reach})
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.02), ncols=3, borderaxespad=0.3)
    return figure


def _look(candidate: Candidate, best: Candidate, recipe: Recipe) -> dict[str, Any]:
    """Return how a line is drawn; the winner and the recipe have a name."""
    if candidate == best:
        label = f"best: trial {candidate.first.number}"
        return {"color": FIRST, "linewidth": 2.5, "zorder": 4, "label": label}
    if candidate.first.recipe == recipe:
        label = "the recipe"
        return {"color": SECOND, "linewidth": 2, "linestyle": "--", "zorder": 3, "label": label}
    return {"color": BAR, "linewidth": 1, "zorder": 2}


def _height(value: float, of: Range) -> float:
    """Return where a value lies on its axis, from 0 to 1."""
    if of.is_log:
        return math.log(value / of.low) / math.log(of.high / of.low)
    return (value - of.low) / (of.high - of.low)


def _draw_axes(axes: Axes, ranges: Mapping[str, Range]) -> None:
    """Draw a vertical axis with its two ends for each setting."""
    for place, each in enumerate(ranges.values()):
        axes.plot([place, place], [0, 1], color=QUIET, linewidth=0.8, zorder=1)
        for height, end, below in ((0, each.low, True), (1, each.high, False)):
            axes.annotate(
                f"{end:.3g}",
                (place, height),
                xytext=(0, -3 if below else 3),
                textcoords="offset points",
                ha="center",
                va="top" if below else "bottom",
                color=INK,
                fontsize=8,
            )
    axes.set_xticks(range(len(ranges)), [name.replace("_", "\n") for name in ranges])
    axes.tick_params(axis="x", length=0, pad=4)
    axes.set_yticks([])
    axes.set_ylim(-0.06, 1.06)
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def draw_importances(importances: Mapping[str, float], num_trials: int) -> Figure:
    """Draw how much each setting had to do with a trial being among the best (Ped-ANOVA)."""
    figure = Figure(figsize=(6, 1.2 + 0.32 * len(importances)), layout="constrained")
    axes = figure.subplots()
    names = [*importances][::-1]
    bars = axes.barh(names, [importances[name] for name in names], color=BAR)
    axes.bar_label(bars, fmt="{:.0%}", padding=3, fontsize=9)
    axes.set_xlabel(f"share of importance, from {num_trials} completed trials")
    axes.set_xticks([])
    axes.margins(x=0.12)
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["bottom"].set_visible(False)
    return figure
