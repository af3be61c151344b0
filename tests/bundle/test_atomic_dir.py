import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from tests.errors import raises_code
from tests.portability.like_windows.open_files import refuse_open_files
from tests.systems import needs_signals

from lorelm.bundle import atomic_dir
from lorelm.bundle.atomic_dir import (
    check_output_path,
    check_replaceable,
    recover,
    replace_dir,
    resolve_dir,
    wrap_write_errors,
)
from lorelm.errors import BundleError
from lorelm.machine.renaming import rename

OLD = {"manifest.json": b"old", "a": b"old a"}
NEW = {"manifest.json": b"new", "b": b"new b"}
OTHERS = {"notes.txt": b"mine", "board/run/events": b"mine too"}

# Kills the process at the n-th call that changes the file system.
KILLED = """
import os, pathlib, signal, sys
from lorelm.bundle import atomic_dir

path, fatal_call, calls = pathlib.Path(sys.argv[1]), int(sys.argv[2]), 0

def die_in_time(event, _arguments):
    global calls
    if event in ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove"):
        calls += 1
        if calls == fatal_call:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(die_in_time)
atomic_dir.replace_dir(path, {"manifest.json": b"new", "b": b"new b"}, owned=["a"])
"""


def contents(path: Path) -> dict[str, bytes]:
    files = [file for file in path.rglob("*") if file.is_file()]
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def put_others(path: Path) -> None:
    """Put foreign files into a directory."""
    for name, content in OTHERS.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)


@needs_signals
@pytest.mark.system
def test_a_killed_save_leaves_the_old_directory_or_the_new_one_intact(tmp_path: Path) -> None:
    outcomes = []
    for fatal_call in range(1, 60):
        path = tmp_path / f"{fatal_call}" / "model"
        path.parent.mkdir()
        replace_dir(path, OLD)
        put_others(path)
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(path), str(fatal_call)], check=False
        )
        recover(path, owned=["a"])
        outcomes.append(contents(path))
        assert outcomes[-1] in (OLD | OTHERS, NEW | OTHERS)
        replace_dir(path, NEW, owned=["a"])  # and nothing stands in the way of the next save
        assert [entry.name for entry in path.parent.iterdir()] == ["model"]
        if killed.returncode == 0:
            break
    assert killed.returncode == 0
    assert outcomes[0] == OLD | OTHERS
    assert outcomes[-1] == NEW | OTHERS


def test_foreign_files_stay(tmp_path: Path) -> None:
    replace_dir(tmp_path / "model", OLD)
    put_others(tmp_path / "model")
    (tmp_path / "model" / "link").symlink_to("board")
    replace_dir(tmp_path / "model", {"manifest.json": b"new"})
    assert contents(tmp_path / "model") == {"manifest.json": b"new", "a": b"old a"} | OTHERS
    assert (tmp_path / "model" / "link").readlink() == Path("board")


def test_owned_files_of_the_old_directory_are_deleted(tmp_path: Path) -> None:
    replace_dir(tmp_path / "model", OLD)
    replace_dir(tmp_path / "model", NEW, owned=["a"])
    assert contents(tmp_path / "model") == NEW


def test_a_full_disk_leaves_the_old_directory_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model"
    replace_dir(path, OLD)
    limited = """
import resource, signal, sys, pathlib
from lorelm.bundle.atomic_dir import replace_dir
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    replace_dir(pathlib.Path(sys.argv[1]), {"manifest.json": b"new", "b": b"x" * 5000})
except OSError:
    sys.exit(7)
"""
    if not hasattr(os, "fork"):
        pytest.skip("file size limits are POSIX")
    ended = subprocess.run([sys.executable, "-c", limited, str(path)], check=False)
    assert ended.returncode == 7
    assert contents(path) == OLD
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def check(path: Path) -> None:
    check_replaceable(
        path, is_ours=lambda p: (p / "manifest.json").exists(), early=("metrics.jsonl",)
    )


def test_a_directory_with_foreign_files_only_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("")
    with raises_code(BundleError, "bundle.foreign_dir"):
        check(tmp_path)


def test_a_bundle_directory_may_hold_foreign_files(tmp_path: Path) -> None:
    replace_dir(tmp_path / "model", OLD)
    put_others(tmp_path / "model")
    check(tmp_path / "model")
    assert contents(tmp_path / "model") == OLD | OTHERS


