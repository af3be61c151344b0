import threading
import time
from pathlib import Path

import pytest
from tests.portability.like_windows.open_files import refuse_open_files

from lorelm.machine.renaming import rename


def test_a_file_that_is_open_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a virus scanner opens it on Windows."""
    refuse_open_files(monkeypatch)
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    scanned = (tmp_path / "old").open("rb")
    closing = threading.Timer(0.1, scanned.close)
    closing.start()
    rename(tmp_path / "new", tmp_path / "old", seconds=10)
    closing.join()
    assert (tmp_path / "old").read_bytes() == b"new"


def test_a_file_that_stays_open_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_open_files(monkeypatch)
    began = time.monotonic()
    with (tmp_path / "file").open("wb"), pytest.raises(PermissionError):
        rename(tmp_path / "file", tmp_path / "other", seconds=0.1)
    assert 0.1 <= time.monotonic() - began < 5
