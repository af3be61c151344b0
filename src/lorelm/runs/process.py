"""``lorelm`` in other processes.

:func:`start_process` starts a training run, which outlives the process that starts it;
:class:`CommandRunner` waits for a command, which does not.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lorelm.errors import CommandError, InputError, ShuttingDownError

_ENVIRONMENT: Final = os.environ | {"PYTHONUTF8": "1", "COLUMNS": "100", "NO_COLOR": "1"}

_SECONDS_APART: Final = 2.0
"""Clocks of the system and of its table of processes may differ by that much."""

_CRASH: Final = ("Traceback ", "Error: ", "Fatal Python error: ")
"""How Python, and a command that was called wrongly, begin to say why they end."""


@dataclass(frozen=True, kw_only=True)
class ProcessId:
    """A process, told from a later one with the same number by when it started.

    Attributes:
        started: seconds since 1970.
    """

    number: int
    started: float


def start_process(arguments: Sequence[str], *, log: Path) -> "subprocess.Popen[bytes]":
    """Start ``lorelm`` with these arguments; what it prints goes to a file.

    It is no part of this terminal: Ctrl-C and the end of the terminal do not reach it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        detached = {
            "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        }
    with log.open("wb") as file:  # what an earlier process said is over
        return subprocess.Popen(  # noqa: S603 - no shell; file names stand after "--"
            [sys.executable, "-m", "lorelm", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=_ENVIRONMENT,
            **detached,
        )


class CommandRunner:
    """Runs ``lorelm`` in processes of its own and waits for them. Thread-safe."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._is_closed = False

    def run(
        self, arguments: Sequence[str], *, timeout_seconds: float, folder: Path | None = None
    ) -> str:
        """Run ``lorelm`` with these arguments; return what it prints to stdout.

        Args:
            folder: where it runs, and looks for the corpus of a model.

        Raises:
            CommandError: the command failed; it has the sentences that the command printed.
            InputError: it took too long.
            ShuttingDownError: the runner was closed, before or meanwhile.
        """
        with self._start(arguments, folder) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout_seconds)
            except subprocess.TimeoutExpired as error:
                raise InputError(
                    f"it took longer than {timeout_seconds / 60:.0f} minutes and was ended",
                    code="runs.command_timeout",
                ) from error
            finally:
                process.kill()
                with self._lock:
                    self._running.discard(process)
        if process.returncode and self._is_closed:
            raise _shutting_down()
        if process.returncode:
            raise CommandError(error_in(stderr), stdout=stdout)
        return stdout

    def close(self) -> None:
        """End what runs, and run nothing more. These commands change nothing that is kept."""
        with self._lock:
            self._is_closed = True
            for process in [*self._running]:
                process.kill()

    def _start(self, arguments: Sequence[str], folder: Path | None) -> "subprocess.Popen[str]":
        with self._lock:
            if self._is_closed:
                raise _shutting_down()
            process = subprocess.Popen(  # noqa: S603 - no shell
                [sys.executable, "-m", "lorelm", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                cwd=folder,
                env=_ENVIRONMENT,
            )
            self._running.add(process)
        return process


def _shutting_down() -> ShuttingDownError:
    return ShuttingDownError("the command was ended, since the studio ends", code="runs.closed")


def error_in(log: str) -> str:
    """Return the sentences in which a command said what was wrong, in what it printed."""
    found = sentences_in(log)
    if found:
        return found
    # Of a program that crashed, the last line says why; else it is the end of a table or a sample.
    lines = [line for line in log.splitlines() if line.strip()]
    has_crashed = any(line.startswith(_CRASH) for line in lines)
    return lines[-1] if has_crashed else "it ended without a word; is there enough memory?"


def sentences_in(log: str) -> str:
    """Return what a command said under its name in a log; empty if that is nothing."""
    lines = [line for line in log.splitlines() if line.startswith("lorelm: ")]
    return "; ".join(line.removeprefix("lorelm: ") for line in lines)


def id_of(process: "subprocess.Popen[bytes]") -> ProcessId:
    """Return the identity of a process that was just started."""
    import psutil

    try:
        started = psutil.Process(process.pid).create_time()
    except psutil.Error:  # it has ended already
        started = 0.0
    return ProcessId(number=process.pid, started=started)


def is_alive(process: ProcessId) -> bool:
    """Return whether a process still runs."""
    return _find(process) is not None


def ask_to_stop(process: ProcessId) -> None:
    """Let a process save its work and end; on Windows it ends at once, with its last checkpoint."""
    import psutil

    found = _find(process)
    if found is not None:
        try:
            found.terminate()
        except psutil.Error:  # it has ended meanwhile
            return


def _find(process: ProcessId) -> Any:
    try:
        import psutil
    except ImportError:  # nothing trains here
        return None
    try:
        found = psutil.Process(process.number)
        if abs(found.create_time() - process.started) > _SECONDS_APART:
            return None
        return None if found.status() == psutil.STATUS_ZOMBIE else found
    except psutil.Error:
        return None
