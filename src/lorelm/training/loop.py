"""The training loop: :func:`fit`, and its :class:`CheckpointManager`."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from lorelm.bundle.atomic_dir import replace_file
from lorelm.bundle.layout import CHECKPOINT, METRICS_SO_FAR
from lorelm.errors import CheckpointError, RecipeError, TrainingStoppedError, WorkerLostError
from lorelm.evaluation.measure import sample_beginning
from lorelm.runtime.torch_runtime import TorchRuntime
from lorelm.training.callbacks import EpochReport, TrainedModel, TrainingCallback, metrics_lines
from lorelm.training.checkpoint import Checkpoint, Snapshot, last_checkpoint
from lorelm.training.losses import LossDivergedError
from lorelm.training.options import TrainingOptions
from lorelm.training.pacing import ReplannedError
from lorelm.training.trainer import Trainer

_MAX_HALVINGS: Final = 3


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings:
    """Where and how often a run is saved.

    Attributes:
        out: the folder; None keeps the last good snapshot in memory alone.
        run: the settings of the run, fit for JSON, which a checkpoint holds beside the snapshot.
        seconds: between two checkpoints.
        steps: between two checkpoints, instead of seconds.
    """

    out: Path | None = None
    run: dict[str, Any] = field(default_factory=dict)
    seconds: float = 30.0
    steps: int | None = None

    @classmethod
    def of_run(cls, out: Path, run: dict[str, Any], options: TrainingOptions) -> Self:
        seconds, steps = options.checkpoint_seconds, options.checkpoint_steps
        return cls(out=out, run=run, seconds=seconds, steps=steps)


def fit(
    trainer: Trainer,
    *,
    callback: TrainingCallback | None = None,
    checkpoints: CheckpointSettings | None = None,
    resume: Snapshot | None = None,
    finish: bool = False,
    stop: threading.Event | None = None,
    after_step: Callable[[Trainer], object] | None = None,
) -> TrainedModel:
    """Train to the end and return the model of the best epoch.

    The same seed on the same machine gives the same weights, interrupted or not. Where the loss
    diverges, training goes back to the last good snapshot with half the learning rate, three times
    at most.

    Args:
        resume: continue from there.
        finish: end there, with the best epoch so far and what was learned since the last one.
        stop: when set, training ends after the current step, with a checkpoint.
        after_step: called after each step, in all processes. It may move the end of the run, or
            give it up with an exception.

    Raises:
        CheckpointError: the first checkpoint cannot be written, or there is nothing to finish.
        RecipeError: the loss diverged for the fourth time.
        ReplannedError: `after_step` raised it.
        TrainingStoppedError: `stop` was set, in at least one of the processes.
        WorkerLostError: another process ended.
    """
    callback, checkpoints = callback or TrainingCallback(), checkpoints or CheckpointSettings()
    processes = trainer.processes
    callback.on_start(trainer.corpus, trainer.recipe)
    trainer.start_clock()
    if resume is not None:
        trainer.restore(resume)
        callback.on_restore(trainer.epochs, epoch_tokens=trainer.epoch_tokens)
    if finish:
        return _finished(trainer, callback)
    manager = CheckpointManager(trainer, checkpoints, callback)
    manager.start(resume)
    while not trainer.is_over:
        try:
            _step(trainer, manager, callback)
            if after_step is not None:
                after_step(trainer)
            if processes.any(stop is not None and stop.is_set()):
                manager.save()
                raise TrainingStoppedError(processes.broadcast_from_main(manager.how_to_go_on))
        except LossDivergedError:
            manager.go_back()
        except ReplannedError:
            manager.wait()
            raise
        except WorkerLostError as error:
            manager.wait()
            saved = last_checkpoint(checkpoints.out) if checkpoints.out else None
            raise WorkerLostError(f"{error}; {saved or 'there is no checkpoint'}") from error
    manager.wait()
    return trainer.result()


def _step(trainer: Trainer, manager: "CheckpointManager", callback: TrainingCallback) -> None:
    """Make one update, and notify the observer."""
    report = trainer.step()
    callback.on_step(num_tokens=trainer.step_tokens)
    if report is not None:
        manager.write_metrics()
        _notify(report, trainer, callback)
    manager.after_step()


def _notify(report: EpochReport, trainer: Trainer, callback: TrainingCallback) -> None:
    callback.on_epoch(report, trainer.averaged_model)
    if callback.wants_samples:
        runtime = TorchRuntime(trainer.averaged_model)
        text = sample_beginning(runtime, trainer.corpus, seed=report.epoch)
        callback.on_sample(report.epoch, text)


def _finished(trainer: Trainer, callback: TrainingCallback) -> TrainedModel:
    """Return the model of a run that ends here; its checkpoint stays until there is a bundle."""
    with suppress(LossDivergedError):  # an earlier epoch is better then
        report = trainer.finish()
        if report is not None:
            _notify(report, trainer, callback)
    if not trainer.epochs:
        raise CheckpointError(
            "the run has learned nothing that could be kept: go on with resume (--resume)",
            code="checkpoint.nothing_learned",
        )
    return trainer.result()


class CheckpointManager:
    """Keeps the last good snapshot of a run, in memory and on disk, and the metrics of its epochs.

    The main process writes checkpoints in a thread of its own while training continues. A failed
    write is reported once until a write succeeds again, and not raised: the last good file stays.
    """

    def __init__(
        self, trainer: Trainer, settings: CheckpointSettings, callback: TrainingCallback
    ) -> None:
        self._trainer: Final = trainer
        self._settings: Final = settings
        self._out: Final = settings.out if trainer.processes.is_main_process else None
        self._callback: Final = callback
        self._thread: Final = ThreadPoolExecutor(max_workers=1)
        self._writing: Future[None] | None = None
        self._is_failing = self._is_metrics_failing = False
        self._saved_at = 0.0
        self._steps = 0

    def start(self, resume: Snapshot | None) -> None:
        """Write the first checkpoint, unless the run continues as it is from one.

        Raises:
            CheckpointError: it cannot be written.
        """
        self._last_good = resume or self._trainer.snapshot()
        self._on_disk = self._last_good.description
        self._saved_at = time.monotonic()
        if resume is None or resume.begins_extension:
            self._trainer.processes.broadcast_from_main(lambda: self._write(self._last_good))
            if self._trainer.epochs:
                self.write_metrics()
            elif self._out is not None:  # of a run whose checkpoint was deleted
                (self._out / METRICS_SO_FAR).unlink(missing_ok=True)

    def write_metrics(self) -> None:
        """Replace ``metrics.so-far.jsonl``, which has a line per epoch."""
        if self._out is None:
            return
        path = self._out / METRICS_SO_FAR
        try:
            self._out.mkdir(exist_ok=True)
            replace_file(path, metrics_lines(self._trainer.epochs).encode())
            self._is_metrics_failing = False
        except OSError as error:
            if not self._is_metrics_failing:
                self._callback.on_problem(
                    f"{path} cannot be written: {error.strerror}; training goes on"
                )
            self._is_metrics_failing = True

    def after_step(self) -> None:
        """Save if it is time and the last checkpoint is on disk; and at the end of training."""
        self._steps += 1
        if self._settings.steps is not None:
            is_due = self._steps >= self._settings.steps
        else:
            is_due = time.monotonic() - self._saved_at >= self._settings.seconds
        processes = self._trainer.processes
        is_idle = self._writing is None or self._writing.done()
        if processes.any(processes.is_main_process and is_due and is_idle) or self._trainer.is_over:
            self.save()

    def save(self) -> None:
        """Take a snapshot, and begin to write it."""
        self._last_good = self._trainer.snapshot()
        self._saved_at = time.monotonic()
        self._steps = 0
        self.wait()
        self._writing = self._thread.submit(self._try_to_write, self._last_good)

    def go_back(self) -> None:
        """Restore the last good snapshot with half the learning rate.

        Raises:
            RecipeError: the learning rate was halved often enough.
        """
        trainer, where = self._trainer, self._last_good.description
        num_halved = trainer.learning_rate.num_halved + 1
        if num_halved > _MAX_HALVINGS:
            self.wait()
            elsewhere = ""
            if self._out:
                elsewhere = f", in another folder or after deleting {self._out / CHECKPOINT}"
            raise RecipeError(
                f"the loss diverged again after {where}, though the learning rate was halved "
                f"{_MAX_HALVINGS} times: start over with a lower learning_rate "
                f"(--learning-rate){elsewhere}",
                code="recipe.loss_diverged",
            )
        self._callback.on_problem(f"the loss diverged: back to {where} with half the learning rate")
        trainer.restore(self._last_good, seconds=trainer.seconds)
        self._callback.on_restore(trainer.epochs, epoch_tokens=trainer.epoch_tokens)
        trainer.learning_rate.num_halved = num_halved
        self.save()  # so that a resumed run counts the halvings before it

    def how_to_go_on(self) -> str:
        """Return the message of a stopped run, in the main process."""
        self.wait()
        if self._out is None:
            return "stopped"
        if self._is_failing:
            saved = last_checkpoint(self._out)
            return f"stopped; {saved or 'nothing of the run is on the disk'}"
        checkpoint = Checkpoint(run=self._settings.run, snapshot=self._last_good)
        return f"stopped; go on with {checkpoint.ways_on(self._out)}"

    def wait(self) -> None:
        """Return when every checkpoint is on disk."""
        if self._writing is not None:
            self._writing.result()

    def _write(self, snapshot: Snapshot) -> None:
        if self._out is not None:
            Checkpoint(run=self._settings.run, snapshot=snapshot).save(self._out)

    def _try_to_write(self, snapshot: Snapshot) -> None:
        try:
            self._write(snapshot)
            self._is_failing = False
            self._on_disk = snapshot.description
        except CheckpointError as error:
            if not self._is_failing:
                self._callback.on_problem(
                    f"{error}; the last good one is of {self._on_disk}, and training goes on"
                )
            self._is_failing = True
