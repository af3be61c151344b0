"""Quote words of the commands that messages suggest: :func:`quoted`."""

import os
import re
import shlex
from pathlib import Path
from typing import Final

_IS_WINDOWS: Final = os.name == "nt"

_PLAIN: Final = re.compile(r"[\w.:\\/+-]+")
"""What neither cmd nor PowerShell reads as anything else."""


def quoted(word: str | Path) -> str:
    """Return a word quoted for the shell of this system.

    On Windows, double quotes are those of both cmd and PowerShell; but a dollar sign or a backtick
    between them means something to PowerShell, which takes them literally between single quotes.
    """
    word = str(word)
    if not _IS_WINDOWS:
        return shlex.quote(word)
    if _PLAIN.fullmatch(word):
        return word
    if "$" in word or "`" in word:
        return "'" + word.replace("'", "''") + "'"
    # A backslash before the last quote would be read as part of a quote that is meant literally.
    ends = len(word) - len(word.rstrip("\\"))
    return '"' + word + "\\" * ends + '"'
