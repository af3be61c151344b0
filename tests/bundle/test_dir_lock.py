import os
import subprocess
import sys
from pathlib import Path

import pytest

from lorelm.bundle.dir_lock import lock_dir
from lorelm.errors import BundleError

HOLD = """
import pathlib, sys, time
from lorelm.bundle.dir_lock import lock_dir
with lock_dir(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model"
    with lock_dir(path):
        with (
            pytest.raises(
                BundleError, match=rf"another run \(process {os.getpid()} on .+\) writes to {path}:"
            ),
            lock_dir(path),
        ):
            pass
        with lock_dir(path.with_name("other")):
            pass
    with lock_dir(path):
        pass
    assert list(path.parent.iterdir()) == []


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BundleError, match=f"process {holder.pid} on"), lock_dir(path):
            pass
        holder.kill()
    with lock_dir(path):
        pass
    assert list(tmp_path.iterdir()) == []


# The first lets go when the second has opened the file and is about to lock it.
LATE = """
import pathlib, sys
from lorelm.bundle.dir_lock import lock_dir
from lorelm.errors import BundleError

path, holding = pathlib.Path(sys.argv[1]), []

def let_go(event, _arguments):
    if event == "fcntl.flock" and holding:
        holding.pop().__exit__(None, None, None)

first = lock_dir(path)
first.__enter__()
holding.append(first)
sys.addaudithook(let_go)
with lock_dir(path):
    try:
        with lock_dir(path):
            sys.exit("two hold it")
    except BundleError:
        pass
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows takes no file away that is open")
def test_who_comes_while_one_lets_go_does_not_lock_a_file_that_is_gone(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LATE, str(tmp_path / "model")], check=True)
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_one_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(BundleError, match=r"model cannot be written: "),
        lock_dir(tmp_path / "file" / "model"),
    ):
        pass
