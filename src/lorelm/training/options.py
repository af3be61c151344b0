"""What a training run needs beside its texts and its recipe."""

import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final

from lorelm.errors import RecipeError
from lorelm.training.callbacks import TrainingCallback
from lorelm.training.checkpoint import Checkpoint
from lorelm.training.processes import SINGLE_PROCESS, Processes


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options of a training run beside its recipe; a checkpoint holds them.

    Attributes:
        device: where to train: ``auto``, ``cpu``, ``cuda``.
        init: the path of a bundle to start from; its architecture overrides the recipe's.
        serving_only: leave the weights and the float32 graph out of the bundle.
        compact: leave the float32 graph out of the bundle, and write the weights in float16.
        with_ngram: put the n-gram model of the training part into the bundle, so that generating
            and scoring can use the mixture of both.
        time_budget_seconds: how long the run may take, from its start to the saved and evaluated
            bundle; the width and the epochs are fitted to it. None lets the recipe decide.
        checkpoint_seconds: between two checkpoints.
        checkpoint_steps: between two checkpoints, instead of seconds.
        tensorboard: the path of a folder for the metrics of each epoch, for TensorBoard.

    Raises:
        RecipeError: a number is out of its range.
    """

    device: str = "auto"
    init: str | None = None
    serving_only: bool = False
    compact: bool = False
    with_ngram: bool = False
    time_budget_seconds: float | None = None
    checkpoint_seconds: float = 30.0
    checkpoint_steps: int | None = None
    tensorboard: str | None = None

    def __post_init__(self) -> None:
        if not self.checkpoint_seconds >= 0:  # true of NaN as well
            raise RecipeError(
                f"checkpoint_seconds must be at least 0, not {self.checkpoint_seconds}",
                code="recipe.out_of_range",
            )


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """The surroundings of a training run: who observes it, shares it, stops and resumes it.

    Attributes:
        callback: observes the run, in the main process.
        processes: that train together; all of them call `train` with the same arguments.
        stop: entered during training; when its event is set, training ends after the current step
            with a checkpoint.
        resume: the checkpoint to continue from, by its own recipe and options.
        started: when the time budget began, by `time.perf_counter`; None: when `train` is called.
    """

    callback: TrainingCallback = field(default_factory=TrainingCallback)
    processes: Processes = SINGLE_PROCESS
    stop: AbstractContextManager[threading.Event | None] = field(default_factory=nullcontext)
    resume: Checkpoint | None = None
    started: float | None = None


DEFAULT_OPTIONS: Final = TrainingOptions()
DEFAULT_CONTEXT: Final = RunContext()
