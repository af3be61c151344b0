import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Lorelm = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def lorelm(tmp_path: Path) -> Lorelm:
    """Runs the command as a person would, in an empty folder or a given one."""

    def run(
        *arguments: str | Path, code: int = 0, cwd: Path = tmp_path, typed: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        ended = subprocess.run(
            [sys.executable, "-m", "lorelm", *map(str, arguments)],
            cwd=cwd,
            input=typed,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert ended.returncode == code, ended.stderr
        assert "Traceback" not in ended.stderr
        return ended

    return run
