"""Who is told how training goes: :class:`TrainingListener`."""

from collections.abc import Sequence
from dataclasses import dataclass

from lorelm.corpus.preparation import Corpus
from lorelm.evaluation.perplexity import perplexity
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """What one epoch came to.

    Attributes:
        epoch: its number, from 1.
        train_loss: nats per token of the training part, dropout on.
        valid_loss: nats per token of the validation part.
        is_best: whether no earlier epoch had a lower `valid_loss`.
        learning_rate: the last one it was trained with.
        tokens_per_second: of training, validation not counted.
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


class TrainingListener:
    """Is told how training goes; this one keeps silent. Override what is of interest."""

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        """Training begins."""

    def on_restore(self, epochs: Sequence[EpochReport], *, epoch_tokens: int) -> None:
        """Training goes on, or back, to where `epochs` and so many tokens of the next were over."""

    def on_step(self, *, num_tokens: int) -> None:
        """A window of `num_tokens` tokens was trained on."""

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        """An epoch and its validation are over."""

    def on_problem(self, message: str) -> None:
        """Something went wrong and training goes on; called from any thread."""


class ListenerBefore(TrainingListener):
    """Passes everything on to another listener; override what is to be done besides."""

    def __init__(self, listener: TrainingListener) -> None:
        self._listener = listener

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        self._listener.on_start(corpus, recipe)

    def on_restore(self, epochs: Sequence[EpochReport], *, epoch_tokens: int) -> None:
        self._listener.on_restore(epochs, epoch_tokens=epoch_tokens)

    def on_step(self, *, num_tokens: int) -> None:
        self._listener.on_step(num_tokens=num_tokens)

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        self._listener.on_epoch(report, model)

    def on_problem(self, message: str) -> None:
        self._listener.on_problem(message)
