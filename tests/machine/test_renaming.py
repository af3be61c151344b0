from collections.abc import Callable
from pathlib import Path

import pytest
from tests.portability.like_windows.open_files import refuse_open_files

from lorelm.machine import renaming
from lorelm.machine.renaming import rename


class Clock:
    """Time that passes only where :func:`rename` pauses."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []
        self.after_pause: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        self.after_pause()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(renaming, "time", clock)
    refuse_open_files(monkeypatch)
    return clock


def test_a_file_that_is_open_for_a_moment_is_waited_for(clock: Clock, tmp_path: Path) -> None:
    """As a virus scanner opens it on Windows."""
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    scanned = (tmp_path / "old").open("rb")

    def close_at_the_third_try() -> None:
        if len(clock.pauses) == 2:
            scanned.close()

    clock.after_pause = close_at_the_third_try
    rename(tmp_path / "new", tmp_path / "old", seconds=10)
    assert (tmp_path / "old").read_bytes() == b"new"
    assert clock.pauses == [0.01, 0.02]


def test_a_file_that_stays_open_is_not_waited_for_long(clock: Clock, tmp_path: Path) -> None:
    began = clock.now
    with (tmp_path / "file").open("wb"), pytest.raises(PermissionError):
        rename(tmp_path / "file", tmp_path / "other", seconds=0.1)
    assert 0.1 <= clock.now - began < 0.2
    assert clock.pauses == [0.01, 0.02, 0.04, 0.08]
    assert (tmp_path / "file").exists()


def test_without_time_there_is_one_try(clock: Clock, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb"), pytest.raises(PermissionError):
        rename(tmp_path / "file", tmp_path / "other", seconds=0)
    assert clock.pauses == []
