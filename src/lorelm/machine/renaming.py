"""Rename a file or a folder also where virus scanners look into it: :func:`rename`."""

import os
import time
from pathlib import Path
from typing import Final

_SECONDS_TO_TRY: Final = 2.0 if os.name == "nt" else 0.0

_FIRST_PAUSE_SECONDS: Final = 0.01


def rename(source: Path, target: Path, *, seconds: float = _SECONDS_TO_TRY) -> None:
    """Rename a file or a folder; a file that has the new name is replaced.

    Windows renames and replaces nothing that a program has open. Virus scanners and search indexers
    open what was just written, and other threads of ours read it, all for some milliseconds.

    Args:
        seconds: how long to try again.

    Raises:
        OSError: it cannot be renamed.
    """
    give_up, pause = time.monotonic() + seconds, _FIRST_PAUSE_SECONDS
    while True:
        try:
            source.replace(target)
        except PermissionError:
            if time.monotonic() >= give_up:
                raise
        else:
            return
        time.sleep(pause)
        pause *= 2
