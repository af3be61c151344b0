"""Real processes, started by torchrun, on this machine."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.corpus.readers import read_documents
from lorelm.errors import RecipeError
from lorelm.training.checkpoint import Checkpoint
from lorelm.training.processes import ALONE, Processes
from lorelm.training.recipe import Recipe
from lorelm.training.train import TrainingOptions, train

from .test_loop import REGULARISED

# A batch of 5 is shared unevenly, by 2 and 3 columns.
SETTINGS = {**REGULARISED, "batch_size": 5, "epochs": 8, "precision": "float32"}


@pytest.fixture(scope="module")
def folder(tales: Documents, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has a corpus, a recipe, and in `one` what a single process makes of them."""
    folder = tmp_path_factory.mktemp("processes")
    lines = [json.dumps({"line": text}) + "\n" for text in tales.texts]
    (folder / "tales.jsonl").write_text("".join(lines), encoding="utf-8")
    recipe = dataclasses.replace(tiny_recipe, **SETTINGS)
    settings = [f"{name} = {json.dumps(value)}\n" for name, value in recipe.to_dict().items()]
    (folder / "recipe.toml").write_text("".join(settings), encoding="utf-8")
    options = TrainingOptions(device="cpu")
    train(read_documents(folder / "tales.jsonl"), recipe, out=folder / "one", options=options)
    return folder


def begin(folder: Path, *arguments: str, num_restarts: int = 0) -> "subprocess.Popen[str]":
    """Begins `lorelm train` in two processes in the background."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("--max-restarts", str(num_restarts), "-m", "lorelm", "train", *arguments),
    ]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else None,
    )


def begin_anew(folder: Path, out: str, num_restarts: int = 0) -> "subprocess.Popen[str]":
    """The same, from the first step; returns after the first epoch."""
    settings = ("--recipe", "recipe.toml", "--device", "cpu", "--checkpoint-steps", "7")
    training = begin(folder, "tales.jsonl", "--out", out, *settings, num_restarts=num_restarts)
    give_up = time.monotonic() + 60
    while not (folder / out / "metrics.so-far.jsonl").exists():
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return training


def end(training: "subprocess.Popen[str]") -> str:
    """What it wrote on stderr until its end, which must come within a minute."""
    output, errors = training.communicate(timeout=60)
    assert output == ""
    return errors


def kill_worker(training: "subprocess.Popen[str]", rank: int) -> None:
    [worker] = [
        child
        for child in psutil.Process(training.pid).children()
        if child.environ().get("RANK") == str(rank)
    ]
    worker.kill()


def losses(bundle: Path) -> list[float]:
    lines = [json.loads(line) for line in (bundle / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 9))
    return [
        line[name]
        for line in lines
        for name in ("train_loss_nats_per_token", "valid_loss_nats_per_token")
    ]


def test_two_processes_learn_what_one_does(folder: Path) -> None:
    training = begin_anew(folder, "two")
    errors = end(training)
    assert training.returncode == 0
    assert losses(folder / "two") == pytest.approx(losses(folder / "one"), rel=1e-3)
    assert Bundle.load(folder / "two").manifest.figures is not None
    assert errors.count("documents to train on") == errors.count("Saved to two.") == 1


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_the_run_with_a_checkpoint(folder: Path, rank: int) -> None:
    out = folder / f"killed-{rank}"
    training = begin_anew(folder, out.name)
    kill_worker(training, rank)
    errors = end(training)
    assert training.returncode != 0
    checkpoint = Checkpoint.load(out)
    assert (
        "lorelm: another process of this run ended or does not answer; the last checkpoint is of "
        f"{checkpoint.snapshot.description}: go on with lorelm train --resume {out.name}\n"
    ) in errors
    train(
        read_documents(folder / "tales.jsonl"),
        Recipe(**checkpoint.run["recipe"]),
        out=out,
        options=TrainingOptions(device="cpu"),
        resume=checkpoint,
    )
    assert losses(out) == pytest.approx(losses(folder / "one"), rel=1e-3)


def test_a_stopped_run_of_two_processes_goes_on_in_two(folder: Path) -> None:
    training = begin_anew(folder, "stopped")
    training.send_signal(signal.SIGINT)
    errors = end(training)
    assert errors.count("lorelm: stopped; go on with: lorelm train --resume stopped\n") == 1
    resumed = begin(folder, "--resume", "stopped")
    assert end(resumed).count("Going on from epoch") == 1
    assert resumed.returncode == 0
    assert losses(folder / "stopped") == pytest.approx(losses(folder / "one"), rel=1e-3)


def test_torchrun_starts_a_killed_process_again(folder: Path) -> None:
    training = begin_anew(folder, "restarted", num_restarts=1)
    kill_worker(training, 1)
    assert end(training).count("Going on from epoch") == 1
    assert training.returncode == 0
    assert losses(folder / "restarted") == pytest.approx(losses(folder / "one"), rel=1e-3)


@pytest.mark.parametrize(("size", "batch_size"), [(1, 4), (2, 4), (3, 7), (5, 5)])
def test_each_column_belongs_to_one_process(size: int, batch_size: int) -> None:
    shares = [
        range(batch_size)[Processes(rank=rank, size=size, local_rank=rank).columns(batch_size)]
        for rank in range(size)
    ]
    assert [column for share in shares for column in share] == list(range(batch_size))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_batch_without_a_column_for_each_process_is_refused() -> None:
    with pytest.raises(RecipeError, match="among 3 processes: use --batch-size 3 or more"):
        Processes(rank=2, size=3, local_rank=2).columns(2)


def test_each_process_of_a_machine_has_a_device_of_its_own() -> None:
    second = Processes(rank=9, size=16, local_rank=1)
    assert second.own_device(torch.device("cuda")) == torch.device("cuda", 1)
    assert second.own_device(torch.device("cpu")) == torch.device("cpu")
    assert ALONE.own_device(torch.device("cuda")) == torch.device("cuda")
