"""That OpenMP's threads do not spin for long, in every entry point.

libgomp says what it has read when ``OMP_DISPLAY_ENV`` is set, so these tests ask it, not us.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lorelm.openmp import SPIN_COUNT, limit_spinning

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[1]
WAITING = ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_WAIT_POLICY")


def spin_count(*command: str, **variables: str) -> int:
    """The spin count that libgomp reports when a Python command loads PyTorch."""
    environment = {name: value for name, value in os.environ.items() if name not in WAITING}
    environment |= {"OMP_DISPLAY_ENV": "verbose", "OMP_NUM_THREADS": "2"} | variables
    run = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, check=False
    )
    reported = re.search(r"GOMP_SPINCOUNT = '(\w+)'", run.stderr)
    if reported is None:
        pytest.skip("this PyTorch does not use libgomp")
    return int(reported[1])


def test_python_programs_limit_spinning() -> None:
    assert spin_count("-c", "import lorelm, torch") == SPIN_COUNT


def test_the_command_limits_spinning(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("one line\n" * 3, encoding="utf-8")  # too small, but PyTorch is loaded
    train = ("-m", "lorelm", "train", str(corpus), "--out", str(tmp_path / "out"))
    assert spin_count(*train) == SPIN_COUNT


@pytest.mark.parametrize("name", WAITING)
def test_the_choice_of_the_user_is_kept(name: str) -> None:
    environment = {name: "7"}
    limit_spinning(environment)
    assert environment == {name: "7"}


def test_libgomp_hears_the_choice_of_the_user() -> None:
    assert spin_count("-c", "import lorelm, torch", GOMP_SPINCOUNT="77") == 77


def test_make_test_trains_with_one_thread() -> None:
    printed = subprocess.run(
        ["make", "--no-print-directory", "--eval", "show: ; @echo $$OMP_NUM_THREADS", "show"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
    )
    assert printed.stdout.strip() == "1"
