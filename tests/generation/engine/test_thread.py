import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lorelm.bundle import Bundle
from lorelm.errors import ShuttingDownError
from lorelm.generation.draft import Draft
from lorelm.generation.engine.engine import Engine
from lorelm.generation.engine.request import EngineRequest
from lorelm.generation.engine.thread import EngineThread
from lorelm.generation.generator import write
from lorelm.generation.settings import GenerationSettings
from lorelm.runtime.base import Runtime, State, StateBatch
from lorelm.typing import Floats32, Ids


@pytest.fixture(scope="module")
def runtime(tiny_bundle: Path) -> Runtime:
    return Bundle.load(tiny_bundle).runtime()


class SlowRuntime:
    """A real runtime that takes its time."""

    def __init__(self, runtime: Runtime, seconds: float) -> None:
        self._runtime = runtime
        self._seconds = seconds
        self.config = runtime.config

    def step(self, ids_B: Ids, state: State) -> tuple[Floats32, State]:
        time.sleep(self._seconds)
        return self._runtime.step(ids_B, state)

    def batch(self, num_texts: int) -> StateBatch:
        return StateBatch(self, num_texts)


def draft(seed: int, length: int) -> Draft:
    settings = GenerationSettings(temperature=1.0)
    nothing = np.array([], dtype=np.int64)
    return Draft(nothing, seed=seed, settings=settings, max_len=length, min_len=length)


class Asked:
    """A request, and the event of its end."""

    def __init__(self, thread: EngineThread, drafts: list[Draft], **listeners: Any) -> None:
        self.drafts = drafts
        self.is_over = threading.Semaphore(0)
        self.request = EngineRequest(
            groups=[drafts], on_end=lambda draft: self.is_over.release(), **listeners
        )
        thread.submit(self.request)

    def wait(self) -> None:
        for _ in self.drafts:
            assert self.is_over.acquire(timeout=20)


def test_many_threads_get_what_they_would_get_alone(runtime: Runtime) -> None:
    thread = EngineThread(Engine(runtime, num_slots=8, max_waiting=100))
    wrong: list[int] = []

    def ask(seed: int) -> None:
        for number in range(5):
            mine, expected = (draft(100 * seed + number, 20) for _ in range(2))
            Asked(thread, [mine]).wait()
            write(runtime, expected)
            if mine.ids != expected.ids:
                wrong.append(seed)

    people = [threading.Thread(target=ask, args=(seed,)) for seed in range(20)]
    for person in people:
        person.start()
    for person in people:
        person.join(timeout=60)
    assert wrong == []
    thread.stop(grace_seconds=5)


def test_what_is_live_finishes_and_what_is_new_is_refused(runtime: Runtime) -> None:
    thread = EngineThread(Engine(SlowRuntime(runtime, 0.002), num_slots=1))
    first, second = (Asked(thread, [draft(seed, 50)]) for seed in range(2))
    stopper = threading.Thread(target=thread.stop, kwargs={"grace_seconds": 60})
    stopper.start()
    while thread.is_accepting:
        time.sleep(0.001)
    with pytest.raises(ShuttingDownError, match="shutting down"):
        Asked(thread, [draft(3, 5)])
    stopper.join(timeout=60)
    for asked in (first, second):
        asked.wait()
        assert len(asked.drafts[0].ids) == 50


def test_after_the_grace_what_is_not_finished_is_told_so(runtime: Runtime) -> None:
    thread = EngineThread(Engine(SlowRuntime(runtime, 0.002), num_slots=2))
    asked = [Asked(thread, [draft(1, 10_000), draft(2, 10_000), draft(3, 10_000)])]
    asked.append(Asked(thread, [draft(4, 10_000)]))
    thread.stop(grace_seconds=0.1)
    for each in asked:
        each.wait()
        assert all(isinstance(draft.error, ShuttingDownError) for draft in each.drafts)


class FailingOnce(SlowRuntime):
    """A real runtime whose first step fails."""

    def step(self, ids_B: Ids, state: State) -> tuple[Floats32, State]:
        if self._seconds:
            self._seconds = 0
            raise MemoryError("no memory for this step")
        return self._runtime.step(ids_B, state)


def test_the_thread_survives_a_step_that_failed(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    thread = EngineThread(Engine(FailingOnce(runtime, 1)))
    unlucky = Asked(thread, [draft(1, 5)])
    unlucky.wait()
    assert isinstance(unlucky.drafts[0].error, MemoryError)
    lucky = Asked(thread, [draft(1, 5)])
    lucky.wait()
    assert len(lucky.drafts[0].ids) == 5
    assert "a step of the model failed" in caplog.text
    thread.stop(grace_seconds=1)


def test_a_cancelled_request_ends(runtime: Runtime) -> None:
    thread = EngineThread(Engine(SlowRuntime(runtime, 0.002)))
    asked = Asked(thread, [draft(1, 10_000)])
    thread.cancel(asked.request)
    asked.wait()
    assert asked.drafts[0].finish_reason == "cancelled"
    thread.stop(grace_seconds=1)
