"""The queue with real processes of `lorelm train`."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lorelm.corpus.documents import Documents
from lorelm.runs.process import ProcessId, error_in, is_alive
from lorelm.runs.queue import Job, RunQueue
from lorelm.runs.run import read_run

pytestmark = pytest.mark.system

TINY = ("--min-frequency", "1", "--hidden-size", "8", "--init", "none", "--checkpoint-steps", "1")


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[RunQueue]:
    queue = RunQueue(tmp_path / "runs")
    yield queue
    for job in queue.jobs():
        queue.stop(job.name)
    wait_for(lambda: not any(job.is_running for job in queue.jobs()))
    for child in queue._children:
        child.wait()


@pytest.fixture
def text(tales: Documents, tmp_path: Path) -> Path:
    path = tmp_path / "tales.txt"
    path.write_text("\n".join(text.replace("\n", " ") for text in tales.texts), encoding="utf-8")
    return path


def wait_for(condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def train(text: Path, out: Path, *more: str) -> list[str]:
    return ["train", str(text), "--out", str(out), *TINY, *more]


def job_of(queue: RunQueue, name: str) -> Job:
    job = queue.find(name)
    assert job is not None
    return job


@pytest.mark.slow
def test_runs_take_turns_and_stop_and_go_on(queue: RunQueue, text: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    queue.add("first", train(text, first, "--epochs", "100000"))
    queue.add("second", train(text, second, "--epochs", "1"))
    queue.look()
    queue.look()
    assert job_of(queue, "first").is_running
    assert job_of(queue, "second").waits
    wait_for(lambda: read_run(first).epochs)
    queue.stop("first", then=["train", "--finish", str(first)])
    assert job_of(queue, "first").is_stopping
    wait_for(lambda: not job_of(queue, "first").is_running)
    assert read_run(first).state == "stopped"
    queue.look()  # what finishes a run goes before what waits
    assert job_of(queue, "first").is_running
    assert job_of(queue, "second").waits
    wait_for(lambda: not job_of(queue, "first").is_running)
    assert read_run(first).state == "finished"
    queue.look()
    wait_for(lambda: read_run(second).state == "finished")
    wait_for(lambda: not job_of(queue, "second").is_running)
    assert "Saved to" in queue.log("second")


def test_a_run_outlives_its_queue_and_the_next_one_finds_it(
    queue: RunQueue, text: Path, tmp_path: Path
) -> None:
    queue.add("run", train(text, tmp_path / "run", "--epochs", "100000"))
    queue.open()
    wait_for(lambda: job_of(queue, "run").is_running)
    queue.close()
    other = RunQueue(tmp_path / "runs")
    assert job_of(other, "run").is_running
    wait_for(lambda: read_run(tmp_path / "run").epochs)
    process = job_of(other, "run").process
    assert process is not None
    psutil.Process(process.number).kill()
    wait_for(lambda: not job_of(other, "run").is_running)
    assert not job_of(other, "run").is_stopping
    wait_for(lambda: read_run(tmp_path / "run").state == "stopped")


def test_a_run_that_waits_can_leave_the_queue(queue: RunQueue, text: Path, tmp_path: Path) -> None:
    queue.add("run", train(text, tmp_path / "run"))
    queue.stop("run")
    queue.look()
    assert not job_of(queue, "run").is_running
    assert job_of(queue, "run").process is None


def test_what_went_wrong_is_in_the_log(queue: RunQueue, tmp_path: Path) -> None:
    queue.add("run", train(tmp_path / "nowhere.txt", tmp_path / "run"))
    queue.look()
    wait_for(lambda: not job_of(queue, "run").is_running)
    assert error_in(queue.log("run")).startswith(f"there is no file {tmp_path / 'nowhere.txt'}")


def test_a_number_that_another_process_has_now_is_not_the_run() -> None:
    own = psutil.Process().create_time()
    assert is_alive(ProcessId(number=os.getpid(), started=own))
    assert not is_alive(ProcessId(number=os.getpid(), started=own - 100))


def test_a_damaged_job_is_passed_over(queue: RunQueue, tmp_path: Path) -> None:
    (tmp_path / "runs" / "run").mkdir(parents=True)
    (tmp_path / "runs" / "run" / "job.json").write_text("{}")
    assert queue.jobs() == []
    assert queue.find("run") is None
