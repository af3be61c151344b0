import os
import subprocess
import sys

import pytest

from lorelm.machine.processes import is_running


def test_a_process_runs_until_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert is_running(process.pid)
    assert not is_running(process.pid)
    assert is_running(os.getpid())


@pytest.mark.skipif(os.name == "nt", reason="Windows is asked in another way")
def test_a_process_of_another_user_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have the number of one of ours that has ended."""

    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert is_running(1)
