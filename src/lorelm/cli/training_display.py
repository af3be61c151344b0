"""The progress and the result of training on a terminal. All of it goes to stderr."""

import textwrap
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Self

import click
from rich.console import Console, RenderableType
from rich.progress import BarColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Table

from lorelm.bundle import Bundle
from lorelm.cli.terminal import SlowLines, duration, time_range
from lorelm.corpus.preparation import Corpus
from lorelm.evaluation.summary import summary_lines
from lorelm.machine.quoting import quoted
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.callbacks import TRAINING, EpochReport, Progress, TrainingCallback
from lorelm.training.recipe import Recipe

_console = Console(stderr=True, highlight=False)


_LINE_SECONDS: Final = 60.0
"""Between two lines of progress where there is no terminal to draw a bar on."""

_PATIENCE: Final = 3
"""Epochs in a row without a better one after which the user learns why training goes on. It is not
stopped: on docs/tutorials/texts/night-ferry.csv, 16 epochs had the best one after six such."""


class _Bar(RichProgress):
    """Bar of the whole run, which goes on between two events and never stands at its end."""

    def __init__(self) -> None:
        self._latest: Progress | None = None
        self._at = self._shown = 0.0
        super().__init__(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[text]}", markup=False),
            console=_console,
            transient=True,
        )
        self._task: Final = self.add_task("", total=None, text="")

    def show(self, progress: Progress, description: str, metrics: str) -> None:
        self._latest, self._at = progress, time.monotonic()
        self._metrics = metrics
        self.update(self._task, description=description)
        if not self.live.is_started:
            self.start()

    def get_renderables(self) -> Iterable[RenderableType]:
        if self._latest is not None and self._latest.left is not None:
            now = self._latest.after(time.monotonic() - self._at)
            self._shown = max(self._shown, now.share)
            task = self.tasks[0]
            task.total, task.completed = 1.0, self._shown
            task.fields["text"] = f"{_describe(now, self._shown)}  {self._metrics}"
        return super().get_renderables()


def _describe(progress: Progress, share: float) -> str:
    assert progress.left is not None
    left = time_range(progress.left.low, progress.left.high)
    return f"{int(100 * share)} %  {left} left"


