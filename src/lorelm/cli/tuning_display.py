"""The progress and the result of a tuning on a terminal: a table on stdout, the rest on stderr."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TextColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lorelm.cli.terminal import duration
from lorelm.cli.training_display import show_result
from lorelm.machine.quoting import quoted
from lorelm.training.callbacks import EpochReport
from lorelm.training.recipe import Recipe
from lorelm.training.start import NONE
from lorelm.training.tuning.best_model import MODEL
from lorelm.training.tuning.callbacks import TuningCallback, TuningStart
from lorelm.training.tuning.options import TuningOptions
from lorelm.training.tuning.results import BEST_RECIPE
from lorelm.training.tuning.trials import Candidate, TrialReport, TuningResult

_console = Console(stderr=True, highlight=False)

_NUM_SHOWN: Final = 5
"""Settings in the table: more do not fit into 80 columns."""


class TuningDisplay(TuningCallback):
    """A bar of the time, or of the trials, and a line per trial.

    Args:
        started: when the time budget began, by `time.perf_counter`.
    """

    def __init__(self, options: TuningOptions, started: float) -> None:
        self._options: Final = options
        self._progress = Progress(
            TextColumn("{task.description}"),
            _ClockBar(options.time_budget_seconds, started),
            _Clock(options.time_budget_seconds, started),
            TextColumn("{task.fields[best]}"),
            console=_console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=options.trials, best="")
        self._num_epochs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._progress.live.is_started:
            self._progress.stop()

    def on_start(self, start: TuningStart) -> None:
        self._start = start
        for note in start.corpus.notes:
            _console.print(note, soft_wrap=True)
        takes = ""
        if start.trial_seconds is not None:
            takes = f" Training takes about {duration(start.trial_seconds)} with the recipe."
        _console.print(
            f"{len(start.corpus.train.stream):,} tokens to train on, "
            f"{len(start.corpus.valid.stream):,} to validate; a vocabulary of "
            f"{len(start.corpus.vocabulary):,}.{takes}",
            soft_wrap=True,
        )
        so_far = f", {start.num_finished} so far" if start.num_finished else ""
        _console.print(
            f"Trials of {', '.join(start.tuned)} are recorded in {start.place}{so_far}: Ctrl-C "
            "stops, the same command goes on, and several such commands share the work.",
            markup=False,
            soft_wrap=True,
        )
        self._progress.update(self._task, completed=start.num_finished)
        self._progress.start()

    def on_trial_start(self, number: int, recipe: Recipe) -> None:
        self._num_epochs = recipe.epochs
        self._describe(f"trial {number}")

    def on_epoch(self, number: int, report: EpochReport) -> None:
        self._describe(f"trial {number}, epoch {report.epoch} of {self._num_epochs}")

    def on_trial(self, report: TrialReport, *, is_best: bool) -> None:
        _console.print(_line(report, is_best=is_best), soft_wrap=True)
        self._progress.advance(self._task)
        if is_best:
            self._progress.update(self._task, best=f"best {report.valid_perplexity:.1f}")

    def on_evaluation(self, report: TrialReport) -> None:
        self._describe(f"evaluating trial {report.number} on the test part")

    def on_finalists(self, found: Sequence[Candidate]) -> None:
        if found:
            self._progress.stop()
            Console(highlight=False).print(finalists_table(found, self._start))
            self._progress.start()

    def on_problem(self, message: str) -> None:
        _console.print(f"! {message}", style="bold red", markup=False, soft_wrap=True)

    def _describe(self, text: str) -> None:
        self._progress.update(self._task, description=text)


def _line(report: TrialReport, *, is_best: bool) -> Text:
    text = f"trial {report.number:>3}  "
    if report.valid_perplexity is not None:
        text += f"valid perplexity {report.valid_perplexity:7.1f}  "
    if report.is_repetition and report.is_complete:
        ending = f"again, with seed {report.recipe.seed}"
    elif report.is_complete:
        ending = "best" if is_best else ""
    else:
        ending = report.problem or "others were better"
    text += f"epoch {report.epochs:>3} of {report.recipe.epochs:>3}  {duration(report.seconds):>6}"
    return Text(f"{text}  {ending}".rstrip(), style="bold" if is_best else "")


class _ClockColumn(ProgressColumn):
    """What changes with the time, also while nothing is reported.

    Args:
        budget: None if only the number of trials is limited.
    """

    def __init__(self, budget: float | None, started: float) -> None:
        super().__init__()
        self._budget: Final = budget
        self._started: Final = started

    @property
    def _passed(self) -> float:
        return time.perf_counter() - self._started


class _ClockBar(_ClockColumn):
    """A bar of the time, or of the trials."""

    def render(self, task: Task) -> ProgressBar:
        total, completed = task.total, task.completed
        if self._budget is not None:
            total, completed = self._budget, self._passed
        return ProgressBar(total=total, completed=completed, width=24)


class _Clock(_ClockColumn):
    """The time that has passed of the budget, or the number of trials."""

    def render(self, task: Task) -> Text:
        if self._budget is not None:
            return Text(f"{duration(self._passed)} of {duration(self._budget)}")
        return Text(f"{task.completed:.0f} of {task.total:.0f} trials, {duration(self._passed)}")


def finalists_table(found: Sequence[Candidate], start: TuningStart) -> Table:
    """Return the winner, the recipe's own settings, and the best of the others, side by side."""
    own = [each for each in found[1:] if each.first.recipe == start.recipe]
    others = [each for each in found[1:] if each not in own]
    shown = [found[0], *own, *others][:_NUM_SHOWN]
    table = Table("", box=None, pad_edge=False)
    for each in shown:
        name = "recipe" if each.first.recipe == start.recipe else f"trial {each.first.number}"
        table.add_column(name, justify="right")
    means = [f"{each.mean_perplexity:.1f}" for each in shown]
    table.add_row("valid perplexity", *means, style="bold")
    table.add_row("seeds", *(str(len(each.runs)) for each in shown))
    for name in start.tuned:
        table.add_row(name, *(f"{getattr(each.first.recipe, name):g}" for each in shown))
    return table


def show_found(result: TuningResult, out: Path, init: str | None) -> None:
    """Show the metrics of the best model, and the next commands for the folder as typed.

    Args:
        init: the model that trials started from.
    """
    if result.bundle is not None:
        show_result(result.bundle, out / MODEL)
    given = f"--recipe {quoted(out / BEST_RECIPE)} --init {quoted(init or NONE)}"
    _console.print(f"  lorelm train PATH {given} --out DIR", markup=False, soft_wrap=True)
