import os
import subprocess
import sys
from pathlib import Path

import pytest

from lorelm.errors import TrainingStoppedError
from lorelm.runs.registry import Entry, entries, find_entry, forget, register, registered
from lorelm.runs.registry import registry_dir as folder_of_registry


@pytest.fixture(autouse=True)
def registry_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The registry of these tests alone."""
    monkeypatch.setenv("LORELM_DATA", str(tmp_path / "data"))
    return folder_of_registry()


def test_a_run_is_listed_until_it_is_forgotten(tmp_path: Path) -> None:
    register(Entry.of(tmp_path / "model", "tales.txt"))
    [entry] = entries()
    assert (entry.path, entry.source, entry.error) == (str(tmp_path / "model"), "tales.txt", None)
    assert find_entry(tmp_path / "other" / ".." / "model") == entry
    forget(tmp_path / "model")
    assert entries() == []


def test_a_folder_has_one_entry_and_the_newest_run_comes_first(tmp_path: Path) -> None:
    for name, day in (("a", 1), ("b", 2), ("a", 3)):
        path = str(tmp_path / name)
        register(Entry(path=path, source="x", began_at=f"2026-01-0{day}T00:00:00+00:00"))
    assert [Path(entry.path).name for entry in entries()] == ["a", "b"]


def test_the_error_that_ends_a_run_is_kept(tmp_path: Path) -> None:
    problems: list[str] = []
    for error in (ValueError("the loss diverged"), MemoryError(), TrainingStoppedError("stopped")):
        with (
            pytest.raises(type(error)),
            registered(tmp_path, "tales.txt", on_problem=problems.append),
        ):
            raise error
        [entry] = entries()
        expected = {"ValueError": "the loss diverged", "MemoryError": "MemoryError"}
        assert entry.error == expected.get(type(error).__name__)
    assert problems == []


def test_a_run_goes_on_where_the_registry_cannot_be_written(
    registry_dir: Path, tmp_path: Path
) -> None:
    registry_dir.parent.mkdir(parents=True)
    registry_dir.write_text("a file is in the way", encoding="utf-8")
    problems: list[str] = []
    with registered(tmp_path, "tales.txt", on_problem=problems.append):
        pass
    [problem] = problems
    assert problem.startswith(f"{registry_dir}, which lorelm runs lists, cannot be written: ")
    assert problem.endswith("; training goes on")
    assert entries() == []


def test_a_damaged_file_hides_no_other_run(registry_dir: Path, tmp_path: Path) -> None:
    register(Entry.of(tmp_path, "tales.txt"))
    (registry_dir / "damaged.json").write_text('{"path": ')
    (registry_dir / "newer.json").write_text('{"path": "x", "unknown": 1}')
    assert [entry.source for entry in entries()] == ["tales.txt"]


@pytest.mark.system
def test_processes_that_register_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lorelm.runs.registry import Entry, register\n"
        "for i in range(50): register(Entry.of(Path(sys.argv[1], f'{sys.argv[2]}-{i}'), 'x'))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path, str(i)], env=dict(os.environ))
        for i in range(3)
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    names = {Path(entry.path).name for entry in entries()}
    assert names == {f"{i}-{j}" for i in range(3) for j in range(50)}