def test_one_file_that_stays_keeps_no_other(tmp_path: Path) -> None:
    """And a directory is never an old file of ours, whatever its name."""
    path = tmp_path / "model"
    replace_dir(path, OLD)
    put_others(path)
    for name in ("b", "c"):
        (path / name / "mine").mkdir(parents=True)
    replace_dir(path, NEW, owned=["a", "c"])
    assert contents(path) == NEW | OTHERS
    assert (path / "c" / "mine").is_dir()
    assert [entry.name for entry in (tmp_path / ".model.old").iterdir()] == ["b"]


def test_an_old_directory_that_cannot_be_deleted_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "model"
    replace_dir(path, OLD)
    (path / "b" / "mine").mkdir(parents=True)  # where the new version has a file
    replace_dir(path, NEW, owned=["a"])
    assert contents(path) == NEW
    assert (tmp_path / ".model.old" / "b" / "mine").is_dir()
    with raises_code(BundleError, "bundle.old_dir_in_the_way"):
        check(path)


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("")
    with raises_code(BundleError, "bundle.path_is_file"):
        check_output_path(tmp_path / "model")


def test_the_current_directory_a_link_and_the_root_are_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for path in (Path(), tmp_path, tmp_path / "link", Path(tmp_path.anchor)):
        with raises_code(BundleError, "bundle.fixed_path"):
            check_output_path(path)


def test_a_new_an_empty_and_a_bundle_directory_are_replaceable(tmp_path: Path) -> None:
    model = tmp_path / "new" / "model"
    check(model)
    model.mkdir()
    check(model)
    (model / "metrics.jsonl").write_text("")
    check(model)
    replace_dir(model, OLD)
    check(model)
    assert contents(model) == OLD | {"metrics.jsonl": b""}


def test_the_old_directory_is_read_during_a_save(tmp_path: Path) -> None:
    replace_dir(tmp_path / "model", OLD)
    assert resolve_dir(tmp_path / "model") == tmp_path / "model"
    (tmp_path / "model").rename(tmp_path / ".model.old")
    assert contents(resolve_dir(tmp_path / "model")) == OLD
    assert not (tmp_path / "model").exists()


def test_files_are_replaced_where_a_program_holds_one_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows, no folder can be renamed that has an open file."""
    path = tmp_path / "model"
    replace_dir(path, OLD)
    put_others(path)
    (path / "ids.0.bin").write_bytes(b"mapped")
    refuse_open_files(monkeypatch)
    with (path / "ids.0.bin").open("rb"):
        replace_dir(path, {"manifest.json": b"new"}, owned=[*OLD, "ids.*"])
    assert contents(path) == {"manifest.json": b"new", "ids.0.bin": b"mapped"} | OTHERS
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_no_file_is_replaced_where_one_of_them_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    replace_dir(path, OLD)
    refuse_open_files(monkeypatch)
    with (path / [*OLD][-1]).open("rb"), pytest.raises(PermissionError):
        replace_dir(path, dict.fromkeys(OLD, b"new"))
    assert contents(path) == OLD
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("num_renames", range(6))
def test_replacing_files_one_by_one_ends_with_the_old_ones_or_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_renames: int, is_killed: bool
) -> None:
    """Interrupted after some renames; a process that was killed brings nothing back itself."""
    path = tmp_path / "model"
    replace_dir(path, OLD)
    put_others(path)
    done = 0

    def interrupted(source: Path, target: Path) -> None:
        nonlocal done
        if source == path:
            raise PermissionError(13, "a file in it is open")
        if done == num_renames or (is_killed and done > num_renames):
            done += 1
            raise KeyboardInterrupt
        done += 1
        rename(source, target)

    monkeypatch.setattr(atomic_dir, "rename", interrupted)
    with suppress(KeyboardInterrupt):
        replace_dir(path, NEW, owned=[*OLD, *NEW])
    monkeypatch.undo()
    recover(path, owned=[*OLD, *NEW])
    assert contents(path) in (OLD | OTHERS, NEW | OTHERS)
    replace_dir(path, NEW, owned=[*OLD, *NEW])
    assert contents(path) == NEW | OTHERS
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_windows_says_that_a_file_is_open(tmp_path: Path) -> None:
    error = PermissionError(13, "Access is denied")
    error.winerror = 5  # type: ignore[attr-defined]
    with raises_code(BundleError, "bundle.unwritable") as raised, wrap_write_errors(tmp_path):
        raise error
    assert "Access is denied (a program may have it open" in str(raised.value)
