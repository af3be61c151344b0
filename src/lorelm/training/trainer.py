"""The state of a training run, and one update of it: :class:`Trainer`."""

import dataclasses
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import torch

from lorelm.bundle.manifest import TrainingEnd
from lorelm.corpus.preparation import Corpus
from lorelm.corpus.windows import DocumentPermutation, TokenBatcher, num_windows
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.callbacks import EpochReport, TrainedModel, best_epoch
from lorelm.training.checkpoint import Snapshot, prefixed, random_states, set_random_states
from lorelm.training.device import resolve_precision
from lorelm.training.losses import (
    LossDivergedError,
    LossMonitor,
    WordSample,
    output_loss,
    validation_loss,
)
from lorelm.training.processes import SINGLE_PROCESS, Processes
from lorelm.training.recipe import Recipe
from lorelm.training.regularisation import RegularisedModel, WeightAverage
from lorelm.training.schedule import BEGINNING, LearningRate, TrainingHorizon
from lorelm.training.threads import ThreadTuner
from lorelm.training.unfreezing import drop_frozen_gradients
from lorelm.typing import Ids

_STEPS_BETWEEN_LOSS_CHECKS: Final = 20
"""Each check waits for the device."""

_STATE: Final = ("state.h", "state.c")
"""Names of the LSTM's state in a snapshot."""


