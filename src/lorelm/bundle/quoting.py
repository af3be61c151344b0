"""Folders in command lines that a message tells a person to type: :func:`quoted`."""

import os
import shlex
import subprocess
from pathlib import Path


def quoted(path: str | Path) -> str:
    """A path as it is to be typed or pasted into the shell of this system."""
    if os.name == "nt":
        return subprocess.list2cmdline([str(path)])
    return shlex.quote(str(path))
