"""Observers of a training run: :class:`TrainingCallback`, and what they observe."""

import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Final, Self

from lorelm.bundle import Bundle
from lorelm.bundle.manifest import TrainingEnd
from lorelm.corpus.preparation import Corpus
from lorelm.errors import LoreLMWarning
from lorelm.evaluation.perplexity import perplexity
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.recipe import Recipe

TRAINING: Final = "training"
"""The stage of a run between preparing and evaluating."""


@dataclass(frozen=True)
class TimeRange:
    """Seconds that something takes: on a machine that does nothing else, and on a busier one."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    def __add__(self, other: Self) -> Self:
        return type(self)(self.low + other.low, self.high + other.high)

    def __mul__(self, factor: float) -> Self:
        return type(self)(self.low * factor, self.high * factor)

    def at_most(self, seconds: float) -> Self:
        return type(self)(min(self.low, seconds), min(self.high, seconds))

    def after(self, seconds: float) -> Self:
        """Return what is left after some seconds: something, however long it has taken."""
        return type(self)(max(self.low - seconds, 0.0), max(self.high - seconds, seconds / 10, 0.5))


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the whole run is, from the start of the command to the saved bundle.

    Attributes:
        stage: what is being done, such as "training" or "counting n-grams".
        share: of the run's time that is over; it never falls, and stays below 1 until the end.
        left: seconds until the bundle is saved; None as long as nothing is known.
        loss: of training since the last notification, in nats per token; None outside training.
    """

    stage: str
    share: float
    left: TimeRange | None
    loss: float | None = None

    def after(self, seconds: float) -> Self:
        """Return the progress some seconds later, if nothing else becomes known."""
        if self.left is None:
            return self
        left = self.left.after(seconds)
        done = seconds / (seconds + left.middle)
        return replace(self, share=self.share + (1 - self.share) * done, left=left)


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

    @classmethod
    def of_metrics(cls, line: Mapping[str, Any]) -> Self:
        """Return the report of a line of ``metrics.jsonl``."""
        losses = {
            f"{part}_loss": line[f"{part}_loss_nats_per_token"] for part in ("train", "valid")
        }
        others = {each.name: line[each.name] for each in fields(cls) if each.name not in losses}
        return cls(**losses, **others)

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


def best_epoch(epochs: Sequence[EpochReport]) -> EpochReport:
    """Return the report of the epoch with the lowest validation loss."""
    return next(report for report in reversed(epochs) if report.is_best)


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """The model of the best epoch, the reports of all epochs, and what ended training.

    Attributes:
        base_share: of the weights that training began with in the model's.
    """

    model: LSTMLanguageModel
    epochs: Sequence[EpochReport]
    ended: TrainingEnd
    base_share: float = 0.0

    @property
    def best(self) -> EpochReport:
        return best_epoch(self.epochs)


class TrainingCallback:
    """Observes a training run; this one does nothing. Override the events of interest.

    Attributes:
        wants_samples: whether :meth:`on_sample` is to be called, which takes time.
    """

    wants_samples: bool = False

    def on_progress(self, progress: Progress) -> None:
        """The run goes on: at the beginning of each stage, and about twice a second in training."""

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        """Training begins; it may begin again with another width, to keep to a time budget."""

    def on_restore(self, epochs: Sequence[EpochReport], *, epoch_tokens: int) -> None:
        """Training continues after `epochs` and `epoch_tokens` tokens of the next epoch."""

    def on_step(self, *, num_tokens: int) -> None:
        """The model was updated on a window of `num_tokens` tokens."""

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        """An epoch ended and was validated; `model` is the averaged model."""

    def on_sample(self, epoch: int, text: str) -> None:
        """The averaged model wrote `text`, the beginning of a document, after an epoch."""

    def on_evaluation(self, corpus: Corpus) -> None:
        """Training is over, and the model is evaluated on the test part and saved."""

    def on_end(self, bundle: Bundle) -> None:
        """The model is evaluated and saved."""

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
        self.wants_samples = any(callback.wants_samples for callback in callbacks)
        for event in vars(TrainingCallback):
            if event.startswith("on_"):
                setattr(self, event, partial(self._notify, event))

    def _notify(self, event: str, *arguments: object, **options: object) -> None:
        for callback in self._callbacks:
            getattr(callback, event)(*arguments, **options)


def metrics_lines(reports: Iterable[EpochReport]) -> str:
    """The contents of ``metrics.jsonl``."""
    return "".join(json.dumps(report.metrics) + "\n" for report in reports)
