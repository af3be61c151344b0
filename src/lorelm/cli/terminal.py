"""What commands print, and when they were started. Nothing here takes time to import."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click

_MAX_LINE_LENGTH: Final = 2_000


def printable(text: str) -> str:
    """Return a text as one line without control characters, which could steer the terminal."""
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    return shown if len(shown) <= _MAX_LINE_LENGTH else f"{shown[:_MAX_LINE_LENGTH]}..."


def echo_notes(notes: Iterable[str]) -> None:
    """Print sentences for the user to stderr."""
    for note in notes:
        click.echo(note, err=True)


def duration(seconds: float) -> str:
    """Return a time as people write it: 42 s, 3 min, 1.5 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def process_started() -> float:
    """Return when this process began, on the clock of `time.perf_counter`.

    A time budget counts from there. Where the system does not tell, unlike Linux, the CPU time of
    the process stands for its age.
    """
    try:
        # "number (name) state ...": the name may hold anything, the 22nd word is ticks since boot.
        words = Path("/proc/self/stat").read_text(errors="replace").rpartition(")")[2].split()
        ticks = int(words[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        age = time.process_time()
    return time.perf_counter() - age
