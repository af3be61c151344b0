"""What changes while a model is trained, and one step of it: :class:`Trainer`."""

import dataclasses
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from lorelm.corpus.preparation import Corpus
from lorelm.corpus.windows import DocumentPermutation, TokenBatcher
from lorelm.errors import RecipeError
from lorelm.evaluation.perplexity import perplexity
from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runtime.step_graph import Weights
from lorelm.training.average import WeightAverage
from lorelm.training.checkpoint import Snapshot
from lorelm.training.device import autocast, resolve_precision
from lorelm.training.listener import EpochReport, TrainingListener
from lorelm.training.output_loss import output_loss
from lorelm.training.pace import Pace
from lorelm.training.processes import ALONE, Processes
from lorelm.training.recipe import Recipe
from lorelm.training.regularisation import RegularisedModel
from lorelm.training.schedule import LearningRate
from lorelm.training.validation import validation_loss
from lorelm.typing import Ids

_EXPLODED_NATS: Final = 5.0
"""A token that costs so much more than a guess among all words, in the mean of some steps."""

_WORTHLESS_NATS: Final = 1.0
"""The same for a whole epoch, in training and in validation.

Not in validation alone: a text learned by heart, or one with many unknown words, makes it high too.
"""

_STEPS_BETWEEN_LOOKS: Final = 20
"""At the loss; each look waits for the device."""


_NO_MEMORY: Final = ("allocate memory", "not enough memory", "out of memory", "size calculation")
"""What PyTorch says on Linux, Windows and graphics cards, and of more bytes than can be counted: it
has no one exception for a lack of memory."""


class LossExplodedError(Exception):
    """The loss is beyond all reason, or no number."""


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """The model of the best epoch, and the way there."""

    model: LSTMLanguageModel
    best: EpochReport
    epochs: list[EpochReport]


