import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.errors import raises_code

from lorelm.bundle.dir_lock import lock_dir
from lorelm.errors import BundleError

HOLD = """
import pathlib, sys, time
from lorelm.bundle.dir_lock import lock_dir
with lock_dir(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_directory_is_locked_by_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model"
    with lock_dir(path):
        with (
            raises_code(BundleError, "bundle.locked") as caught,
            lock_dir(path),
        ):
            pass
        assert f"(process {os.getpid()} on " in str(caught.value)
        with lock_dir(path.with_name("other")):
            pass
    with lock_dir(path):
        pass
    assert list(path.parent.iterdir()) == []


def test_a_killed_process_releases_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with raises_code(BundleError, "bundle.locked") as caught, lock_dir(path):
            pass
        assert f"(process {holder.pid} on " in str(caught.value)
        holder.kill()
    with lock_dir(path):
        pass
    assert list(tmp_path.iterdir()) == []


# The first releases the lock when the second has opened the file and is about to lock it.
LATE = """
import pathlib, sys
from lorelm.bundle.dir_lock import lock_dir
from lorelm.errors import BundleError

path, holding = pathlib.Path(sys.argv[1]), []

def release(event, _arguments):
    if event == "fcntl.flock" and holding:
        holding.pop().__exit__(None, None, None)

first = lock_dir(path)
first.__enter__()
holding.append(first)
sys.addaudithook(release)
with lock_dir(path):
    try:
        with lock_dir(path):
            sys.exit("two hold it")
    except BundleError:
        pass
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot delete an open file")
def test_a_lock_file_that_is_deleted_meanwhile_is_not_locked(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LATE, str(tmp_path / "model")], check=True)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_parent_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        raises_code(BundleError, "bundle.unwritable"),
        lock_dir(tmp_path / "file" / "model"),
    ):
        pass
