"""The progress and the result of training on a terminal. All of it goes to stderr."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from lorelm.bundle import Bundle
from lorelm.bundle.quoting import quoted
from lorelm.cli.terminal import duration
from lorelm.corpus.preparation import Corpus
from lorelm.evaluation.summary import summary_lines
from lorelm.generation.language_model import LanguageModel
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runtime.torch_runtime import TorchRuntime
from lorelm.training.callbacks import EpochReport, TrainingCallback
from lorelm.training.recipe import Recipe

_console = Console(stderr=True, highlight=False)


class TrainingDisplay(TrainingCallback):
    """A progress bar, and after each epoch a line of metrics and a line that the model writes.

    Args:
        note: a sentence about checkpoints.
    """

    def __init__(self, note: str) -> None:
        self._note = note
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[metrics]} "),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=_console,
            transient=True,
        )
        self._task = self._progress.add_task("", visible=False, metrics="")
        self._best = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._progress.live.is_started:  # else stop() prints an empty line before an error
            self._progress.stop()

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        self._corpus, self._epochs = corpus, recipe.epochs
        self._progress.start()
        for note in corpus.notes:
            _console.print(note, soft_wrap=True)
        _console.print(
            f"{corpus.train.num_documents:,} documents to train on, "
            f"{corpus.valid.num_documents:,} to validate, {corpus.test.num_documents:,} to test; "
            f"{len(corpus.train.stream):,} tokens, a vocabulary of {len(corpus.vocabulary):,}.",
            soft_wrap=True,
        )
        _console.print(self._note, markup=False, soft_wrap=True)
        num_steps = len(corpus.train.stream) // recipe.batch_size
        self._epoch_tokens = num_steps * recipe.batch_size
        self._progress.update(
            self._task,
            description=self._epoch_after(0),
            total=self._epoch_tokens * recipe.epochs,
            visible=True,
        )

    def on_restore(self, epochs: Sequence[EpochReport], *, epoch_tokens: int) -> None:
        for report in epochs:
            self._record_best(report)
        self._progress.reset(  # not update(), which would count the jump as speed
            self._task,
            completed=len(epochs) * self._epoch_tokens + epoch_tokens,
            description=self._epoch_after(len(epochs)),
        )

    def on_step(self, *, num_tokens: int) -> None:
        speed = self._progress.tasks[0].speed
        metrics = f"{speed:,.0f} tokens/s  {self._best}" if speed else ""
        self._progress.update(self._task, advance=num_tokens, metrics=metrics)

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        self._record_best(report)
        _console.print(
            f"epoch {report.epoch:>{len(str(self._epochs))}}  "
            f"valid perplexity {report.valid_perplexity:6.1f}  "
            f"{'best' if report.is_best else '    '}  "
            f"{report.tokens_per_second:7,.0f} tokens/s  {duration(report.seconds):>6}",
            style="bold" if report.is_best else None,
        )
        line = " ".join(self._sample(model, seed=report.epoch).split())
        _console.print(f"  {textwrap.shorten(line, 90)}", style="dim", markup=False, soft_wrap=True)
        self._progress.update(self._task, description=self._epoch_after(report.epoch))

    def on_evaluation(self, corpus: Corpus) -> None:
        self._progress.stop()
        _console.print("Evaluating it on the test part ...")

    def on_problem(self, message: str) -> None:
        _console.print(f"! {message}", style="bold red", markup=False, soft_wrap=True)

    def _record_best(self, report: EpochReport) -> None:
        if report.is_best:
            # Short, so that the time left fits into 80 columns.
            self._best = f"best {report.valid_perplexity:.1f}"

    def _epoch_after(self, num_epochs: int) -> str:
        return f"epoch {min(num_epochs + 1, self._epochs)} of {self._epochs}"

    def _sample(self, model: LSTMLanguageModel, seed: int) -> str:
        """Generate the beginning of a document."""
        runtime = TorchRuntime(model)
        language_model = LanguageModel(runtime, self._corpus.tokenizer, self._corpus.vocabulary)
        return language_model.generate(seed=seed, max_len=25).text


def show_result(bundle: Bundle, out: Path) -> None:
    """Show how the training went, all metrics, and the next commands for the folder as typed."""
    manifest = bundle.manifest
    training = manifest.training
    assert training is not None
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("best epoch", f"{training.best_epoch} of {training.epochs}")
    table.add_row("training time", f"{duration(training.seconds)} on {training.device}")
    table.add_row("valid perplexity", f"{training.valid_perplexity:.1f}")
    table.add_row("test perplexity", f"{training.test_perplexity:.1f} (float32)")
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