class TrainingDisplay(TrainingCallback):
    """A progress bar, and after each epoch a line of metrics and a line that the model writes.

    Where there is no terminal to draw the bar on, lines say how far a long run is.

    Args:
        note: a sentence about checkpoints.
        has_budget: the clock ends the run, so the number of epochs is an estimate.
    """

    wants_samples = True

    def __init__(self, note: str, *, has_budget: bool = False) -> None:
        self._note = note
        self._has_budget = has_budget
        self._bar = _Bar()
        self._slow = SlowLines()
        self._epoch = self._best = self._stage = ""
        self._said_at = time.monotonic()
        self._notes: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._slow.end()
        if self._bar.live.is_started:  # else stop() prints an empty line before an error
            self._bar.stop()

    def on_progress(self, progress: Progress) -> None:
        doing = progress.stage
        if progress.stage == TRAINING:
            doing = f"{progress.stage}, {self._epoch}" if self._epoch else progress.stage
        if _console.is_terminal:
            self._bar.show(progress, doing, self._best)
            return
        if progress.stage != self._stage:
            self._stage = progress.stage
            self._slow.begin(progress.stage)
        is_due = time.monotonic() - self._said_at >= _LINE_SECONDS
        if is_due and progress.left is not None:
            self._said_at = time.monotonic()
            _console.print(f"{doing}: {_describe(progress, progress.share)}", soft_wrap=True)

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        self._slow.end()
        notes = (*corpus.notes, *self._facts(corpus, recipe))
        for note in notes:
            if note not in self._notes:  # where training begins again
                _console.print(note, markup=False, soft_wrap=True)
        self._notes |= {*notes}
        self._epochs, self._best = recipe.epochs, ""
        self._falls = recipe.schedule == "cosine"
        self._num_epochs = self._num_since_best = 0
        self._epoch = self._next_epoch

    def _facts(self, corpus: Corpus, recipe: Recipe) -> tuple[str, str]:
        """Return what is trained on, and what is kept."""
        others = ", to which the other words of the model to start from are added after training"
        return (
            f"{corpus.train.num_documents:,} documents to train on, "
            f"{corpus.valid.num_documents:,} to validate, {corpus.test.num_documents:,} to test; "
            f"{len(corpus.train.stream):,} tokens, a vocabulary of {len(corpus.vocabulary):,}"
            f"{others if recipe.vocabulary == 'base' else ''}.",
            self._note,
        )

    def on_restore(self, epochs: Sequence[EpochReport], *, epoch_tokens: int) -> None:
        for report in epochs:
            self._record_best(report)
        self._num_epochs = len(epochs)
        self._epoch = self._next_epoch

    def on_step(self, *, num_tokens: int) -> None:
        # Not when an epoch ends: it may be the last one.
        self._epoch = self._next_epoch

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        self._record_best(report)
        _console.print(
            f"epoch {report.epoch:>{len(str(self._epochs))}}  "
            f"valid perplexity {report.valid_perplexity:6.1f}  "
            f"{'best' if report.is_best else '    '}  "
            f"{report.tokens_per_second:7,.0f} tokens/s  {duration(report.seconds):>6}",
            style="bold" if report.is_best else None,
        )
        self._num_epochs = report.epoch
        if self._num_since_best == _PATIENCE and report.epoch < self._epochs and self._falls:
            _console.print(
                f"The last {_PATIENCE} epochs were no better. Training goes on: as the learning "
                "rate falls until the end, a later one may be. To end it here, press Ctrl-C, then "
                "run lorelm train --finish DIR.",
                soft_wrap=True,
            )

    def on_sample(self, epoch: int, text: str) -> None:
        line = textwrap.shorten(" ".join(text.split()), 90)
        _console.print(f"  {line}", style="dim", markup=False, soft_wrap=True)

    def on_evaluation(self, corpus: Corpus) -> None:
        _console.print("Evaluating it on the test part ...")

    def on_problem(self, message: str) -> None:
        _console.print(f"! {message}", style="bold red", markup=False, soft_wrap=True)

    def _record_best(self, report: EpochReport) -> None:
        self._num_since_best = 0 if report.is_best else self._num_since_best + 1
        if report.is_best:
            self._best = f"best {report.valid_perplexity:.1f}"

    @property
    def _next_epoch(self) -> str:
        # The clock ends a run with a time budget, which may have more epochs than were expected.
        about = "about " if self._has_budget else ""
        end = f" of {about}{self._epochs}" if self._num_epochs < self._epochs else ""
        return f"epoch {self._num_epochs + 1}{end}"


def show_result(bundle: Bundle, out: Path) -> None:
    """Show how the training went, all metrics, and the next commands for the folder as typed."""
    manifest = bundle.manifest
    training = manifest.training
    assert training is not None
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("best epoch", training.best_epoch_of_all)
    table.add_row("training time", f"{duration(training.seconds)} on {training.device}")
    num_words = manifest.model.vocabulary_size
    num_seen = manifest.corpus.seen_words if manifest.corpus is not None else None
    # Without the words of the model to start from there are more unknown ones, which are easier.
    valid_words = f" (of {num_seen:,} words)" if (num_seen or num_words) < num_words else ""
    test_words = f"of {num_words:,} words, " if valid_words else ""
    table.add_row("valid perplexity", f"{training.valid_perplexity:.1f}{valid_words}")
    table.add_row("test perplexity", f"{training.test_perplexity:.1f} ({test_words}float32)")
    _console.print(table)
    _console.print()
    if manifest.metrics is not None:
        click.echo("\n".join(summary_lines(manifest.metrics)), err=True)
    path = quoted(out)
    for line in (
        f"\nSaved to {out}. Go on with",
        f'  lorelm generate {path} "your words"',
        f"  lorelm serve {path}",
    ):
        _console.print(line, markup=False, soft_wrap=True)
