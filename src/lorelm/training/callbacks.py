"""Observers of a training run: :class:`TrainingCallback`, and the record in ``metrics.jsonl``."""

import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lorelm.bundle.atomic_dir import replace_file
from lorelm.bundle.layout import METRICS_SO_FAR
from lorelm.corpus.preparation import Corpus
from lorelm.errors import LoreLMWarning
from lorelm.evaluation.perplexity import perplexity
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """The metrics of one epoch.

    Attributes:
        epoch: its number, from 1.
        train_loss: nats per token of the training part, dropout on.
        valid_loss: nats per token of the validation part.
        is_best: whether no earlier epoch had a lower `valid_loss`.
        learning_rate: of its last update.
        tokens_per_second: of training, without validation.
        seconds: since training began.
    """

    epoch: int
    train_loss: float
    valid_loss: float
    is_best: bool
    learning_rate: float
    tokens_per_second: float
    seconds: float

    @property
    def valid_perplexity(self) -> float:
        return perplexity(self.valid_loss)

    @property
    def metrics(self) -> dict[str, object]:
        """A line of ``metrics.jsonl``."""
        return {
            "epoch": self.epoch,
            "train_loss_nats_per_token": self.train_loss,
            "valid_loss_nats_per_token": self.valid_loss,
            "valid_perplexity": self.valid_perplexity,
            "is_best": self.is_best,
            "learning_rate": self.learning_rate,
            "tokens_per_second": self.tokens_per_second,
            "seconds": self.seconds,
        }


class TrainingCallback:
    """Observes a training run; this one does nothing. Override the events of interest."""

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        """Training begins."""

    def on_restore(self, epochs: Sequence[EpochReport], *, epoch_tokens: int) -> None:
        """Training continues after `epochs` and `epoch_tokens` tokens of the next epoch."""

    def on_step(self, *, num_tokens: int) -> None:
        """The model was updated on a window of `num_tokens` tokens."""

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        """An epoch ended and was validated; `model` is the averaged model."""

    def on_evaluation(self, corpus: Corpus) -> None:
        """Training is over, and the model is evaluated on the test part and saved."""

    def on_problem(self, message: str) -> None:
        """Something failed and training continues; called from any thread."""


class WarningCallback(TrainingCallback):
    """Makes warnings of the notes on the corpus and of problems, for a caller in Python."""

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        for note in corpus.notes:
            self.on_problem(note)

    def on_problem(self, message: str) -> None:
        warnings.warn(message, LoreLMWarning, stacklevel=2)


class CallbackList(TrainingCallback):
    """Passes each event to several callbacks, in order."""

    def __init__(self, callbacks: Iterable[TrainingCallback]) -> None:
        self._callbacks: Final = list(callbacks)

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        for callback in self._callbacks:
            callback.on_start(corpus, recipe)

    def on_restore(self, epochs: Sequence[EpochReport], *, epoch_tokens: int) -> None:
        for callback in self._callbacks:
            callback.on_restore(epochs, epoch_tokens=epoch_tokens)

    def on_step(self, *, num_tokens: int) -> None:
        for callback in self._callbacks:
            callback.on_step(num_tokens=num_tokens)

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        for callback in self._callbacks:
            callback.on_epoch(report, model)

    def on_evaluation(self, corpus: Corpus) -> None:
        for callback in self._callbacks:
            callback.on_evaluation(corpus)

    def on_problem(self, message: str) -> None:
        for callback in self._callbacks:
            callback.on_problem(message)


def metrics_lines(reports: Iterable[EpochReport]) -> str:
    """The contents of ``metrics.jsonl``."""
    return "".join(json.dumps(report.metrics) + "\n" for report in reports)


class MetricsLog(TrainingCallback):
    """Callback that writes the metrics so far after each epoch.

    Args:
        out: the folder of the run; it is created by the first write.
        user: notified of a failed write, once until a write succeeds again.
        reports: of the epochs before an interruption.
    """

    def __init__(
        self, out: Path, user: TrainingCallback, *, reports: Iterable[EpochReport] = ()
    ) -> None:
        self._path: Final = out / METRICS_SO_FAR
        self._user: Final = user
        self._reports = list(reports)
        self._is_failing = False

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        # An epoch comes again after the loss has diverged.
        self._reports = [*self._reports[: report.epoch - 1], report]
        try:
            self._path.parent.mkdir(exist_ok=True)
            replace_file(self._path, metrics_lines(self._reports).encode())
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                self._user.on_problem(
                    f"{self._path} cannot be written: {error.strerror}; training goes on"
                )
            self._is_failing = True
