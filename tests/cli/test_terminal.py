import time
from pathlib import Path

import psutil
import pytest

from lorelm.cli.terminal import process_started


def test_a_process_began_when_the_system_says() -> None:
    age = time.perf_counter() - process_started()
    assert age == pytest.approx(time.time() - psutil.Process().create_time(), abs=1)


def test_elsewhere_it_is_as_old_as_what_it_has_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_text(path: Path, **options: str) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", read_text)
    age = time.perf_counter() - process_started()
    assert age == pytest.approx(time.process_time(), abs=1)