class Trainer:
    """What changes while a model is trained; :meth:`step` is one update of the weights.

    Args:
        initial_weights: to begin with, in place of random ones.
        seconds: how long to train; None trains the recipe's epochs.
        max_epochs: to train in that time; None: as many as fit.
        processes: that share each batch; all of them call the same methods.

    Raises:
        CorpusError: the training part is shorter than a batch.
        RecipeError: there is no memory for the model, or no column of the batch for a process.
    """

    def __init__(
        self,
        corpus: Corpus,
        recipe: Recipe,
        *,
        device: torch.device,
        listener: TrainingListener,
        initial_weights: Weights | None = None,
        seconds: float | None = None,
        max_epochs: int | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self.epochs: list[EpochReport] = []
        self._recipe: Final = recipe
        self._corpus: Final = corpus
        self._listener: Final = listener
        self._device: Final = device
        self._processes: Final = processes
        self._columns: Final = processes.columns(recipe.batch_size)
        self._num_columns: Final = self._columns.stop - self._columns.start
        self._precision: Final = resolve_precision(recipe.precision, device)
        torch.manual_seed(recipe.seed)
        self._model = new_model(corpus, recipe, device)
        if initial_weights is not None:
            self._model.load_state_dict(
                {name: torch.from_numpy(weight) for name, weight in initial_weights.items()}
            )
        self._regularised = RegularisedModel(self._model, recipe, columns=self._columns)
        self._average = WeightAverage(self._model, decay=recipe.weight_average)
        self._optimizer = torch.optim.Adam(
            self._model.parameters(),
            lr=recipe.learning_rate,
            betas=(0.9, recipe.second_moment_decay),
            fused=device.type in ("cpu", "cuda"),
        )
        self._learning_rate = LearningRate(recipe)
        self._permutation = DocumentPermutation(corpus.train.stream) if recipe.shuffle else None
        self._best_weights: dict[str, torch.Tensor] = {}
        self._guess_nats: Final = math.log(len(corpus.vocabulary))
        self._num_updates = 0
        self._seconds_before = 0.0
        self._started = time.perf_counter()
        self._begin_epoch()
        num_epochs = recipe.epochs if seconds is None else max_epochs
        self._pace = Pace(
            num_updates=None if num_epochs is None else num_epochs * self.updates_per_epoch,
            seconds=seconds,
        )
        self._progress = 0.0
        listener.on_start(corpus, recipe)

    @property
    def num_halved(self) -> int:
        """How often the learning rate was halved because the loss exploded."""
        return self._learning_rate.num_halved

    @num_halved.setter
    def num_halved(self, count: int) -> None:
        self._learning_rate.num_halved = count

    @property
    def is_over(self) -> bool:
        return self._progress >= 1 and self._window == 0 and bool(self.epochs)

    @property
    def seconds(self) -> float:
        """Since training began, interruptions not counted."""
        return self._seconds_before + time.perf_counter() - self._started

    @property
    def averaged_model(self) -> LSTMLanguageModel:
        """What is validated and kept."""
        return self._average.model

    @property
    def best_epoch(self) -> EpochReport:
        return next(report for report in reversed(self.epochs) if report.is_best)

    def result(self) -> TrainedModel:
        model = self._average.model
        model.load_state_dict(self._best_weights, strict=False)  # a tied tensor is there once
        return TrainedModel(model=model.eval(), best=self.best_epoch, epochs=self.epochs)

    def step(self) -> None:
        """Trains on the next window; after the last one of an epoch, validates.

        Raises:
            LossExplodedError: the weights are of no use any more.
        """
        inputs_TB, targets_TB = (
            torch.from_numpy(ids).to(self._device) for ids in next(self._windows)
        )
        self._update(inputs_TB, targets_TB)
        self._window += 1
        self._look_at_clock()
        if self._window % _STEPS_BETWEEN_LOOKS == 0:
            self._check_loss()
        self._listener.on_step(num_tokens=len(inputs_TB) * self._recipe.batch_size)
        if self._window == self.updates_per_epoch or self._progress >= 1:
            self._check_loss()
            self._end_epoch()
            self._begin_epoch()

    def snapshot(self) -> Snapshot:
        """The run as it is now.

        Raises:
            LossExplodedError: it is beyond repair.
        """
        self._check_loss()
        if not all(bool(weight.isfinite().all()) for weight in self._model.parameters()):
            raise LossExplodedError
        h_LBH, c_LBH = (self._of_all_columns(state) for state in self._state)
        named = self._tensors() | {"state.h": h_LBH, "state.c": c_LBH}
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in named.items()}
        return Snapshot(
            tensors=tensors | {"random": torch.get_rng_state()} | _cuda_random_state(self._device),
            facts={
                "epochs": [dataclasses.asdict(report) for report in self.epochs],
                "window": self._window,
                "num_updates": self._num_updates,
                "learning_rate": self._learning_rate.state,
                "epoch_tokens": self._epoch_tokens,
                "epoch_seconds": self._epoch_seconds + self.seconds,
                "seconds": self.seconds,
                "is_over": self.is_over,
            },
        )

    def restore(self, snapshot: Snapshot, *, seconds: float | None = None) -> None:
        """Goes on where a run of the same corpus, recipe and device was.

        Args:
            seconds: since training began; None: as many as at the time of the snapshot, since what
                came after it was an interruption.
        """
        facts = snapshot.facts
        tensors = snapshot.tensors | {
            name: snapshot.tensors[name][:, self._columns] for name in ("state.h", "state.c")
        }
        self.epochs = [EpochReport(**report) for report in facts["epochs"]]
        self._num_updates = facts["num_updates"]
        self._learning_rate.restore(facts["learning_rate"])
        self._seconds_before = facts["seconds"] if seconds is None else seconds
        self._started = time.perf_counter()
        self._look_at_clock()
        self._begin_epoch(window=facts["window"])
        self._epoch_tokens = facts["epoch_tokens"]
        self._epoch_seconds = facts["epoch_seconds"] - self.seconds
        self._make_room_for(tensors)
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(tensors[name])
        self._looked_at = self._epoch_nats.item(), self._epoch_tokens
        torch.set_rng_state(tensors["random"])
        if "cuda_random" in tensors:
            torch.cuda.set_rng_state(tensors["cuda_random"], self._device)
        self._listener.on_restore(self.epochs, epoch_tokens=self._epoch_tokens)

    def _look_at_clock(self) -> None:
        """Takes down how far the run is, the same in all processes."""
        self._progress = self._pace.progress(
            num_updates=self._num_updates, seconds=self._processes.writers(self.seconds)
        )

    def _tensors(self) -> dict[str, torch.Tensor]:
        """All that the run consists of, by name, to be read from or written to."""
        named = [
            *_prefixed("model", dict(self._model.named_parameters())),
            *_prefixed("average", dict(self._average.model.named_parameters())),
            *_prefixed("best", self._best_weights),
            ("state.h", self._state[0]),
            ("state.c", self._state[1]),
            ("epoch_nats", self._epoch_nats),
        ]
        for name, parameter in self._model.named_parameters():
            named += _prefixed(f"adam.{name}", self._optimizer.state.get(parameter, {}))
        return dict(named)

    def _of_all_columns(self, state_LBH: torch.Tensor) -> torch.Tensor:
        """The state of the whole batch, in float32, from that of each process's columns."""
        num_layers, _, width = state_LBH.shape
        whole_LBH = torch.zeros(num_layers, self._recipe.batch_size, width, device=state_LBH.device)
        whole_LBH[:, self._columns] = state_LBH.float()
        return self._processes.sum_of(whole_LBH)

    def _make_room_for(self, tensors: dict[str, torch.Tensor]) -> None:
        """Has the best weights and the state of the optimizer, or not, as the snapshot does."""
        self._best_weights = {}
        if self.epochs:
            self._remember_weights()
        self._optimizer.state.clear()
        if any(name.startswith("adam.") for name in tensors):
            for parameter in self._model.parameters():
                parameter.grad = torch.zeros_like(parameter)
            self._optimizer.step()  # which makes its state in its first step

    def _begin_epoch(self, *, window: int = 0) -> None:
        """Takes up the reading of the epoch after the last one that is over."""
        recipe, stream = self._recipe, self._corpus.train.stream
        permutation = self._permutation
        if permutation is not None:
            seeds = (recipe.seed, len(self.epochs))
            permutation = permutation.shuffled(np.random.default_rng(seeds))
        batcher = TokenBatcher(
            stream, batch_size=recipe.batch_size, permutation=permutation, columns=self._columns
        )
        self._windows: Iterator[tuple[Ids, Ids]] = batcher.windows(bptt=recipe.bptt, first=window)
        self.updates_per_epoch = -(-batcher.num_steps // recipe.bptt)
        self._window = window
        self._state = self._model.initial_state(self._num_columns)
        self._epoch_nats = torch.zeros((), device=self._device)
        self._epoch_tokens = 0
        self._looked_at = (0.0, 0)
        self._epoch_seconds = -self.seconds

    def _update(self, inputs_TB: torch.Tensor, targets_TB: torch.Tensor) -> None:
        """One step of the optimizer; the state is carried on, cut off from its past."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate.at(self._progress)
        self._model.train()
        with autocast(self._device, self._precision):
            outputs_TBH, state, penalty = self._regularised(inputs_TB, self._state)
        fc = self._model.fc
        loss = output_loss(outputs_TBH, fc.weight, fc.bias, targets_TB)
        self._optimizer.zero_grad(set_to_none=True)
        share = self._num_columns / self._recipe.batch_size  # of means over all columns
        torch.autograd.backward((loss + penalty) * share)
        loss = self._processes.sum_gradients(self._model.parameters(), loss.detach() * share)
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._recipe.max_gradient_norm)
        self._optimizer.step()
        self._num_updates += 1
        self._average.update(self._num_updates)
        self._state = (state[0].detach(), state[1].detach())
        num_tokens = len(inputs_TB) * self._recipe.batch_size
        self._epoch_nats += loss * num_tokens
        self._epoch_tokens += num_tokens

    def _check_loss(self) -> None:
        """Looks at the loss of the steps since the last look.

        Raises:
            LossExplodedError: it is much worse than a guess among all words, or no number.
        """
        nats, num_tokens = self._epoch_nats.item(), self._epoch_tokens
        nats_before, num_tokens_before = self._looked_at
        limit = (self._guess_nats + _EXPLODED_NATS) * (num_tokens - num_tokens_before)
        if not nats - nats_before <= limit:
            raise LossExplodedError
        self._looked_at = nats, num_tokens

    def _end_epoch(self) -> None:
        """Validates, and remembers the weights if they are the best so far."""
        training_seconds = self._epoch_seconds + self.seconds
        learning_rate = self._optimizer.param_groups[0]["lr"]
        # All validate, though one result would do: nobody has to wait longer than for a step.
        valid_loss = self._processes.writers(
            validation_loss(self._average.model, self._corpus.valid.stream)
        )
        train_loss = self._epoch_nats.item() / self._epoch_tokens
        self._check_epoch(train_loss, valid_loss)
        self._learning_rate.on_validation(valid_loss)
        report = EpochReport(
            epoch=len(self.epochs) + 1,
            train_loss=train_loss,
            valid_loss=valid_loss,
            is_best=not self.epochs or valid_loss < self.best_epoch.valid_loss,
            learning_rate=learning_rate,
            tokens_per_second=self._epoch_tokens / training_seconds,
            seconds=self.seconds,
        )
        if report.is_best:
            self._remember_weights()
        self.epochs.append(report)
        self._listener.on_epoch(report, self._average.model)

    def _check_epoch(self, train_loss: float, valid_loss: float) -> None:
        """Looks at the losses of a whole epoch.

        Raises:
            LossExplodedError: both are worse than a guess among all words, or one is no number.
        """
        is_worthless = min(train_loss, valid_loss) > self._guess_nats + _WORTHLESS_NATS
        if is_worthless or not math.isfinite(perplexity(valid_loss)):
            raise LossExplodedError

    def _remember_weights(self) -> None:
        self._best_weights = {
            name: parameter.detach().clone()
            for name, parameter in self._average.model.named_parameters()
        }


def _prefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> list[tuple[str, torch.Tensor]]:
    return [(f"{prefix}.{name}", tensor) for name, tensor in tensors.items()]


def _cuda_random_state(device: torch.device) -> dict[str, torch.Tensor]:
    return {"cuda_random": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}


def new_model(corpus: Corpus, recipe: Recipe, device: torch.device) -> LSTMLanguageModel:
    """The model that a recipe trains on a corpus, with random weights.

    Raises:
        RecipeError: there is no memory for it.
    """
    config = ModelConfig(
        vocabulary_size=len(corpus.vocabulary),
        embedding_size=recipe.embedding_size,
        hidden_size=recipe.hidden_size,
        num_layers=recipe.num_layers,
        tied=recipe.tied,
    )
    try:
        return LSTMLanguageModel(config).to(device)
    except RuntimeError as error:
        if not any(phrase in str(error) for phrase in _NO_MEMORY):
            raise
        raise RecipeError(
            f"there is no memory for {recipe.num_layers} layers of {recipe.hidden_size} and "
            f"{len(corpus.vocabulary):,} words: use a smaller --hidden-size"
        ) from error
