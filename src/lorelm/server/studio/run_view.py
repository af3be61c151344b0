"""How a run of the studio is doing, by its files, its job and its process: :class:`RunView`."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lorelm.bundle.files import find_manifest
from lorelm.bundle.layout import CHECKPOINT
from lorelm.runs.process import error_in, sentences_in
from lorelm.runs.queue import Job
from lorelm.runs.run import Run, read_run
from lorelm.server.studio.state import StudioState
from lorelm.server.watch.event_file import Follower
from lorelm.server.watch.run_files import put_run
from lorelm.server.watch.watched_run import Seen, WatchedRun
from lorelm.translations import Catalogue, gettext_noop

RunState = Literal[
    "waiting", "running", "stopping", "paused", "finished", "found", "failed", "gone"
]

_SECONDS_BETWEEN_LOOKS: Final = 0.5
_SECONDS_BETWEEN_SIGNS: Final = 5.0
"""An event is sent at least as often, so that a client that is gone is noticed."""

_STUDY: Final = "study.db"
"""As in lorelm.training.tuning.study, whose import needs Optuna."""

_NOTHING_YET: Final[dict[str, Any]] = {
    "share": 0.0,
    "epochs": 0,
    "seconds": 0.0,
    "tokensPerSecond": None,
}


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A run as it is now.

    Attributes:
        state: `paused` where a checkpoint waits, whether it was stopped or cut off; `found` where a
            search has ended and its model is not taken yet; `gone` where somebody has renamed or
            removed the folder of what was a model or had a checkpoint.
        is_cut_off: it was not stopped by the user; so a crash or a power cut ended it.
        error: why it failed.
        has_checkpoint: whether there is something to go on with.
    """

    name: str
    state: RunState
    run: Run
    job: Job | None
    error: str = ""

    @property
    def is_cut_off(self) -> bool:
        return self.state == "paused" and self.job is not None and not self.job.is_stopping

    @property
    def has_checkpoint(self) -> bool:
        return bool(self.run.checkpoint)

    @property
    def is_active(self) -> bool:
        return self.state in ("waiting", "running", "stopping")

    @property
    def has_events(self) -> bool:
        """Whether its process tells what happens in it; else its files alone do."""
        return self.job is not None and "--events" in self.job.arguments

    @property
    def is_tuning(self) -> bool:
        return self.job is not None and self.job.begun_with[:1] == ("tune",)


def view_of(state: StudioState, name: str) -> RunView:
    """Return how a run is doing."""
    return _view(state, name, state.queue.find(name))


def run_views(state: StudioState) -> list[RunView]:
    """Return all runs that are not finished, those in the queue first and in its order."""
    views = [_view(state, job.name, job) for job in state.queue.jobs()]
    # A folder may have been put there, or renamed, by hand.
    others = sorted({*state.library.names("models")} - {view.name for view in views})
    folder = state.library.root / "models"
    views += [_view(state, n, None) for n in others if (folder / n / CHECKPOINT).is_file()]
    return sorted(
        (view for view in views if view.state not in ("finished", "gone")),
        key=lambda view: not view.is_active,
    )


def _view(state: StudioState, name: str, job: Job | None) -> RunView:
    run = read_run(state.library.root / "models" / name)
    if job is not None and job.is_running:
        return RunView(
            name=name, state="stopping" if job.is_stopping else "running", run=run, job=job
        )
    if job is not None and (job.waits or job.then):
        return RunView(name=name, state="waiting", run=run, job=job)
    if run.state == "finished":
        # Training it further, or a second try, may have failed: the model is as it was.
        error = sentences_in(state.queue.log(name)) if job and not job.is_stopping else ""
        return RunView(name=name, state="finished", run=run, job=job, error=error)
    if run.state in ("running", "evaluating"):  # from a terminal
        return RunView(name=name, state="running", run=run, job=job)
    if run.checkpoint and run.state != "failed":
        return RunView(name=name, state="paused", run=run, job=job)
    return (job and _search_view(state, run, job)) or _view_of_nothing(state, name, run, job)


def _search_view(state: StudioState, run: Run, job: Job) -> RunView | None:
    """Return how a search is doing that does not run now; None if nothing came of it."""
    if job.begun_with[:1] != ("tune",):
        return None
    found = found_by_search(state, job.name)
    if find_manifest(found) is not None:
        return RunView(name=job.name, state="found", run=run, job=job)
    has_failed = not job.is_stopping and sentences_in(state.queue.log(job.name))
    if found.with_name(_STUDY).exists() and not has_failed:
        return RunView(name=job.name, state="paused", run=run, job=job)
    return None


def found_by_search(state: StudioState, name: str) -> Path:
    """Return the folder of the best model of a search, which need not exist yet."""
    return state.library.runs_dir / name / "tuning" / "model"


def _view_of_nothing(state: StudioState, name: str, run: Run, job: Job | None) -> RunView:
    """Return how a run is doing that has left no model and no checkpoint that can be gone on with.

    A run that failed has said why, or never had a folder; else somebody has moved the folder.
    """
    log = state.queue.log(name)
    if run.state == "gone" and (job is None or _had_folder(state, job, log)):
        return RunView(name=name, state="gone", run=run, job=job)
    error = run.error or error_in(log)
    if job is not None and job.is_stopping:
        error = gettext_noop("It was stopped before its first checkpoint, so nothing was kept.")
    elif job is not None and job.process is None:
        error = gettext_noop("It was removed from the queue.")
    return RunView(name=name, state="failed", run=run, job=job, error=error)


def _had_folder(state: StudioState, job: Job, log: str) -> bool:
    """Return whether a run whose folder is not there had one: its model, or a checkpoint."""
    said = sentences_in(log)
    if job.process is None or (said and not job.is_stopping):
        return False
    watched = WatchedRun({})
    Follower(state.queue.events(job.name), watched).read()
    progress = watched.value("progress") or _NOTHING_YET
    return "--resume" in said or progress.get("stage") == "finished" or progress["epochs"] > 0


def run_events(
    state: StudioState, name: str, shown: str, texts: Catalogue
) -> Iterator[dict[str, Any]]:
    """Yield what changes in a run, at first everything, until it ends or another state begins.

    Args:
        shown: the state that the page shows.
        texts: in the language of the page.
    """
    watched, seen = WatchedRun({}), Seen()
    follower = Follower(state.queue.events(name), watched)
    before: Run | None = None
    signed = 0.0
    while True:
        view = view_of(state, name)  # before the events: its end comes after them
        follower.read()
        if not view.has_events and view.run != before:
            put_run(watched, view.run, state.settings.describe_recipe)
        before = view.run
        is_over = not view.is_active or view.state != shown
        if is_over or view.state == "waiting":
            _put_state(watched, view, texts)
        changes = watched.new(seen)
        if changes or time.monotonic() > signed + _SECONDS_BETWEEN_SIGNS:
            signed = time.monotonic()
            yield changes
        if is_over:
            return
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _put_state(watched: WatchedRun, view: RunView, texts: Catalogue) -> None:
    """Let the state have the last word: a process that was killed did not write its end."""
    stages = {"paused": "stopped", "running": "training", "stopping": "training"}
    stage = stages.get(view.state, view.state)
    before = watched.value("progress")
    progress = {**(before or _NOTHING_YET), "stage": stage, "secondsLeft": None}
    if progress != before:
        watched.put(progress=progress)
    if not view.is_active:
        paused = texts.gettext("The run is paused.")
        failed = texts.plain(view.error) if view.error else ""
        message = {"paused": paused, "failed": failed}.get(view.state, "")
        if message:
            watched.put(end={"message": message})
