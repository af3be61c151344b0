"""Observers of a training run: :class:`TrainingCallback`, and what they observe."""

import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

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
    """Makes warnings of the notes on the corpus and of problems, for a caller in Python.

    Args:
        on_epoch: called after each epoch.
    """

    def __init__(self, on_epoch: Callable[[EpochReport], object] | None = None) -> None:
        self._on_epoch: Final = on_epoch

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        if self._on_epoch is not None:
            self._on_epoch(report)

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        for note in corpus.notes:
            self.on_problem(note)

    def on_problem(self, message: str) -> None:
        warnings.warn(message, LoreLMWarning, stacklevel=2)


class CallbackList(TrainingCallback):
    """Passes each event to several callbacks, in order."""

    def __init__(self, callbacks: Sequence[TrainingCallback]) -> None:
        self._callbacks: Final = callbacks
        for event in vars(TrainingCallback):
            if event.startswith("on_"):
                setattr(self, event, partial(self._notify, event))

    def _notify(self, event: str, *arguments: object, **options: object) -> None:
        for callback in self._callbacks:
            getattr(callback, event)(*arguments, **options)


def metrics_lines(reports: Iterable[EpochReport]) -> str:
    """The contents of ``metrics.jsonl``."""
    return "".join(json.dumps(report.metrics) + "\n" for report in reports)
