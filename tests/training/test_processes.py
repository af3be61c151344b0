"""Real processes, started by torchrun, on this machine."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from tests.errors import raises_code
from tests.systems import needs_signals

from lorelm.bundle import Bundle
from lorelm.bundle.layout import CHECKPOINT
from lorelm.corpus.documents import Documents
from lorelm.corpus.readers import read_documents
from lorelm.errors import RecipeError
from lorelm.parameters import parameters_of
from lorelm.training.checkpoint import Checkpoint
from lorelm.training.options import TrainingOptions
from lorelm.training.processes import SINGLE_PROCESS, Processes
from lorelm.training.recipe import Recipe
from lorelm.training.resumption import resumed
from lorelm.training.run_context import RunContext
from lorelm.training.train import train

from .test_loop import REGULARISED

pytestmark = pytest.mark.system

# A batch of 5 is shared unevenly, by 2 and 3 columns.
SETTINGS = {**REGULARISED, "batch_size": 5, "epochs": 8, "precision": "float32"}


@pytest.fixture(scope="module")
def folder(tales: Documents, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has a corpus, a recipe, and in `one` what a single process makes of them."""
    folder = tmp_path_factory.mktemp("processes")
    lines = [json.dumps({"line": text}) + "\n" for text in tales.texts]
    (folder / "tales.jsonl").write_text("".join(lines), encoding="utf-8")
    recipe = dataclasses.replace(tiny_recipe, **SETTINGS)
    settings = [f"{n} = {json.dumps(getattr(recipe, n))}\n" for n in parameters_of(Recipe)]
    (folder / "recipe.toml").write_text("".join(settings), encoding="utf-8")
    options = TrainingOptions(device="cpu")
    train(read_documents(folder / "tales.jsonl"), recipe, out=folder / "one", options=options)
    return folder


def begin(folder: Path, *arguments: str, num_restarts: int = 0) -> "subprocess.Popen[bytes]":
    """Starts `lorelm train` in two processes in the background; its output goes into a file."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("--max-restarts", str(num_restarts), "-m", "lorelm", "train", *arguments),
    ]
    with (folder / "said.txt").open("w") as said:
        return subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)


def begin_anew(folder: Path, out: str, num_restarts: int = 0) -> "subprocess.Popen[bytes]":
    """The same, from the first step; returns after the first epoch."""
    settings = ("--recipe", "recipe.toml", "--device", "cpu", "--checkpoint-steps", "7")
    training = begin(folder, "tales.jsonl", "--out", out, *settings, num_restarts=num_restarts)
    wait_until((folder / out / "metrics.so-far.jsonl").exists)
    return training


def wait_until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 180  # a busy machine takes its time
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def end(folder: Path, training: "subprocess.Popen[bytes]") -> str:
    """Waits for the end and returns the output."""
    training.wait(timeout=180)
    return said(folder)


def said(folder: Path) -> str:
    return (folder / "said.txt").read_text(encoding="utf-8")


def kill_worker(training: "subprocess.Popen[bytes]", rank: int) -> None:
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


@pytest.mark.slow
def test_a_killed_process_ends_the_run_and_two_resume_it_as_one_would(
    folder: Path,
) -> None:
    out = folder / "killed"
    training = begin_anew(folder, "killed")
    kill_worker(training, 0)
    ended = end(folder, training)
    assert training.returncode != 0
    where = Checkpoint.load(out).snapshot.description
    assert (
        "lorelm: another process of this run ended or does not answer; the last checkpoint is of "
        f"{where}: go on with lorelm train --resume killed, or make a model of "
    ) in ended
    resumed = begin(folder, "--resume", "killed")
    ended = end(folder, resumed)
    assert resumed.returncode == 0
    assert ended.count(f"Going on from {where}.") == 1
    assert ended.count("documents to train on") == ended.count("Saved to killed.") == 1
    assert losses(out) == pytest.approx(losses(folder / "one"), rel=1e-3)


@needs_signals
@pytest.mark.slow
def test_torchrun_restarts_a_killed_process_and_one_process_resumes_the_run(
    folder: Path,
) -> None:
    out = folder / "restarted"
    training = begin_anew(folder, "restarted", num_restarts=1)
    kill_worker(training, 1)
    wait_until(lambda: "Going on from epoch" in said(folder))
    written = (out / CHECKPOINT).stat().st_mtime_ns
    wait_until(lambda: (out / CHECKPOINT).stat().st_mtime_ns > written)  # both make steps
    training.send_signal(signal.SIGINT)
    ended = end(folder, training)
    assert ended.count("lorelm: stopped; go on with lorelm train --resume restarted, or ") == 1
    checkpoint = Checkpoint.load(out)
    train(
        read_documents(folder / "tales.jsonl"),
        Recipe(**checkpoint.run["recipe"]),
        out=out,
        options=TrainingOptions(device="cpu"),
        context=RunContext(resume=checkpoint),
    )
    assert losses(out) == pytest.approx(losses(folder / "one"), rel=1e-3)


@pytest.mark.slow
def test_two_processes_extend_a_run_as_one_would(folder: Path) -> None:
    for name in ("alone", "together"):
        shutil.copytree(folder / "one", folder / name)
    checkpoint = resumed(folder / "alone", {"epochs": 10})
    alone = train(
        read_documents(folder / "tales.jsonl"),
        Recipe.from_dict(checkpoint.run["recipe"]),
        out=folder / "alone",
        context=RunContext(resume=checkpoint),
    )
    training = begin(folder, "--resume", "together", "--epochs", "10", "--early-stopping", "9")
    ended = end(folder, training)
    assert training.returncode == 0
    assert ended.count("The run is extended: ") == 1
    found, expected = (
        [line["valid_loss_nats_per_token"] for line in bundle.training_metrics()]
        for bundle in (Bundle.load(folder / "together"), alone)
    )
    assert len(found) == 10
    assert found == pytest.approx(expected, rel=1e-3)


@needs_signals
@pytest.mark.slow
def test_two_processes_finish_a_run_that_was_stopped(folder: Path) -> None:
    training = begin_anew(folder, "finished")
    training.send_signal(signal.SIGINT)
    assert "with lorelm train --finish finished" in end(folder, training)
    training = begin(folder, "--finish", "finished")
    ended = end(folder, training)
    assert training.returncode == 0
    assert ended.count("Saved to finished.") == 1
    assert Bundle.load(folder / "finished").manifest.training.ended == "finish"


# Trains in two processes, forked so that PyTorch is imported once, on a corpus that counts as large
# and takes longer to be encoded than a process waits for another.
ON_A_LARGE_CORPUS = """
import datetime, os, socket, sys, time
import lorelm.cli.train, lorelm.cli.training_display, lorelm.training.train
from lorelm.cli.main import main
from lorelm.corpus import encoding, id_store, text_files
from lorelm.training import processes

