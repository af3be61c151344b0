import dataclasses
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.errors import raises_code

from lorelm.bundle.layout import CHECKPOINT, METRICS_SO_FAR
from lorelm.corpus.preparation import Corpus
from lorelm.errors import CheckpointError, TrainingStoppedError
from lorelm.training.callbacks import EpochReport, TrainingCallback
from lorelm.training.checkpoint import _FORMAT_VERSION, Checkpoint, Snapshot, last_checkpoint
from lorelm.training.loop import CheckpointManager, CheckpointSettings
from lorelm.training.processes import SINGLE_PROCESS
from lorelm.training.recipe import Recipe

from .fitting import fit_recipe
from .test_loop import StopAfter

pytestmark = pytest.mark.system

NUM_BYTES = 40_000
"""Of the tensor in a checkpoint of these tests."""


def snapshot(number: int) -> Snapshot:
    return Snapshot(
        tensors={"w": torch.full((NUM_BYTES // 4,), float(number))},
        metadata={"epochs": [], "window": number, "is_over": False},
    )


def checkpoint(number: int) -> Checkpoint:
    return Checkpoint(run={"number": number}, snapshot=snapshot(number))


def number_in(out: Path) -> int:
    """Which checkpoint is there, all of it."""
    found = Checkpoint.load(out)
    number = found.snapshot.metadata["window"]
    assert torch.equal(found.snapshot.tensors["w"], snapshot(number).tensors["w"])
    assert found.run == {"number": number}
    return int(number)


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """No file may grow beyond this, as on a disk that is full."""
    resource = pytest.importorskip("resource", reason="file size limits are POSIX")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_saved_checkpoint_is_loaded_unchanged(tmp_path: Path) -> None:
    checkpoint(3).save(tmp_path / "run")
    assert number_in(tmp_path / "run") == 3
    checkpoint(4).save(tmp_path / "run")
    assert number_in(tmp_path / "run") == 4
    assert [file.name for file in (tmp_path / "run").iterdir()] == [CHECKPOINT]


# Saves checkpoint 2 in a process of its own that is killed: at the n-th call that changes the
# file system, or when the file that it writes (which Rust does, unseen) is larger than so much.
KILLED = """
import os, pathlib, resource, signal, sys
import torch
from lorelm.training.checkpoint import Checkpoint, Snapshot

def save(out, fatal_call, fatal_size):
    calls = 0
    def die_in_time(event, _arguments):
        nonlocal calls
        if event in ("open", "os.rename", "os.mkdir", "os.remove"):
            calls += 1
            if calls == fatal_call:
                os.kill(os.getpid(), signal.SIGKILL)
    tensors = {"w": torch.full((NUM_BYTES // 4,), 2.0)}
    snapshot = Snapshot(tensors=tensors, metadata={"epochs": [], "window": 2, "is_over": False})
    if fatal_size:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (fatal_size, fatal_size))
    sys.addaudithook(die_in_time)
    Checkpoint(run={"number": 2}, snapshot=snapshot).save(out)

for folder in map(pathlib.Path, sys.argv[1:]):
    kind, number = folder.name.split("-")
    child = os.fork()
    if child == 0:
        try:
            save(folder, *((int(number), 0) if kind == "call" else (0, int(number))))
        finally:
            os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(code, flush=True)
""".replace("NUM_BYTES", str(NUM_BYTES))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the runs are forked")
def test_a_killed_save_leaves_the_old_checkpoint_or_the_new_one_whole(tmp_path: Path) -> None:
    names = [f"call-{number}" for number in range(1, 11)]
    names += [f"size-{size}" for size in (1, 100, NUM_BYTES // 2, NUM_BYTES)]
    folders = [tmp_path / name for name in names]
    for folder in folders:
        checkpoint(1).save(folder)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, folders)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    is_killed = [code != "0" for code in ended.stdout.split()]
    numbers = [number_in(folder) for folder in folders]
    assert numbers[0] == 1
    assert is_killed[0]
    assert 2 in numbers[1:9]
    assert not is_killed[9], "there are more calls than that: add some"
    assert numbers[9] == 2
    assert is_killed[10:] == [True] * 4
    assert numbers[10:] == [1] * 4
    for folder in folders:  # and nothing stands in the way of the next one
        checkpoint(3).save(folder)
        assert [file.name for file in folder.iterdir()] == [CHECKPOINT]


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    checkpoint(1).save(tmp_path)
    with (
        largest_file(NUM_BYTES // 2),
        raises_code(CheckpointError, "checkpoint.unwritable"),
    ):
        checkpoint(2).save(tmp_path)
    assert number_in(tmp_path) == 1
    assert [file.name for file in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_full_disk_leaves_the_checkpoint_before(small_disk: Path) -> None:
    checkpoint(1).save(small_disk)
    fill(small_disk / "ballast")
    with raises_code(CheckpointError, "checkpoint.unwritable"):
        checkpoint(2).save(small_disk)
    assert number_in(small_disk) == 1
    assert {file.name for file in small_disk.iterdir()} == {CHECKPOINT, "ballast"}


def fill(path: Path) -> None:
    """Writes a file until the disk is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


class NumberedTrainer:
    """Takes the place of a Trainer; its snapshots have the numbers 0, 1, 2 and so on."""

    processes = SINGLE_PROCESS
    is_over = False

    def __init__(self) -> None:
        self.numbers = itertools.count()
        self.epochs: list[EpochReport] = []

    def snapshot(self) -> Snapshot:
        return snapshot(next(self.numbers))


def test_a_failed_write_is_reported_once_and_the_last_good_checkpoint_is_named(
    tmp_path: Path,
) -> None:
    callback = FullDisk(tmp_path / "ballast", after=0)
    settings = CheckpointSettings(out=tmp_path, run={}, steps=1)
    manager = CheckpointManager(NumberedTrainer(), settings, callback)
    manager.start(None)
    for is_full in [True, True, False, True, True]:
        with largest_file(NUM_BYTES // 2) if is_full else nullcontext():
            manager.after_step()
            manager.wait()
    assert len(callback.problems) == 2
    for problem, left in zip(
        callback.problems, ("epoch 1, step 0", "epoch 1, step 3"), strict=True
    ):
        assert problem.endswith(f"; the last good one is of {left}, and training goes on")
    assert Checkpoint.load(tmp_path).snapshot.metadata["window"] == 3


def report(epoch: int, valid_loss: float) -> EpochReport:
    return EpochReport(
        epoch=epoch,
        train_loss=4.0,
        valid_loss=valid_loss,
        is_best=True,
        learning_rate=0.01,
        tokens_per_second=1000.0,
        seconds=2.5,
    )


def test_the_metrics_so_far_have_a_line_per_epoch_and_a_failed_write_is_reported_once(
    tmp_path: Path,
) -> None:
    callback, trainer = FullDisk(tmp_path / "ballast", after=0), NumberedTrainer()
    manager = CheckpointManager(trainer, CheckpointSettings(out=tmp_path), callback)
    path = tmp_path / METRICS_SO_FAR

    def losses() -> list[float]:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["valid_loss_nats_per_token"] for line in lines]

    for epochs in ([3.0], [3.0, 2.0], [1.0]):  # the loss diverged: back to the first epoch
        trainer.epochs = [report(i, loss) for i, loss in enumerate(epochs, start=1)]
        manager.write_metrics()
        assert losses() == epochs
    trainer.epochs = [report(1, 1.0), report(2, 2.0)]
    with largest_file(path.stat().st_size + 9):
        manager.write_metrics()
        manager.write_metrics()
    assert losses() == [1.0]
    assert [file.name for file in tmp_path.iterdir()] == [METRICS_SO_FAR]
    [problem] = callback.problems
    assert "metrics.so-far.jsonl cannot be written" in problem
    assert problem.endswith("training goes on")


class FullDisk(TrainingCallback):
    """Fills the disk after some steps."""

    def __init__(self, ballast: Path, *, after: int) -> None:
        self.steps_left, self.ballast = after, ballast
        self.problems: list[str] = []

    def on_step(self, *, num_tokens: int) -> None:
        self.steps_left -= 1
        if self.steps_left == 0:
            fill(self.ballast)

    def on_problem(self, message: str) -> None:
        self.problems.append(message)


def test_training_goes_on_when_the_disk_is_full(
    corpus: Corpus, tiny_recipe: Recipe, small_disk: Path
) -> None:
    recipe = dataclasses.replace(tiny_recipe, epochs=3)
    callback = FullDisk(small_disk / "ballast", after=20)
    settings = CheckpointSettings(out=small_disk / "run", run={}, steps=1)
    result = fit_recipe(corpus, recipe, callback=callback, checkpoints=settings)
    assert [report.epoch for report in result.epochs] == [1, 2, 3]
    [problem] = [problem for problem in callback.problems if "metrics" not in problem]
    assert re.search(r"No space left on device \(free \d\.\d MB for it\); the last good", problem)
    assert problem.endswith("and training goes on")
    # The log of the metrics is small: on some disks there is just space for it.
    assert {file.name for file in settings.out.iterdir()} - {"metrics.so-far.jsonl"} == {CHECKPOINT}
    left = Checkpoint.load(settings.out).snapshot
    assert f"the last good one is of {left.description}" in problem
    resumed = fit_recipe(corpus, recipe, resume=left)
    expected, found = result.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_run_stopped_on_a_full_disk_names_the_last_checkpoint(
    corpus: Corpus, tiny_recipe: Recipe, small_disk: Path
) -> None:
    callback = FullDisk(small_disk / "ballast", after=20)
    settings = CheckpointSettings(out=small_disk / "run", run={}, steps=15)
    stop = threading.Event()

    def run(**others: object) -> str:
        with pytest.raises(TrainingStoppedError) as stopped:
            fit_recipe(
                corpus, tiny_recipe, callback=callback, checkpoints=settings, stop=stop, **others
            )
        return str(stopped.value)

    callback.on_problem = lambda message: stop.set()  # type: ignore[method-assign]
    expected = (
        "stopped; the last checkpoint is of epoch 1, step 15: go on with lorelm train --resume "
        f"{settings.out}, or make a model of what it has learned so far with lorelm train --finish "
        f"{settings.out}"
    )
    assert run() == expected
    last = Checkpoint.load(settings.out).snapshot
    assert run(resume=last) == expected
    (settings.out / CHECKPOINT).rename(small_disk / "elsewhere")  # the disk is full still
    assert run(resume=last) == "stopped; nothing of the run is on the disk"


def test_a_first_checkpoint_that_cannot_be_written_ends_the_run(
    corpus: Corpus, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    settings = CheckpointSettings(out=tmp_path / "run", run={})
    callback = StopAfter(1)
    with (
        largest_file(NUM_BYTES // 2),
        raises_code(CheckpointError, "checkpoint.unwritable"),
    ):
        fit_recipe(corpus, tiny_recipe, callback=callback, checkpoints=settings)
    assert not callback.stop.is_set()
    assert list(tmp_path.iterdir()) == []


def test_a_run_leaves_a_checkpoint_of_its_end(
    corpus: Corpus, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(tiny_recipe, epochs=2)
    settings = CheckpointSettings(out=tmp_path, run={}, seconds=1e9)
    result = fit_recipe(corpus, recipe, checkpoints=settings)
    end = Checkpoint.load(tmp_path).snapshot
    assert end.description == "the end of epoch 2, the last"
    callback = StopAfter(1)
    again = fit_recipe(corpus, recipe, callback=callback, resume=end)
    assert not callback.stop.is_set()
    assert again.epochs == result.epochs
    expected, found = result.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


class LookAfter(TrainingCallback):
    """Reads the checkpoint after the first step, and stops."""

    def __init__(self, path: Path) -> None:
        self.path, self.found = path, b""
        self.stop = threading.Event()

    def on_step(self, *, num_tokens: int) -> None:
        self.found = self.found or self.path.read_bytes()
        self.stop.set()


def test_a_resumed_run_writes_nothing_before_its_first_step(
    corpus: Corpus, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    callback = LookAfter(tmp_path / CHECKPOINT)
    settings = CheckpointSettings(out=tmp_path, run={"number": 1})
    arguments = {"callback": callback, "stop": callback.stop}
    with pytest.raises(TrainingStoppedError):
        fit_recipe(corpus, tiny_recipe, checkpoints=settings, **arguments)
    before = (tmp_path / CHECKPOINT).read_bytes()
    callback.found = b""
    settings = dataclasses.replace(settings, run={"number": 2})
    resume = Checkpoint.load(tmp_path).snapshot
    with pytest.raises(TrainingStoppedError):
        fit_recipe(corpus, tiny_recipe, checkpoints=settings, resume=resume, **arguments)
    assert callback.found == before
    assert Checkpoint.load(tmp_path).run == {"number": 2}


def good_bytes(folder: Path) -> bytes:
    checkpoint(1).save(folder)
    return (folder / CHECKPOINT).read_bytes()


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with raises_code(CheckpointError, "checkpoint.missing"):
        Checkpoint.load(tmp_path)


def test_a_finished_run_has_an_error_of_its_own(tiny_bundle: Path) -> None:
    with raises_code(CheckpointError, "checkpoint.finished"):
        Checkpoint.load(tiny_bundle)


def test_a_checkpoint_is_read_where_a_killed_save_left_it(tmp_path: Path) -> None:
    checkpoint(3).save(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / ".run.old")
    assert number_in(tmp_path / "run") == 3
    assert "epoch 1, step 3" in str(last_checkpoint(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("version", "code"), [(9, "checkpoint.newer_version"), (1, "checkpoint.older_version")]
)
def test_a_checkpoint_of_another_version_says_what_to_do(
    tmp_path: Path, version: int, code: str
) -> None:
    content = good_bytes(tmp_path)
    version_now = rb"\"format_version\": %d" % _FORMAT_VERSION
    assert version_now in content
    other = content.replace(version_now, rb"\"format_version\": %d" % version)
    (tmp_path / CHECKPOINT).write_bytes(other)
    with raises_code(CheckpointError, code):
        Checkpoint.load(tmp_path)


def test_a_weights_file_is_refused_as_a_checkpoint(tiny_bundle: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_bundle / "weights.safetensors", tmp_path / CHECKPOINT)
    with raises_code(CheckpointError, "checkpoint.damaged"):
        Checkpoint.load(tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def is_refused(folder: Path, content: bytes) -> bool:
    """Whether it is refused, as it must be: with the path and nothing else."""
    (folder / CHECKPOINT).write_bytes(content)
    message = ""
    try:
        Checkpoint.load(folder)
    except CheckpointError as error:
        message = str(error)
    assert message == "" or str(folder / CHECKPOINT) in message
    assert "\n" not in message
    return message != ""


@given(st.data())
def test_a_checkpoint_that_was_cut_off_is_refused(folder: Path, data: st.DataObject) -> None:
    content = good_bytes(folder)
    assert is_refused(folder, content[: data.draw(st.integers(0, len(content) - 1))])


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(folder: Path, content: bytes) -> None:
    assert is_refused(folder, content)


@given(st.data())
def test_damaged_bytes_are_refused_or_have_no_effect(folder: Path, data: st.DataObject) -> None:
    content = bytearray(good_bytes(folder))
    ends = {"in the header": len(content) - NUM_BYTES, "anywhere": len(content)}
    end = ends[data.draw(st.sampled_from([*ends]))]
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    if not is_refused(folder, bytes(content)):
        assert number_in(folder) == 1
