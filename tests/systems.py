"""What tests need to know of the system that they run on."""

import os
import subprocess
from typing import Final

import pytest

IS_WINDOWS: Final = os.name == "nt"
IS_ROOT: Final = not IS_WINDOWS and os.geteuid() == 0

needs_signals = pytest.mark.skipif(IS_WINDOWS, reason="Windows has no signals to ask a program by")
needs_shell_quotes = pytest.mark.skipif(IS_WINDOWS, reason="Windows has other quotes")


def end(program: "subprocess.Popen[str]", *, seconds: float = 20) -> None:
    """End a program, which must end well where the system lets it."""
    program.terminate()
    code = program.wait(timeout=seconds)
    assert code == 0 or IS_WINDOWS, f"it ended with the code {code}"
