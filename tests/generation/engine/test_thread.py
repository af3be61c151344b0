import threading
import time
from pathlib import Path

import pytest
from tests.errors import raises_code
from tests.generation.sequences import generated, request_of

import lorelm
from lorelm.errors import FailedRequestError, ShuttingDownError
from lorelm.generation.engine.engine import Engine
from lorelm.generation.engine.thread import EngineThread
from lorelm.generation.handle import RequestHandle
from lorelm.runtime.base import Runtime, State
from lorelm.typing import Floats32, Ids


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(tiny_bundle)


class SlowRuntime(Runtime):
    """A real runtime whose steps take a while."""

    def __init__(self, runtime: Runtime, seconds: float) -> None:
        self._runtime = runtime
        self._seconds = seconds
        self.config = runtime.config

    def step(self, ids_B: Ids, state: State) -> tuple[Floats32, State]:
        time.sleep(self._seconds)
        return self._runtime.step(ids_B, state)


def submit(
    thread: EngineThread, model: lorelm.LanguageModel, seed: int, length: int, num_samples: int = 1
) -> RequestHandle:
    """Submit a request of samples of one length."""
    request = request_of(
        model,
        seed=seed,
        temperature=1.0,
        max_len=length,
        min_len=length,
        num_samples=num_samples,
    )
    handle = RequestHandle([request], cancel=thread.cancel)
    thread.submit(handle)
    return handle


def test_many_threads_get_what_they_would_get_alone(model: lorelm.LanguageModel) -> None:
    thread = EngineThread(Engine(model.runtime, num_slots=8, max_waiting=100))
    wrong: list[int] = []

    def generate_some(seed: int) -> None:
        for number in range(5):
            handle = submit(thread, model, 100 * seed + number, 20)
            handle.wait()
            expected = generated(
                model, seed=100 * seed + number, temperature=1.0, max_len=20, min_len=20
            )
            if handle.sequences[0].ids != expected.ids:
                wrong.append(seed)

    clients = [threading.Thread(target=generate_some, args=(seed,)) for seed in range(20)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(timeout=60)
    assert wrong == []
    thread.stop(grace_seconds=5)


def test_a_stop_finishes_what_runs_or_waits_and_refuses_what_is_new(
    model: lorelm.LanguageModel,
) -> None:
    thread = EngineThread(Engine(SlowRuntime(model.runtime, 0.002), num_slots=1))
    handles = [submit(thread, model, seed, 50) for seed in range(2)]
    stopper = threading.Thread(target=thread.stop, kwargs={"grace_seconds": 60})
    stopper.start()
    while thread.is_accepting:
        time.sleep(0.001)
    with raises_code(ShuttingDownError, "engine.shutting_down"):
        submit(thread, model, 3, 5)
    stopper.join(timeout=60)
    for handle in handles:
        handle.wait()
        assert handle.sequences[0].num_tokens == 50


def test_unfinished_requests_fail_after_the_grace_period(model: lorelm.LanguageModel) -> None:
    thread = EngineThread(Engine(SlowRuntime(model.runtime, 0.002), num_slots=2))
    handles = [submit(thread, model, 1, 10_000, num_samples=3), submit(thread, model, 4, 10_000)]
    thread.stop(grace_seconds=0.1)
    for handle in handles:
        with raises_code(ShuttingDownError, "engine.shutting_down"):
            handle.wait()
        assert all(isinstance(each.error, ShuttingDownError) for each in handle.sequences)


def test_an_abort_ends_the_grace_period(model: lorelm.LanguageModel) -> None:
    thread = EngineThread(Engine(SlowRuntime(model.runtime, 0.002)))
    handle = submit(thread, model, 1, 10_000)
    stopper = threading.Thread(target=thread.stop, kwargs={"grace_seconds": 3600})
    stopper.start()
    while thread.is_accepting:
        time.sleep(0.001)
    thread.abort()
    stopper.join(timeout=20)
    assert not stopper.is_alive()
    with raises_code(ShuttingDownError, "engine.shutting_down"):
        handle.wait()


class FailingOnce(SlowRuntime):
    """A real runtime whose first step fails."""

    def step(self, ids_B: Ids, state: State) -> tuple[Floats32, State]:
        if self._seconds:
            self._seconds = 0
            raise MemoryError("no memory for this step")
        return self._runtime.step(ids_B, state)


def test_the_thread_survives_a_step_that_failed(
    model: lorelm.LanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    thread = EngineThread(Engine(FailingOnce(model.runtime, 1)))
    failed = submit(thread, model, 1, 5)
    with raises_code(FailedRequestError, "request.failed"):
        failed.wait()
    assert isinstance(failed.sequences[0].error, MemoryError)
    served = submit(thread, model, 1, 5)
    served.wait()
    assert served.sequences[0].num_tokens == 5
    assert "a step of the model failed" in caplog.text
    thread.stop(grace_seconds=1)


def test_a_cancelled_request_ends(model: lorelm.LanguageModel) -> None:
    thread = EngineThread(Engine(SlowRuntime(model.runtime, 0.002)))
    handle = submit(thread, model, 1, 10_000)
    thread.cancel(handle)
    handle.wait()
    assert handle.sequences[0].status == "cancelled"
    thread.stop(grace_seconds=1)