class Trainer:
    """Model, optimizer and position of a training run; :meth:`step` is one update of the weights.

    Args:
        model: on the device to train on; it is trained in place.
        horizon: when the run ends; None: after the epochs of the recipe.
        processes: that share each batch; all of them call the same methods.
        threads: chooses the number of threads; None: those that PyTorch has.

    Attributes:
        epochs: the reports of the epochs that are over.
        horizon: when the run ends; it may be moved between two updates.
        num_updates: updates of the weights so far.
        progress: the share of the run that is over, from 0 to 1.
        clock: seconds since training began, at the last update, by the main process.
        epoch_tokens, step_tokens: tokens of the current epoch so far, and of the last update.

    Raises:
        CorpusError: the training part is shorter than a batch.
        RecipeError: the batch has fewer columns than there are processes.
    """

    def __init__(
        self,
        model: LSTMLanguageModel,
        corpus: Corpus,
        recipe: Recipe,
        *,
        horizon: TrainingHorizon | None = None,
        processes: Processes = SINGLE_PROCESS,
        threads: ThreadTuner | None = None,
    ) -> None:
        self.model: Final = model
        self.corpus: Final = corpus
        self.recipe: Final = recipe
        self.processes: Final = processes
        self.device: Final = model.fc.weight.device
        self.epochs: list[EpochReport] = []
        self.updates_per_epoch: Final = num_windows(
            len(corpus.train.stream), recipe.batch_size, recipe.bptt
        )
        self.learning_rate = LearningRate(recipe)
        self._threads: Final = threads
        self.horizon = horizon or TrainingHorizon(epochs=recipe.epochs)
        self._columns: Final = processes.columns(recipe.batch_size)
        self._is_half: Final = resolve_precision(recipe.precision, self.device) == "bfloat16"
        self._regularised: Final = RegularisedModel(model, recipe, columns=self._columns)
        self._average: Final = WeightAverage(model, decay=recipe.weight_average)
        self._optimizer: Final = _adam(model, recipe)
        self._permutation: Final = (
            DocumentPermutation(corpus.train.stream) if recipe.shuffle else None
        )
        self._best_weights: dict[str, torch.Tensor] = {}
        self._monitor: Final = LossMonitor(len(corpus.vocabulary))
        self.num_updates, self.progress, self.clock = 0, 0.0, 0.0
        self._clock_zero: float | None = None
        self._begun: Mapping[str, Any] = BEGINNING
        self.begin_epoch()

    @property
    def is_over(self) -> bool:
        return self._window == 0 and bool(self.epochs) and self._end is not None

    @property
    def is_epoch_over(self) -> bool:
        return self._window == self.updates_per_epoch

    @property
    def seconds(self) -> float:
        """Since training began, without interruptions; 0 before :meth:`start_clock`."""
        return 0.0 if self._clock_zero is None else time.perf_counter() - self._clock_zero

    @property
    def averaged_model(self) -> LSTMLanguageModel:
        """The model that is validated and kept."""
        return self._average.model

    @property
    def best_epoch(self) -> EpochReport:
        return best_epoch(self.epochs)

    def result(self) -> TrainedModel:
        model = self._average.model
        model.load_state_dict(self._best_weights, strict=False)  # a tied tensor is stored once
        return TrainedModel(model=model.eval(), epochs=self.epochs, ended=self._end or "finish")

    def begin_epoch(self, *, window: int = 0) -> None:
        """Go to the beginning, or a window, of the epoch after the last one that is over."""
        recipe, permutation = self.recipe, self._permutation
        if permutation is not None:
            random = np.random.default_rng((recipe.seed, len(self.epochs)))
            permutation = permutation.shuffled(random)
        batcher = TokenBatcher(
            self.corpus.train.stream,
            batch_size=recipe.batch_size,
            permutation=permutation,
            columns=self._columns,
        )
        self._windows: Iterator[tuple[Ids, Ids]] = batcher.windows(bptt=recipe.bptt, first=window)
        self._window = window
        self._state = self.model.initial_state(self._columns.stop - self._columns.start)
        self.epoch_nats = torch.zeros((), device=self.device)
        self.epoch_tokens = 0
        self._monitor.begin_epoch(0.0, 0)
        self._epoch_began = 0.0

    def start_clock(self, seconds: float = 0.0) -> None:
        """Count seconds from now, beginning at the given number."""
        self._clock_zero = time.perf_counter() - seconds

    def step(self) -> EpochReport | None:
        """Train on the next window; after the last one of an epoch, validate and report.

        Raises:
            LossDivergedError: the weights are useless.
        """
        if self._window == 0:
            self._epoch_began = self.seconds
        self.update()
        self._set_progress()
        if self._window % _STEPS_BETWEEN_LOSS_CHECKS == 0:
            self._check_loss()
        if not self.is_epoch_over and self.progress < 1:
            return None
        self._check_loss()
        report = self._end_epoch()
        self.begin_epoch()
        return report

    def finish(self) -> EpochReport | None:
        """End the run here; validate and report what was learned since the last epoch."""
        if self._window == 0:
            return None
        self._set_learning_rate()  # for the report
        self._check_loss()
        return self._end_epoch()

    def update(self) -> None:
        """Make one update of the weights by the next window of the epoch.

        The state is carried to the next window and detached from this one.
        """
        began = time.perf_counter() if self._threads else 0.0
        recipe, model = self.recipe, self.model
        inputs_TB, targets_TB = (torch.from_numpy(x).to(self.device) for x in next(self._windows))
        self._set_learning_rate()
        model.train()
        # Products in bfloat16, weights and sums in float32; or all in float32.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._is_half):
            outputs_TBH, state, penalty = self._regularised(
                inputs_TB, self._state, progress=self.progress
            )
        sample = WordSample.draw(model.config.vocabulary_size, recipe.sampled_words)
        loss = output_loss(outputs_TBH, model.fc.weight, model.fc.bias, targets_TB, sample)
        self._optimizer.zero_grad(set_to_none=True)
        share = inputs_TB.shape[1] / recipe.batch_size  # losses are means over all columns
        torch.autograd.backward((loss + penalty) * share)
        loss = self.processes.sum_gradients(model.parameters(), loss.detach() * share)
        if not self._begun["num_updates"]:  # a run that is extended has trained all layers
            drop_frozen_gradients(model, progress=self.progress, share=recipe.unfreezing)
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_gradient_norm)
        self._optimizer.step()
        self.num_updates += 1
        self._average.update(self.num_updates)
        self._state = (state[0].detach(), state[1].detach())
        self.step_tokens = num_tokens = len(inputs_TB) * recipe.batch_size
        self.epoch_nats += loss * num_tokens
        self.epoch_tokens += num_tokens
        self._window += 1
        if self._threads is not None:
            self._threads.record(num_tokens=num_tokens, seconds=time.perf_counter() - began)

    def snapshot(self) -> Snapshot:
        """Return the run as it is now.

        Raises:
            LossDivergedError: the run is not worth keeping.
        """
        self._check_loss()
        if not all(bool(weight.isfinite().all()) for weight in self.model.parameters()):
            raise LossDivergedError
        named = self._tensors()
        for name in _STATE:
            named[name] = self.processes.gather_columns(named[name], self.recipe.batch_size)
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in named.items()}
        return Snapshot(
            tensors=tensors | random_states(self.device),
            metadata={
                "epochs": [dataclasses.asdict(report) for report in self.epochs],
                "window": self._window,
                "num_updates": self.num_updates,
                "learning_rate": self.learning_rate.state,
                "epoch_tokens": self.epoch_tokens,
                "epoch_seconds": self.seconds - self._epoch_began,
                "seconds": self.seconds,
                "is_over": self.is_over,
                "begun": dict(self._begun),
            },
        )

    def restore(self, snapshot: Snapshot, *, seconds: float | None = None) -> None:
        """Continue where a run of the same corpus, recipe and device was.

        Args:
            seconds: since training began; None: as many as at the snapshot.
        """
        metadata = snapshot.metadata
        states = {name: snapshot.tensors[name][:, self._columns] for name in _STATE}
        tensors = snapshot.tensors | states
        self.epochs = [EpochReport(**report) for report in metadata["epochs"]]
        self.num_updates = metadata["num_updates"]
        self._begun = metadata["begun"]
        begun_at = self._progress_at(self._begun["num_updates"], self._begun["seconds"])
        state = metadata["learning_rate"] | {"begun_at": begun_at}
        self.learning_rate = LearningRate(self.recipe, **state)
        self.start_clock(metadata["seconds"] if seconds is None else seconds)
        self._set_progress()
        self.begin_epoch(window=metadata["window"])
        self.epoch_tokens = metadata["epoch_tokens"]
        self._epoch_began = self.seconds - metadata["epoch_seconds"]
        self._allocate_as_in(tensors)
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(tensors[name])
        self._monitor.begin_epoch(self.epoch_nats.item(), self.epoch_tokens)
        set_random_states(tensors, self.device)

    @property
    def _end(self) -> TrainingEnd | None:
        """What has ended the run; None if nothing has."""
        best = max(self._begun["num_epochs"], self.best_epoch.epoch) if self.epochs else 0
        return self.horizon.end(self.progress, num_epochs_since_best=len(self.epochs) - best)

    def _set_learning_rate(self) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate.at(self.progress)

    def _set_progress(self) -> None:
        """Compute the progress by the main process's clock, so that it is the same in all."""
        self.clock = self.processes.number_from_main(self.seconds)
        self.progress = self._progress_at(self.num_updates, self.clock)

    def _progress_at(self, num_updates: int, seconds: float) -> float:
        return self.horizon.progress(
            num_updates=num_updates, updates_per_epoch=self.updates_per_epoch, seconds=seconds
        )

    def _tensors(self) -> dict[str, torch.Tensor]:
        """All tensors of the run by name, to read from or write to."""
        named = {
            **prefixed("model", dict(self.model.named_parameters())),
            **prefixed("average", dict(self._average.model.named_parameters())),
            **prefixed("best", self._best_weights),
            **dict(zip(_STATE, self._state, strict=True)),
            "epoch_nats": self.epoch_nats,
        }
        for name, parameter in self.model.named_parameters():
            named |= prefixed(f"adam.{name}", self._optimizer.state.get(parameter, {}))
        return named

    def _allocate_as_in(self, tensors: dict[str, torch.Tensor]) -> None:
        """Create or drop the best weights and the state of the optimizer, as in a snapshot."""
        self._best_weights = {}
        if self.epochs:
            self._keep_weights()
        self._optimizer.state.clear()
        for name, parameter in self.model.named_parameters():
            has_state = f"adam.{name}.step" in tensors  # not before its layer trains
            parameter.grad = torch.zeros_like(parameter) if has_state else None
        self._optimizer.step()  # allocates the states

    def _check_loss(self) -> None:
        self._monitor.check_steps(self.epoch_nats.item(), self.epoch_tokens)

    def _end_epoch(self) -> EpochReport:
        """Validate, and keep the weights if they are the best so far."""
        training_seconds = self.seconds - self._epoch_began
        # All processes validate and use one result: that takes no longer, and none has to wait.
        valid_loss = self.processes.number_from_main(
            validation_loss(self._average.model, self.corpus.valid.stream)
        )
        train_loss = self.epoch_nats.item() / self.epoch_tokens
        self._monitor.check_epoch(train_loss, valid_loss)
        self.learning_rate.on_validation(valid_loss)
        report = EpochReport(
            epoch=len(self.epochs) + 1,
            train_loss=train_loss,
            valid_loss=valid_loss,
            is_best=not self.epochs or valid_loss < self.best_epoch.valid_loss,
            learning_rate=self._optimizer.param_groups[0]["lr"],
            tokens_per_second=self.epoch_tokens / training_seconds,
            seconds=self.seconds,
        )
        if report.is_best:
            self._keep_weights()
        self.epochs.append(report)
        return report

    def _keep_weights(self) -> None:
        weights = self._average.model.named_parameters()
        self._best_weights = {name: weight.detach().clone() for name, weight in weights}


def _adam(model: LSTMLanguageModel, recipe: Recipe) -> torch.optim.Adam:
    return torch.optim.Adam(
        model.parameters(),
        lr=recipe.learning_rate,
        betas=(0.9, recipe.second_moment_decay),
        fused=model.fc.weight.device.type in ("cpu", "cuda"),
    )
