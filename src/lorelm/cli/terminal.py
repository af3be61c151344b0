"""What commands print, and when they were started. Nothing here takes time to import."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from lorelm.table import text_width

_MAX_LINE_LENGTH: Final = 2_000

_SLOW_SECONDS: Final = 2.0
"""A wait that is longer is explained."""


def printable(text: str) -> str:
    """Return a text as one line without control characters, which could steer the terminal."""
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    return shown if len(shown) <= _MAX_LINE_LENGTH else f"{shown[:_MAX_LINE_LENGTH]}..."


def echo_notes(notes: Iterable[str]) -> None:
    """Print sentences for the user to stderr."""
    for note in notes:
        click.echo(note, err=True)


def show_address(url: str, what: str = "Watch it at", *, opens: bool = True) -> None:
    """Print the address of a page, and open it where a browser would appear before the user."""
    click.echo(f"{what} {url}", err=True)
    if opens and _has_display():
        import webbrowser

        webbrowser.open(url)


def _has_display() -> bool:
    if not sys.stderr.isatty():  # of a scheduled job, or a test
        return False
    if sys.platform.startswith(("darwin", "win")):
        return "SSH_CONNECTION" not in os.environ
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def duration(seconds: float) -> str:
    """Return a time as people write it: 42 s, 3 min, 1.5 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def time_range(low: float, high: float) -> str:
    """Return two times as people write them, in two digits: 40 s, 40 to 70 s, 90 s to 2.5 min.

    A time is at least a second.
    """
    (least, unit), (most, last_unit) = (_two_digits(max(each, 1.0)) for each in (low, high))
    if unit != last_unit:
        return f"{least:g} {unit} to {most:g} {last_unit}"
    return f"{most:g} {unit}" if least == most else f"{least:g} to {most:g} {unit}"


def _two_digits(seconds: float) -> tuple[float, str]:
    """Return a number, and its unit."""
    if seconds < 120:
        return round(seconds), "s"
    size, unit = (60, "min") if seconds < 7200 else (3600, "h")
    return float(f"{seconds / size:.2g}"), unit


@contextmanager
def waiting(doing: str) -> Iterator[Callable[[str], None]]:
    """Show on stderr what is being done; yield a function that says what is done now.

    A terminal shows it while it lasts. Elsewhere, what takes more than two seconds is printed as a
    line. Of several processes that torchrun started, the first one does so.
    """
    if os.environ.get("RANK", "0") != "0":
        yield lambda now: None
        return
    lines = _PassingLine() if sys.stderr.isatty() else SlowLines()
    lines.begin(doing)
    try:
        yield lines.begin
    finally:
        lines.end()


class _PassingLine:
    """Shows what is being done as the last line of a terminal, and then erases it.

    With spaces, for not every console of Windows knows the escape sequence.
    """

    def __init__(self) -> None:
        self._num_columns = 0

    def begin(self, doing: str) -> None:
        self.end()
        # A line that the terminal wraps could not be erased.
        shown = f"{printable(doing)} ..."[: shutil.get_terminal_size().columns - 1]
        self._num_columns = text_width(shown)
        click.echo(shown, nl=False, err=True)

    def end(self) -> None:
        click.echo(f"\r{' ' * self._num_columns}\r", nl=False, err=True)


class SlowLines:
    """Prints what is being done, as lines to stderr, if it takes more than two seconds."""

    def __init__(self) -> None:
        self._timer = threading.Timer(0, str)

    def begin(self, doing: str) -> None:
        self.end()
        self._timer = threading.Timer(_SLOW_SECONDS, click.echo, [f"{doing} ..."], {"err": True})
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        self._timer.cancel()


def process_started() -> float:
    """Return when this process began, on the clock of `time.perf_counter`.

    A time budget counts from there. Where the system does not tell (elsewhere than on Linux it
    takes psutil, of the extra `train`), the CPU time of the process stands for its age.
    """
    try:
        age = _seconds_since_start()
    except (ImportError, OSError, ValueError, IndexError):
        age = time.process_time()
    return time.perf_counter() - age


def _seconds_since_start() -> float:
    if sys.platform == "linux":
        # psutil would be wrong by up to a second: it adds the whole seconds of the time of boot.
        # "number (name) state ...": the name may hold anything, the 22nd word is ticks since boot.
        words = Path("/proc/self/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(words[19]) / os.sysconf("SC_CLK_TCK")
    else:
        import psutil

        age = time.time() - psutil.Process().create_time()
    return age
