"""The training loop: step by step to the end, whatever comes between."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from lorelm.bundle.bundle import CHECKPOINT
from lorelm.corpus.preparation import Corpus
from lorelm.errors import RecipeError, TrainingStoppedError, WorkerLostError
from lorelm.runtime.step_graph import Weights
from lorelm.training.checkpoint import Checkpoint, CheckpointWriter, Snapshot
from lorelm.training.listener import TrainingListener
from lorelm.training.processes import ALONE, Processes
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import LossExplodedError, TrainedModel, Trainer

_MAX_HALVINGS: Final = 3


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings:
    """Where and how often a run is saved.

    Attributes:
        out: the folder.
        run: the settings of the run, fit for JSON, to be written beside the snapshot.
        seconds: between two checkpoints.
        steps: between two checkpoints, where they are to be counted in steps.
    """

    out: Path
    run: dict[str, Any]
    seconds: float = 30.0
    steps: int | None = None


def fit(
    corpus: Corpus,
    recipe: Recipe,
    *,
    device: torch.device,
    listener: TrainingListener,
    initial_weights: Weights | None = None,
    seconds: float | None = None,
    max_epochs: int | None = None,
    checkpoints: CheckpointSettings | None = None,
    resume: Snapshot | None = None,
    stop: threading.Event | None = None,
    processes: Processes = ALONE,
) -> TrainedModel:
    """Trains a model on the corpus by the recipe and returns it as of its best epoch.

    The same seed on the same machine gives the same weights, interrupted or not. Where the loss
    explodes, training goes back to the last good snapshot with half the learning rate, three times
    at most.

    Args:
        initial_weights: to begin with, in place of random ones.
        seconds: how long to train; None trains the recipe's epochs.
        max_epochs: to train in that time; None: as many as fit.
        checkpoints: where to save the run; None does not save it.
        resume: goes on from there.
        stop: ends training after the step in which it is set, with a checkpoint.
        processes: that share each batch; only the writer among them saves the run.

    Raises:
        CorpusError: the training part is shorter than a batch.
        RecipeError: the loss exploded for the fourth time.
        TrainingStoppedError: `stop` was set, in one of the processes at least.
        WorkerLostError: another process ended.
    """
    trainer = Trainer(
        corpus,
        recipe,
        device=device,
        listener=listener,
        initial_weights=initial_weights,
        seconds=seconds,
        max_epochs=max_epochs,
        processes=processes,
    )
    if resume is not None:
        trainer.restore(resume)
    keeper = _Keeper(trainer, checkpoints, listener, processes)
    while not trainer.is_over:
        try:
            trainer.step()
            keeper.after_step()
            if processes.any_of(stop is not None and stop.is_set()):
                keeper.keep()
                keeper.finish()
                raise TrainingStoppedError(_resume_line(checkpoints))
        except LossExplodedError:
            keeper.go_back()
        except WorkerLostError as error:
            keeper.finish()
            raise WorkerLostError(f"{error}; {_last_checkpoint(checkpoints)}") from error
    keeper.finish()
    return trainer.result()


class _Keeper:
    """Keeps the last good snapshot of a run, in memory and on disk."""

    def __init__(
        self,
        trainer: Trainer,
        settings: CheckpointSettings | None,
        listener: TrainingListener,
        processes: Processes,
    ) -> None:
        self._trainer = trainer
        self._settings = settings
        self._listener = listener
        self._processes = processes
        self._writer = (
            CheckpointWriter(settings.out, settings.run, listener.on_problem)
            if settings and processes.is_writer
            else None
        )
        self.keep()

    def after_step(self) -> None:
        """Takes a snapshot if it is time, and if the one before is written."""
        self._steps += 1
        is_due = self._is_due() and not (self._writer and self._writer.is_busy)
        if self._processes.any_of(self._processes.is_writer and is_due):
            self.keep()

    def keep(self) -> None:
        self._last_good = self._trainer.snapshot()
        self._kept_at = time.monotonic()
        self._steps = 0
        if self._writer:
            self._writer.write(self._last_good)

    def go_back(self) -> None:
        """Takes up the last good snapshot with half the learning rate.

        Raises:
            RecipeError: that was done often enough.
        """
        num_halved = self._trainer.num_halved + 1
        where = self._last_good.description
        if num_halved > _MAX_HALVINGS:
            self.finish()
            raise RecipeError(
                f"the loss exploded again after {where}, though the learning rate was halved "
                f"{_MAX_HALVINGS} times: use a lower --learning-rate"
            )
        self._listener.on_problem(f"the loss exploded: back to {where} with half the learning rate")
        self._trainer.restore(self._last_good, seconds=self._trainer.seconds)
        self._trainer.num_halved = num_halved

    def finish(self) -> None:
        """Returns when everything is on the disk."""
        if self._writer:
            self._writer.wait()

    def _is_due(self) -> bool:
        seconds, steps = 30.0, None
        if self._settings:
            seconds, steps = self._settings.seconds, self._settings.steps
        if steps is not None:
            return self._steps >= steps
        return time.monotonic() - self._kept_at >= seconds


def _resume_line(checkpoints: CheckpointSettings | None) -> str:
    if checkpoints is None:
        return "stopped"
    return f"stopped; go on with: lorelm train --resume {checkpoints.out}"


def _last_checkpoint(checkpoints: CheckpointSettings | None) -> str:
    """What is on the disk, and how to go on from it."""
    if checkpoints is None or not (checkpoints.out / CHECKPOINT).is_file():
        return "there is no checkpoint"
    where = Checkpoint.load(checkpoints.out).snapshot.description
    return f"the last checkpoint is of {where}: go on with lorelm train --resume {checkpoints.out}"
