"""`lorelm tune` as people run it: stopped, killed, several at once."""

import csv
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.systems import needs_signals

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents

pytestmark = pytest.mark.system

Lorelm = Callable[..., Any]

SETTINGS = [
    *("--out", "tuned", "--hidden-size", "8", "--batch-size", "4", "--min-frequency", "1"),
    *("--device", "cpu"),
]


@pytest.fixture
def tales_txt(tales: Documents, tmp_path: Path) -> Path:
    path = tmp_path / "tales.txt"
    path.write_text("\n".join(" ".join(text.split()) for text in tales.texts), encoding="utf-8")
    return path


def begin(folder: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "lorelm", "tune", "tales.txt", *SETTINGS, *more]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(tuning: "subprocess.Popen[str]", beginning: str) -> None:
    """Read the errors up to a line that begins so."""
    assert tuning.stderr
    for line in tuning.stderr:
        if line.startswith(beginning):
            return
    pytest.fail(f"there was no line {beginning!r}")


def trials(folder: Path) -> Sequence[dict[str, str]]:
    with (folder / "tuned" / "trials.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_tuning_shows_its_trials_its_table_and_what_to_do_next(
    lorelm: Lorelm, tales_txt: Path, tmp_path: Path
) -> None:
    ended = lorelm("tune", tales_txt, *SETTINGS, "--epochs", "2", "--trials", "3")
    lines = re.findall(r"^trial +(\d+)  valid perplexity +[\d.]+  epoch", ended.stderr, re.M)
    assert lines == ["0", "1", "2"]
    assert "tales.txt is read as " in ended.stderr
    assert "Trials of learning_rate, bptt, dropout, " in ended.stderr
    assert "lorelm generate tuned/model" in ended.stderr
    assert "--recipe tuned/best.toml" in ended.stderr
    heading, perplexity, seeds, *settings = ended.stdout.splitlines()
    assert "recipe" in heading.split()
    assert len(perplexity.split()) == len(heading.split()) + 1
    assert seeds.startswith("seeds")
    assert [row.split()[0] for row in settings][:2] == ["learning_rate", "bptt"]
    assert all(len(line) <= 80 for line in ended.stdout.splitlines())
    assert Bundle.load(tmp_path / "tuned" / "model").manifest.metrics is not None
    trained = lorelm("train", tales_txt, "--out", "again", "--recipe", "tuned/best.toml")
    assert "Saved to again" in trained.stderr


@needs_signals
@pytest.mark.slow
def test_ctrl_c_sigterm_and_a_kill_lose_one_trial_and_the_same_command_goes_on(
    tales_txt: Path, tmp_path: Path
) -> None:
    long = ("--epochs", "40", "--trials", "6")
    for number, sent in enumerate([signal.SIGINT, signal.SIGTERM, signal.SIGKILL]):
        tuning = begin(tmp_path, *long)
        wait_for(tuning, "trial ")
        time.sleep(0.5)
        tuning.send_signal(sent)
        output, errors = tuning.communicate(timeout=60)
        assert (tmp_path / "tuned" / "best.toml").exists()
        assert len(trials(tmp_path)) > number
        if sent == signal.SIGKILL:
            continue
        assert tuning.returncode == 130
        assert "valid perplexity" in output
        assert "lorelm: stopped; the best recipe so far is in tuned/best.toml" in errors
        assert "Traceback" not in errors
    last = begin(tmp_path, "--epochs", "40", "--trials", "1")
    _, errors = last.communicate(timeout=120)
    assert last.returncode == 0, errors
    assert "Saved to tuned/model" in errors


@pytest.mark.slow
def test_several_commands_share_the_work(tales_txt: Path, tmp_path: Path) -> None:
    crowd = [begin(tmp_path, "--epochs", "3", "--trials", "16") for _ in range(3)]
    ends = [tuning.communicate(timeout=300) for tuning in crowd]
    assert [tuning.returncode for tuning in crowd] == [0] * 3, ends
    rows = trials(tmp_path)
    first_runs = [row for row in rows if row["seed"] == "0"]
    second_runs = [row for row in rows if row["seed"] == "1"]
    assert len(first_runs) == 16
    # The best settings may change while second runs are training; none has two of them.
    head = ("trial", "state", "valid_perplexity", "epochs", "seconds", "place")
    settings = {tuple(row[name] for name in row if name not in head) for row in second_runs}
    assert len(settings) == len(second_runs) >= 2
    shown = [len(re.findall(r"^trial ", errors, re.M)) for _, errors in ends]
    assert sum(shown) == len(rows)
    assert sum(map(bool, shown)) >= 2  # on a busy machine one may start after the last trial
    assert Bundle.load(tmp_path / "tuned" / "model").manifest.metrics is not None


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        ((), 2, "time_budget_seconds: say when to end: "),
        (("--trials", "0"), 2, "trials: must be a whole number from 1"),
        (("--trials", "1", "--storage", "mysql://x/y"), 2, "storage: must be sqlite:///PATH"),
        (
            ("--trials", "1", "--storage", "postgresql://me@127.0.0.1:1/x"),
            1,
            "the trials in postgresql+psycopg://me@127.0.0.1:1/x cannot be read or written: ",
        ),
        (("--time-budget", "1s"), 2, "a time budget of 1 s is too short: one trial takes about "),
    ],
)
def test_a_mistake_is_one_sentence(
    lorelm: Lorelm, tales_txt: Path, more: Sequence[str], code: int, message: str
) -> None:
    ended = lorelm("tune", tales_txt, *SETTINGS, "--epochs", "2", *more, code=code)
    assert ended.stderr.splitlines()[-1].startswith(f"lorelm: {message}")
