import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Lorelm

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORELM_DATA", str(tmp_path / "data"))


@pytest.fixture
def listed(lorelm: Lorelm, tiny_bundle: Path, tmp_path: Path) -> Path:
    """A finished run, listed under the name "tales"."""
    path = Path(shutil.copytree(tiny_bundle, tmp_path / "tales"))
    lorelm("runs", "add", path)
    return path


def test_runs_are_listed(lorelm: Lorelm, listed: Path) -> None:
    [entry] = json.loads(lorelm("runs", "--json").stdout)
    assert (entry["path"], entry["state"]) == (str(listed), "finished")
    assert entry["corpus"] == "tales.txt"
    heading, row = lorelm("runs").stdout.splitlines()
    assert heading.split()[:3] == ["run", "state", "epochs"]
    assert row.split()[:3] == ["tales", "finished", "10"]
    assert f"{entry['test_perplexity']:.1f}" in row
    assert "tales.txt  classic, tokenizer words, " in row


def test_metrics_of_a_mixed_model_are_marked(
    lorelm: Lorelm, listed: Path, beaten_bundle: Path
) -> None:
    assert "*" not in lorelm("runs").stdout
    lorelm("runs", "add", beaten_bundle)
    mixed, alone = json.loads(lorelm("runs", "--json").stdout)
    if mixed["path"] == str(listed):
        mixed, alone = alone, mixed
    assert (mixed["is_mixed"], alone["is_mixed"]) == (True, False)
    shown = lorelm("runs")
    assert f" {mixed['test_perplexity']:.1f}* " in shown.stdout
    assert f" {alone['test_perplexity']:.1f} " in shown.stdout
    assert "* of the network mixed with the n-gram model" in shown.stderr
    one = lorelm("runs", "show", beaten_bundle).stdout
    assert f"{mixed['test_perplexity']:.1f} (mixed with the n-gram model)" in one


def test_without_runs_it_says_how_to_begin(lorelm: Lorelm) -> None:
    ended = lorelm("runs")
    assert ended.stdout == ""
    assert "no runs yet: lorelm train" in ended.stderr
    assert json.loads(lorelm("runs", "--json").stdout) == []


def test_one_run_is_shown_by_its_name(lorelm: Lorelm, listed: Path) -> None:
    shown = lorelm("runs", "show", "tales", cwd=listed.parent.parent).stdout
    assert "hidden_size=32" in shown
    assert "bits per character" in shown
    as_json = json.loads(lorelm("runs", "show", listed, "--json").stdout)
    assert [row["epoch"] for row in as_json["metrics_by_epoch"]] == [*range(1, 11)]
    assert as_json["metrics"]["text"] == "the test part of tales.txt"
    assert as_json["recipe"]["hidden_size"] == 32
    refused = lorelm("runs", "show", "nothing", code=2)
    assert refused.stderr == (
        "lorelm: nothing holds no training run and no model: lorelm runs lists those that there "
        "are\n"
    )


def test_models_are_compared_by_the_names_of_their_runs(
    lorelm: Lorelm, listed: Path, beaten_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.txt").write_text("The fox sat by the mill.\nThe toad slept by the barn.\n")
    other = tmp_path / "elsewhere"
    other.mkdir()
    shown = lorelm(
        *("runs", "compare", "tales", beaten_bundle, "--text", tmp_path / "other.txt"), cwd=other
    ).stdout
    assert [line.split()[0] for line in shown.splitlines()[3:5]] == ["tales", str(beaten_bundle)]


@pytest.mark.parametrize(("form", "begin"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_curves_are_drawn_together(
    lorelm: Lorelm, listed: Path, beaten_bundle: Path, tmp_path: Path, form: str, begin: bytes
) -> None:
    out = tmp_path / "plots" / f"curves.{form}"
    lorelm("runs", "curves", "tales", beaten_bundle, "--out", out, "--over", "seconds")
    content = out.read_bytes()
    assert content.startswith(begin)
    if form == "svg":
        assert b"seconds of training" in content
        assert b"tales" in content


def test_curves_that_cannot_be_drawn(lorelm: Lorelm, listed: Path, tmp_path: Path) -> None:
    assert (
        "ends neither in .png" in lorelm("runs", "curves", "tales", "--out", "a.pdf", code=2).stderr
    )
    (listed / "metrics.jsonl").unlink()
    refused = lorelm("runs", "curves", "tales", "--out", tmp_path / "a.png", code=2)
    assert "has no epoch to draw" in refused.stderr
    assert not (tmp_path / "a.png").exists()


def test_a_run_is_removed_after_asking(lorelm: Lorelm, listed: Path, tmp_path: Path) -> None:
    (listed / "notes.txt").write_text("mine")
    asked = lorelm("runs", "remove", "tales", code=130)  # nobody answers
    assert f"Delete {listed} (tales.txt, finished, " in asked.stderr
    answered = lorelm("runs", "remove", "tales", typed="n\n")
    assert answered.stderr.endswith(f"kept {listed}: nothing was removed\n")
    assert (listed / "manifest.json").exists()
    lorelm("runs", "remove", "tales", "--yes")
    assert [path.name for path in listed.iterdir()] == ["notes.txt"]
    assert json.loads(lorelm("runs", "--json").stdout) == []


def test_what_is_gone_can_be_forgotten_or_found_again(lorelm: Lorelm, listed: Path) -> None:
    moved = listed.rename(listed.with_name("moved"))
    shown = lorelm("runs")
    assert shown.stdout.splitlines()[1].split()[:2] == ["tales", "gone"]
    assert "lorelm runs add DIR" in shown.stderr
    lorelm("runs", "add", "moved")
    lorelm("runs", "remove", "tales", "--yes")
    [entry] = json.loads(lorelm("runs", "--json").stdout)
    assert (entry["path"], entry["state"]) == (str(moved), "finished")


@pytest.mark.slow
def test_a_run_of_the_command_is_listed_while_it_runs_and_cannot_be_removed(
    lorelm: Lorelm, tmp_path: Path
) -> None:
    lines = [f"The {a} saw the {b} at the {c}." for a in "abcdef" for b in "ghijk" for c in "lmno"]
    (tmp_path / "my.txt").write_text("\n".join(lines))
    options = ("--epochs", "100000", "--hidden-size", "8", "--min-frequency", "1")
    running = subprocess.Popen(
        [sys.executable, "-m", "lorelm", "train", "my.txt", "--out", "model", *options],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr
    try:
        for line in running.stderr:  # until the first epoch is over
            if line.startswith("epoch"):
                break
        [entry] = json.loads(lorelm("runs", "--json").stdout)
        assert (entry["state"], entry["corpus"], entry["epochs"]) == ("running", "my.txt", 100000)
        assert entry["epochs_done"] >= 1
        refused = lorelm("runs", "remove", "model", "--yes", code=2)
        assert "is running: stop it with Ctrl-C" in refused.stderr
        assert running.poll() is None
    finally:
        running.terminate()
        running.communicate(timeout=60)
    [entry] = json.loads(lorelm("runs", "--json").stdout)
    assert entry["state"] == "stopped"
    lorelm("runs", "remove", "model", "--yes")
    assert not (tmp_path / "model").exists()
