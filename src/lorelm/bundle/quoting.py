"""Quote paths in the commands that messages suggest: :func:`quoted`."""

import os
import shlex
import subprocess
from pathlib import Path


def quoted(path: str | Path) -> str:
    """Return a path quoted for the shell of this system."""
    if os.name == "nt":
        return subprocess.list2cmdline([str(path)])
    return shlex.quote(str(path))
