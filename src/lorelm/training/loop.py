"""The training loop: step by step to the end, whatever comes between."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from lorelm.bundle.layout import CHECKPOINT
from lorelm.bundle.quoting import quoted
from lorelm.corpus.preparation import Corpus
from lorelm.errors import RecipeError, TrainingStoppedError, WorkerLostError
from lorelm.runtime.step_graph import Weights
from lorelm.training.checkpoint import CheckpointWriter, Snapshot, last_checkpoint
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
        CheckpointError: the first checkpoint cannot be written.
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
    keeper = _Keeper(trainer, checkpoints, listener, processes, resume)
    while not trainer.is_over:
        try:
            trainer.step()
            keeper.after_step()
            if processes.any_of(stop is not None and stop.is_set()):
                keeper.keep()
                raise TrainingStoppedError(processes.by_writer(keeper.how_to_go_on))
        except LossExplodedError:
            keeper.go_back()
        except WorkerLostError as error:
            keeper.finish()
            kept = last_checkpoint(checkpoints.out) if checkpoints else None
            raise WorkerLostError(f"{error}; {kept or 'there is no checkpoint'}") from error
    keeper.finish()
    return trainer.result()


class _Keeper:
    """Keeps the last good snapshot of a run, in memory and on disk.

    Args:
        resume: where the run goes on, which is on the disk already; None where it begins.

    Raises:
        CheckpointError: the first checkpoint cannot be written.
    """

    def __init__(
        self,
        trainer: Trainer,
        settings: CheckpointSettings | None,
        listener: TrainingListener,
        processes: Processes,
        resume: Snapshot | None,
    ) -> None:
        self._trainer = trainer
        self._settings = settings
        self._listener = listener
        self._processes = processes
        self._last_good = resume or trainer.snapshot()
        self._kept_at = time.monotonic()
        self._steps = 0
        self._writer = (
            CheckpointWriter(
                settings.out,
                settings.run,
                listener.on_problem,
                last_good=self._last_good.description,
            )
            if settings and processes.is_writer
            else None
        )
        if resume is None:
            processes.by_writer(self._write_first)

    def after_step(self) -> None:
        """Takes a snapshot if it is time, and if the one before is written; and at the end."""
        self._steps += 1
        is_due = self._is_due() and not (self._writer and self._writer.is_busy)
        if self._processes.any_of(self._processes.is_writer and is_due) or self._trainer.is_over:
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
                f"{_MAX_HALVINGS} times: begin anew with a lower --learning-rate{self._elsewhere()}"
            )
        self._listener.on_problem(f"the loss exploded: back to {where} with half the learning rate")
        self._trainer.restore(self._last_good, seconds=self._trainer.seconds)
        self._trainer.num_halved = num_halved
        self.keep()  # so that a run that is resumed is not halved three times again

    def how_to_go_on(self) -> str:
        """What to say of a run that is stopped, in the process that writes."""
        self.finish()
        if self._settings is None or self._writer is None:
            return "stopped"
        if self._writer.is_failing:
            kept = last_checkpoint(self._settings.out)
            return f"stopped; {kept or 'nothing of the run is on the disk'}"
        return f"stopped; go on with: lorelm train --resume {quoted(self._settings.out)}"

    def finish(self) -> None:
        """Returns when everything is on the disk."""
        if self._writer:
            self._writer.wait()

    def _elsewhere(self) -> str:
        """Where a run can begin while the folder holds this one."""
        if self._settings is None:
            return ""
        return f", in another folder or after deleting {self._settings.out / CHECKPOINT}"

    def _write_first(self) -> None:
        if self._writer:
            self._writer.write_first(self._last_good)

    def _is_due(self) -> bool:
        seconds, steps = 30.0, None
        if self._settings:
            seconds, steps = self._settings.seconds, self._settings.steps
        if steps is not None:
            return self._steps >= steps
        return time.monotonic() - self._kept_at >= seconds
