"""Runs that wait for their turn, one at a time: :class:`RunQueue`.

::

    FOLDER/NAME/job.json        what is asked of the run NAME, and the process that does it
    FOLDER/NAME/log.txt         what the process prints
    FOLDER/NAME/events.jsonl    what happens in it (lorelm train --events)

Each run is a process of its own (:mod:`lorelm.runs.process`), which goes on when the queue's
process ends; the next queue of the folder finds it by its number.
"""

import json
import logging
import math
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

from lorelm.bundle.atomic_dir import replace_file
from lorelm.errors import InputError
from lorelm.runs.process import ProcessId, ask_to_stop, id_of, is_alive, start_process

_log: Final = logging.getLogger(__name__)

JOB: Final = "job.json"
LOG: Final = "log.txt"
EVENTS: Final = "events.jsonl"

_SECONDS_BETWEEN_LOOKS: Final = 0.5
_SHOWN_LOG_BYTES: Final = 4_000


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is asked of a run.

    Attributes:
        name: of the run.
        begun_with: the arguments of ``lorelm`` that began it.
        arguments: those of its process, or of the next one.
        then: those to go on with when the process has ended; empty for none.
        queued_at: seconds since 1970; the lowest of those that wait is next.
        waits: whether it waits for its turn.
        process: the last one that was started.
        is_stopping: whether the process was asked to end.
    """

    name: str
    begun_with: tuple[str, ...]
    arguments: tuple[str, ...]
    queued_at: float
    then: tuple[str, ...] = ()
    waits: bool = True
    process: ProcessId | None = None
    is_stopping: bool = False

    @property
    def is_running(self) -> bool:
        return not self.waits and self.process is not None and is_alive(self.process)

    @property
    def is_busy(self) -> bool:
        """Whether it waits, runs, or goes on as soon as its process has ended."""
        return self.waits or bool(self.then) or self.is_running

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        fields = json.loads(content)
        process = fields.pop("process")
        for name in ("begun_with", "arguments", "then"):
            fields[name] = tuple(fields[name])
        return cls(process=process and ProcessId(**process), **fields)


class RunQueue:
    """Starts the runs of a folder, one at a time and in their order.

    Thread-safe. Only one queue of a folder may be open: the caller holds a lock.
    """

    def __init__(self, folder: Path) -> None:
        self._folder: Final = folder
        self._lock: Final = threading.RLock()
        self._children: list[subprocess.Popen[bytes]] = []
        self._is_closed: Final = threading.Event()
        self._thread: Final = threading.Thread(
            target=self._look_until_closed, name="lorelm-queue", daemon=True
        )

    def open(self) -> None:
        """Begin to start runs."""
        self._thread.start()

    def close(self) -> None:
        """Start no more runs; the running one goes on."""
        self._is_closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def jobs(self) -> list[Job]:
        """Return the jobs in the order of the queue."""
        found = []
        for path in self._folder.glob(f"*/{JOB}"):
            with suppress(OSError, ValueError, TypeError, KeyError):  # written by hand
                found.append(replace(Job.from_json(path.read_bytes()), name=path.parent.name))
        return sorted(found, key=lambda job: job.queued_at)

    def find(self, name: str) -> Job | None:
        """Return the job of a run, None if nothing was ever asked of it."""
        try:
            return replace(Job.from_json((self._folder / name / JOB).read_bytes()), name=name)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def add(self, name: str, arguments: Sequence[str]) -> None:
        """Put a run, or what continues one, at the end of the queue.

        Raises:
            InputError: its process still runs.
        """
        with self._lock:
            job, now = self.find(name), time.time()
            if job is not None and job.is_running:
                raise InputError(f"{name} runs already: pause it first", code="runs.running")
            begun_with = job.begun_with if job else tuple(arguments)
            self._write(
                Job(name=name, begun_with=begun_with, arguments=tuple(arguments), queued_at=now)
            )

    def stop(self, name: str, *, then: Sequence[str] = ()) -> None:
        """Take a run from the queue, or let its process save its work and end.

        Args:
            then: arguments to go on with, before all that wait.
        """
        with self._lock:
            job = self.find(name)
            if job is None:
                return
            if job.is_running:
                assert job.process is not None
                ask_to_stop(job.process)
                self._write(replace(job, then=tuple(then), is_stopping=True))
            elif job.waits:
                self._write(replace(job, waits=False))

    def follow_rename(self, old: Path, new: Path, *, queued_before: float = math.inf) -> None:
        """Let what is asked of runs name a folder by its new path.

        Args:
            queued_before: seconds since 1970; what was asked later means another folder, which had
                the old path since.
        """
        with self._lock:
            for job in self.jobs():
                if job.queued_at > queued_before:
                    continue
                changed = replace(
                    job,
                    begun_with=_renamed(job.begun_with, old, new),
                    arguments=_renamed(job.arguments, old, new),
                    then=_renamed(job.then, old, new),
                )
                if changed != job:
                    self._write(changed)

    def log(self, name: str) -> str:
        """Return the end of what the process of a run has printed."""
        try:
            with (self._folder / name / LOG).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _SHOWN_LOG_BYTES))
                return file.read().decode(errors="replace")
        except OSError:
            return ""

    def events(self, name: str) -> Path:
        """Return the file of the events of a run, which need not exist."""
        return self._folder / name / EVENTS

    def look(self) -> None:
        """Start what is next, if nothing runs."""
        with self._lock:
            self._children = [child for child in self._children if child.poll() is None]
            jobs = self.jobs()
            if any(job.is_running for job in jobs):
                return
            if follower := next((job for job in jobs if job.then), None):
                self._start(replace(follower, arguments=follower.then, then=()))
            elif waiting := next((job for job in jobs if job.waits), None):
                self._start(waiting)

    def _start(self, job: Job) -> None:
        child = start_process(job.arguments, log=self._folder / job.name / LOG)
        self._children.append(child)
        self._write(replace(job, waits=False, is_stopping=False, process=id_of(child)))

    def _write(self, job: Job) -> None:
        path = self._folder / job.name / JOB
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, job.to_json())

    def _look_until_closed(self) -> None:
        while not self._is_closed.is_set():
            try:
                self.look()
            except Exception:  # the disk is full, or a folder is being moved: look again
                _log.exception("the queue could not start a run")
            self._is_closed.wait(_SECONDS_BETWEEN_LOOKS)


def _renamed(arguments: Sequence[str], old: Path, new: Path) -> tuple[str, ...]:
    """Return arguments with the new path in place of the old one, and of paths in it."""
    prefix = f"{old}{os.sep}"
    return tuple(
        str(new) if each == str(old) else each.replace(prefix, f"{new}{os.sep}")
        for each in arguments
    )
