"""The training loop: windows through the model, epoch by epoch, the best one kept."""

import math
import time
from dataclasses import dataclass
from typing import Final

import torch
from torch.nn.functional import cross_entropy

from lorelm.corpus.preparation import Corpus
from lorelm.corpus.windows import columns, windows
from lorelm.errors import InputError, RecipeError
from lorelm.evaluation.perplexity import perplexity
from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel, LSTMState
from lorelm.training.recipe import Recipe
from lorelm.training.validation import validation_loss


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """What one epoch came to.

    Attributes:
        epoch: its number, from 1.
        train_loss: nats per token of the training part, dropout on.
        valid_loss: nats per token of the validation part.
        is_best: whether no earlier epoch had a lower `valid_loss`.
        learning_rate: the one it was trained with.
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

    def on_step(self, *, num_tokens: int) -> None:
        """A window of `num_tokens` tokens was trained on."""

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        """An epoch and its validation are over."""


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """The model of the best epoch, and the way there.

    Attributes:
        interruption: what ended training before its last epoch: Ctrl-C, or a loss that exploded.
    """

    model: LSTMLanguageModel
    best: EpochReport
    epochs: list[EpochReport]
    interruption: KeyboardInterrupt | RecipeError | None


def resolve_device(device: str) -> torch.device:
    """The device by its name; ``auto`` is CUDA where there is one and the CPU elsewhere.

    Raises:
        InputError: there is no such device on this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        if resolved.type not in ("cpu", "cuda", "mps"):
            raise RuntimeError(f"{resolved.type} does not compute")
        torch.zeros(1, device=resolved)
    except (RuntimeError, AssertionError) as error:  # "not compiled with CUDA" is an assertion
        raise InputError(
            f"this machine or this PyTorch has no device {device!r}: use --device cpu"
        ) from error
    return resolved


def fit(
    corpus: Corpus, recipe: Recipe, *, device: torch.device, listener: TrainingListener
) -> TrainedModel:
    """Trains a model on the corpus by the recipe and returns it as of its best epoch.

    The same seed on the same machine gives the same weights. What goes wrong after the first epoch
    ends training early, and the best epoch so far is returned.

    Raises:
        CorpusError: the training part is shorter than a batch.
        RecipeError: the loss exploded in the first epoch.
        KeyboardInterrupt: Ctrl-C in the first epoch.
    """
    torch.manual_seed(recipe.seed)
    config = ModelConfig(
        vocabulary_size=len(corpus.vocabulary),
        embedding_size=recipe.embedding_size,
        hidden_size=recipe.hidden_size,
        num_layers=recipe.num_layers,
    )
    try:
        model = LSTMLanguageModel(config, dropout=recipe.dropout).to(device)
        trainer = _Trainer(model, corpus, recipe, listener)
    except RuntimeError as error:  # PyTorch has no one exception for a lack of memory
        raise RecipeError(
            f"there is no memory for {recipe.num_layers} layers of {recipe.hidden_size} and "
            f"{len(corpus.vocabulary):,} words: use a smaller --hidden-size"
        ) from error
    interruption: KeyboardInterrupt | RecipeError | None = None
    try:
        for _ in range(recipe.epochs):
            trainer.run_epoch()
    except (KeyboardInterrupt, RecipeError) as error:
        if not trainer.epochs:
            raise
        interruption = error
    return TrainedModel(
        model=trainer.best_model(),
        best=trainer.best_epoch,
        epochs=trainer.epochs,
        interruption=interruption,
    )


class _Trainer:
    """What changes while a model is trained: weights, optimizer, schedule, best so far."""

    def __init__(
        self,
        model: LSTMLanguageModel,
        corpus: Corpus,
        recipe: Recipe,
        listener: TrainingListener,
    ) -> None:
        self.epochs: list[EpochReport] = []
        self._model = model
        self._recipe: Final = recipe
        self._listener = listener
        device = model.fc.weight.device
        inputs_TB, targets_TB = columns(corpus.train.stream, batch_size=recipe.batch_size)
        self._inputs_TB = torch.tensor(inputs_TB, device=device)
        self._targets_TB = torch.tensor(targets_TB, device=device)
        self._valid_stream = corpus.valid.stream
        self._optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
        self._schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._optimizer, factor=recipe.learning_rate_decay, patience=0
        )
        self._best_weights: dict[str, torch.Tensor] = {}
        self._started = time.perf_counter()
        listener.on_start(corpus, recipe)

    @property
    def best_epoch(self) -> EpochReport:
        return next(report for report in reversed(self.epochs) if report.is_best)

    def best_model(self) -> LSTMLanguageModel:
        self._model.load_state_dict(self._best_weights)
        return self._model.eval()

    def run_epoch(self) -> None:
        """Reads the training part once, validates, and remembers the weights if they are best."""
        learning_rate = self._optimizer.param_groups[0]["lr"]
        started = time.perf_counter()
        train_loss = self._train_one_epoch()
        seconds = time.perf_counter() - started
        valid_loss = validation_loss(self._model, self._valid_stream)
        if not math.isfinite(train_loss + perplexity(valid_loss)):
            raise RecipeError(
                f"the loss exploded in epoch {len(self.epochs) + 1}: use a lower --learning-rate"
            )
        self._schedule.step(valid_loss)
        report = EpochReport(
            epoch=len(self.epochs) + 1,
            train_loss=train_loss,
            valid_loss=valid_loss,
            is_best=not self.epochs or valid_loss < self.best_epoch.valid_loss,
            learning_rate=learning_rate,
            tokens_per_second=self._inputs_TB.numel() / seconds,
            seconds=time.perf_counter() - self._started,
        )
        if report.is_best:
            self._best_weights = {
                name: tensor.detach().clone() for name, tensor in self._model.state_dict().items()
            }
        self.epochs.append(report)
        self._listener.on_epoch(report, self._model)

    def _train_one_epoch(self) -> float:
        self._model.train()
        state = self._model.initial_state(self._recipe.batch_size)
        total_nats = torch.zeros((), device=self._inputs_TB.device)
        for inputs_TB, targets_TB in windows(
            self._inputs_TB, self._targets_TB, bptt=self._recipe.bptt
        ):
            loss, state = self._step(inputs_TB, targets_TB, state)
            total_nats += loss * inputs_TB.numel()
            self._listener.on_step(num_tokens=inputs_TB.numel())
        return total_nats.item() / self._inputs_TB.numel()

    def _step(
        self, inputs_TB: torch.Tensor, targets_TB: torch.Tensor, state: LSTMState
    ) -> tuple[torch.Tensor, LSTMState]:
        """One update; returns the loss and the state to carry on with, cut off from its past."""
        logits_TBV, (h_LBH, c_LBH) = self._model(inputs_TB, state)
        loss = cross_entropy(logits_TBV.flatten(0, 1), targets_TB.flatten())
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._recipe.max_gradient_norm)
        self._optimizer.step()
        return loss.detach(), (h_LBH.detach(), c_LBH.detach())