class SlowEncoder(encoding.Encoder):
    def encode(self, *arguments):
        print("encoding", flush=True)
        time.sleep(4)
        return super().encode(*arguments)

id_store.Encoder = SlowEncoder
text_files.LARGE_FILE_BYTES = 1_000
processes._TIMEOUT = datetime.timedelta(seconds=3)
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
runs = []
for rank in "01":
    runs.append(os.fork())
    if runs[-1] == 0:
        os.environ |= {"RANK": rank, "LOCAL_RANK": rank}
        sys.argv = ["lorelm", *sys.argv[1:]]
        main()
        os._exit(0)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(run, 0)[1]) for run in runs))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the runs are forked")
@pytest.mark.slow
def test_a_corpus_larger_than_memory_is_encoded_once_and_waited_for(
    tales: Documents, tmp_path: Path
) -> None:
    lines = "\n".join(text.replace("\n", " ") for text in tales.texts)
    (tmp_path / "tales.txt").write_text(lines, encoding="utf-8")
    settings = ("--hidden-size", "8", "--epochs", "1", "--min-frequency", "1", "--device", "cpu")
    budget = ("--time-budget", "2m")  # whose plan is made by both
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            ON_A_LARGE_CORPUS,
            "train",
            "tales.txt",
            "--out",
            "m",
            *settings,
            *budget,
        ],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        encoding="utf-8",
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "encoding\n"
    assert "Saved to m." in ended.stderr
    assert ended.stderr.count("Of the time budget of 2 min") == 1
    assert not list((tmp_path / "m").glob("ids.*"))


@pytest.mark.parametrize(("size", "batch_size"), [(1, 4), (2, 4), (3, 7), (5, 5)])
def test_each_column_belongs_to_one_process(size: int, batch_size: int) -> None:
    shares = [
        range(batch_size)[Processes(rank=rank, size=size, local_rank=rank).columns(batch_size)]
        for rank in range(size)
    ]
    assert [column for share in shares for column in share] == list(range(batch_size))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_batch_without_a_column_for_each_process_is_refused() -> None:
    with raises_code(RecipeError, "recipe.batch_too_small"):
        Processes(rank=2, size=3, local_rank=2).columns(2)


def test_each_process_of_a_machine_has_its_own_device() -> None:
    second = Processes(rank=9, size=16, local_rank=1)
    assert second.local_device(torch.device("cuda")) == torch.device("cuda", 1)
    assert second.local_device(torch.device("cpu")) == torch.device("cpu")
    assert SINGLE_PROCESS.local_device(torch.device("cuda")) == torch.device("cuda")
