from pathlib import Path

import pytest

from lorelm.machine.memory import Memory, memory

MB = 1024**2


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:    8192 kB\nMemFree:  1 kB\nMemAvailable:  4096 kB\n")
    return path


def test_of_this_machine_there_is_some() -> None:
    found = memory()
    assert found is not None
    assert 0 < found.available <= found.total


def test_without_limits_it_is_that_of_the_machine(meminfo: Path, tmp_path: Path) -> None:
    assert memory(meminfo, tmp_path, tmp_path / "none") == Memory(4 * MB, 8 * MB)


@pytest.mark.parametrize(
    ("line", "folder", "limit", "used", "cached"),
    [
        ("0::/box/inner", "box", "memory.max", "memory.current", "inactive_file"),
        (
            *("3:memory:/box", "memory/box", "memory.limit_in_bytes", "memory.usage_in_bytes"),
            "total_inactive_file",
        ),
    ],
    ids=["version 2, of a group above", "version 1"],
)
def test_a_control_group_limits_it(
    meminfo: Path, tmp_path: Path, line: str, folder: str, limit: str, used: str, cached: str
) -> None:
    group = tmp_path / folder
    group.mkdir(parents=True)
    (group / limit).write_text(f"{6 * MB}\n")
    (group / used).write_text(f"{5 * MB}\n")
    (group / "memory.stat").write_text(f"anon 1\n{cached} {2 * MB}\n")
    own = tmp_path / "own"
    own.write_text(f"9:cpu:/other\n{line}\n")
    assert memory(meminfo, tmp_path, own) == Memory(3 * MB, 6 * MB)
    (group / limit).write_text("max\n")
    assert memory(meminfo, tmp_path, own) == Memory(4 * MB, 8 * MB)
