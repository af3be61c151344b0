import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lorelm
from lorelm.errors import AbandonedError, FailedRequestError
from lorelm.generation.engine.engine import Engine
from lorelm.generation.engine.thread import EngineThread
from lorelm.generation.generation import Generation, StreamedEnd, StreamedToken
from lorelm.generation.settings import GenerationSettings
from lorelm.generation.task import Task


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(tiny_bundle)


@pytest.fixture
def engine(model: lorelm.LanguageModel) -> Iterator[EngineThread]:
    thread = EngineThread(Engine(model.runtime, num_slots=8))
    yield thread
    thread.stop(grace_seconds=0)


def task_of(model: lorelm.LanguageModel, prompt: str = "The fox", **asked: Any) -> Task:
    return model.task(model.read_prompt(prompt), GenerationSettings(**asked))


def test_several_tasks_are_done_together(model: lorelm.LanguageModel, engine: EngineThread) -> None:
    asked = [{"prompt": "The fox", "seed": 1, "num_samples": 3}, {"prompt": "Who", "seed": 9}]
    tasks = [task_of(model, **each) for each in asked]
    Generation(model, engine, tasks).wait()
    for task, each in zip(tasks, asked, strict=True):
        assert model.wording.reply(task) == model.generate(**each)


@pytest.mark.parametrize("stop", [(), ("mill", "t b")], ids=["no stop text", "stop texts"])
def test_a_stream_passes_on_what_the_samples_become(
    model: lorelm.LanguageModel, engine: EngineThread, stop: tuple[str, ...]
) -> None:
    asked: dict[str, Any] = {"seed": 4, "num_samples": 4, "num_alternatives": 1, "stop": stop}
    asked |= {"temperature": 1.2}
    tasks = [task_of(model, prompt, **asked) for prompt in ("The fox", "So the owl ")]
    passed: list[list[Any]] = [[] for _ in range(8)]
    ended: list[int] = []
    for updates in Generation(model, engine, tasks, is_streamed=True).stream():
        for update in updates:
            assert update.place not in ended
            if isinstance(update, StreamedToken):
                passed[update.place].append(update.token)
            else:
                assert isinstance(update, StreamedEnd)
                ended.append(update.place)
    assert sorted(ended) == list(range(8))
    samples = [sample for task in tasks for sample in model.wording.reply(task).samples]
    assert passed == [list(sample.tokens or ()) for sample in samples]


def test_an_abandoned_generation_frees_its_slots(
    model: lorelm.LanguageModel, engine: EngineThread
) -> None:
    closed: list[Generation] = []
    task = task_of(model, max_len=10_000, min_len=10_000, num_samples=3)
    generation = Generation(
        model, engine, [task], is_abandoned=lambda: True, on_close=closed.append
    )
    with pytest.raises(AbandonedError):
        generation.wait()
    generation.close()
    assert closed == [generation]
    give_up = time.monotonic() + 20
    while not engine.engine.is_idle:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert {draft.finish_reason for draft in task.drafts} == {"cancelled"}


def test_a_fault_of_ours_is_logged_and_told_without_its_insides(
    model: lorelm.LanguageModel, engine: EngineThread, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_id: int) -> bool:
        raise ZeroDivisionError("deep inside")

    task = task_of(model)
    task.drafts[0]._is_stopped = fail
    with pytest.raises(FailedRequestError) as caught:
        Generation(model, engine, [task]).wait()
    assert "deep inside" not in str(caught.value)
    assert "deep inside" in caplog.text
    Generation(model, engine, [task_of(model)]).wait()
