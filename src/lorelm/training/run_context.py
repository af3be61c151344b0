"""The surroundings of a training run, and what its stages share."""

import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import torch

from lorelm.bundle import Bundle
from lorelm.training.callbacks import TrainingCallback
from lorelm.training.checkpoint import Checkpoint
from lorelm.training.device import resolve_device
from lorelm.training.options import TrainingOptions
from lorelm.training.processes import SINGLE_PROCESS, Processes
from lorelm.training.progress import RunProgress
from lorelm.training.speed import Machine
from lorelm.training.start import load_initial_checkpoint
from lorelm.training.threads import ThreadTuner, make_tuner
from lorelm.training.time_budget import TimeBudget
from lorelm.training.trackers import Tracker, make_trackers


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """The surroundings of a training run: who observes it, shares it, stops and resumes it.

    Attributes:
        callback: observes the run, in the main process.
        processes: that train together; all of them call `train` with the same arguments.
        stop: entered during training; when its event is set, training ends after the current step
            with a checkpoint.
        resume: the checkpoint to continue from, by its own recipe and options
            (:mod:`lorelm.training.resumption`).
        finish: the run ends there, without further training.
        started: when the time budget began, by `time.perf_counter`; None: when `train` is called.
    """

    callback: TrainingCallback = field(default_factory=TrainingCallback)
    processes: Processes = SINGLE_PROCESS
    stop: AbstractContextManager[threading.Event | None] = field(default_factory=nullcontext)
    resume: Checkpoint | None = None
    finish: bool = False
    started: float | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """What the stages of a run share.

    Attributes:
        threads: chooses the number of threads; None on a device other than the CPU.
        trackers: that the options ask for, in the main process.
        initial: the initial checkpoint, if the run starts from one.
    """

    out: Path
    options: TrainingOptions
    context: RunContext
    progress: RunProgress
    device: torch.device
    id: str
    threads: ThreadTuner | None = None
    trackers: Sequence[Tracker] = ()
    initial: Bundle | None = None
    budget: TimeBudget | None = None

    @property
    def machine(self) -> Machine:
        max_seconds = min(2.0, self.budget.seconds / 200) if self.budget else 2.0
        return Machine(
            device=self.device,
            processes=self.context.processes,
            threads=self.threads,
            max_seconds=max_seconds,
        )


def begin_run(out: Path, options: TrainingOptions, context: RunContext) -> Run:
    """Check what can be checked before the corpus is read, which may take long."""
    processes, resume = context.processes, context.resume
    device = processes.local_device(resolve_device(options.device))
    started = time.perf_counter() if context.started is None else context.started
    run_id = (resume.run.get("id") if resume else None) or uuid4().hex
    user, trackers = TrainingCallback(), []
    if processes.is_main_process:
        user = context.callback
        trackers = make_trackers(options, run_id=run_id, name=out.absolute().name, user=user)
    progress, initial, budget = RunProgress(user, started=started), None, None
    if options.init is not None:
        initial = load_initial_checkpoint(options.init)
    is_planned = resume is not None and "training_seconds" in resume.run
    if options.time_budget_seconds is not None and not is_planned:
        budget = TimeBudget(
            seconds=options.time_budget_seconds, started=started, processes=processes
        )
        progress.set_budget(budget)
    return Run(
        out=out,
        options=options,
        context=context,
        progress=progress,
        device=device,
        id=run_id,
        threads=make_tuner(options.threads, device),
        trackers=trackers,
        initial=initial,
        budget=budget,
    )
