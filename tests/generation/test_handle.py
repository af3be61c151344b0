import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.errors import raises_code

import lorelm
from lorelm.errors import (
    ClientDisconnectedError,
    DeadlineError,
    FailedRequestError,
    ShuttingDownError,
)
from lorelm.generation.engine.engine import Engine
from lorelm.generation.engine.thread import EngineThread
from lorelm.generation.handle import RequestHandle, StreamUpdate
from lorelm.generation.sequence import GenerationRequest
from lorelm.generation.settings import GenerationSettings

Submit = Callable[..., RequestHandle]


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(tiny_bundle)


@pytest.fixture
def engine(model: lorelm.LanguageModel) -> Iterator[EngineThread]:
    thread = EngineThread(Engine(model.runtime, num_slots=8))
    yield thread
    thread.stop(grace_seconds=0)


@pytest.fixture
def submit(engine: EngineThread) -> Submit:
    def submit(requests: list[GenerationRequest], **options: Any) -> RequestHandle:
        handle = RequestHandle(requests, cancel=engine.cancel, **options)
        engine.submit(handle)
        return handle

    return submit


def request_of(
    model: lorelm.LanguageModel, prompt: str = "The fox", **settings: Any
) -> GenerationRequest:
    return model.request(model.prompts.read(prompt), GenerationSettings(**settings))


def wait_until_idle(engine: EngineThread) -> None:
    give_up = time.monotonic() + 20
    while not engine.engine.is_idle:
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_several_requests_are_generated_together(
    model: lorelm.LanguageModel, submit: Submit
) -> None:
    asked = [{"prompt": "The fox", "seed": 1, "num_samples": 3}, {"prompt": "Who", "seed": 9}]
    requests = [request_of(model, **each) for each in asked]
    submit(requests).wait()
    for request, each in zip(requests, asked, strict=True):
        assert model.reply(request) == model.generate(**each)


@pytest.mark.parametrize("stop", [(), ("mill", "t b")], ids=["no stop text", "stop texts"])
def test_a_stream_yields_the_tokens_of_the_samples(
    model: lorelm.LanguageModel, submit: Submit, stop: tuple[str, ...]
) -> None:
    settings: dict[str, Any] = {"seed": 4, "num_samples": 4, "num_alternatives": 1, "stop": stop}
    settings |= {"temperature": 1.2}
    requests = [request_of(model, prompt, **settings) for prompt in ("The fox", "So the owl ")]
    streamed: list[list[Any]] = [[] for _ in range(8)]
    ended: list[int] = []
    for updates in submit(requests, is_streamed=True).stream():
        for sample, tokens in updates:
            assert sample not in ended
            if not tokens:
                ended.append(sample)
            streamed[sample] += tokens
    assert sorted(ended) == list(range(8))
    samples = [sample for request in requests for sample in model.reply(request).samples]
    assert streamed == [list(sample.tokens or ()) for sample in samples]


def test_tokens_that_come_faster_than_the_interval_are_taken_together(
    model: lorelm.LanguageModel, submit: Submit
) -> None:
    options = {"is_streamed": True, "stream_interval": 1000}
    endless = request_of(model, max_len=10_000, min_len=10_000)
    stream = submit([endless], **options).stream()
    [first] = next(stream)
    assert first.tokens
    assert endless.sequences[0].status == "running"
    stream.close()  # type: ignore[attr-defined]

    request = request_of(model, max_len=200, min_len=200)
    taken = [updates for updates in submit([request], **options).stream() if updates]
    assert len(taken) <= 2
    assert sum(len(update.tokens) for updates in taken for update in updates) == 200


def test_a_disconnected_client_frees_its_slots(
    model: lorelm.LanguageModel, engine: EngineThread, submit: Submit
) -> None:
    closed: list[RequestHandle] = []
    request = request_of(model, max_len=10_000, min_len=10_000, num_samples=3)
    handle = submit([request], is_disconnected=lambda: True, on_close=closed.append)
    with pytest.raises(ClientDisconnectedError):
        handle.wait()
    handle.close()
    assert closed == [handle]
    wait_until_idle(engine)
    assert {sequence.status for sequence in request.sequences} == {"cancelled"}


def test_a_closed_stream_frees_its_slots(
    model: lorelm.LanguageModel, engine: EngineThread, submit: Submit
) -> None:
    request = request_of(model, max_len=10_000, min_len=10_000)
    stream = submit([request], is_streamed=True).stream()
    assert next(stream)
    stream.close()  # type: ignore[attr-defined]
    wait_until_idle(engine)
    assert request.sequences[0].status == "cancelled"


@pytest.mark.parametrize(
    ("options", "is_scoring"), [({}, False), ({"num_alternatives": 0}, True)], ids=["text", "score"]
)
def test_a_deadline_before_there_is_anything_to_show_is_an_error(
    model: lorelm.LanguageModel, submit: Submit, options: dict[str, Any], is_scoring: bool
) -> None:
    prompt = model.prompts.read("The fox sat")
    if is_scoring:
        request = model.scoring_request(prompt, deadline=time.monotonic(), **options)
    else:
        request = model.request(prompt, GenerationSettings(), deadline=time.monotonic())
    with raises_code(DeadlineError, "engine.deadline"):
        submit([request]).wait()


def test_a_sample_that_fails_while_tokens_are_gathered_does_not_look_finished(
    model: lorelm.LanguageModel,
) -> None:
    request = request_of(model, num_samples=2)
    first, second = request.sequences
    looks = iter([0, 1])

    def fail_at_the_second_look() -> bool:
        if next(looks, 0):
            first.finish("error", ShuttingDownError("the server shut down before the text ended"))
        return False

    handle = RequestHandle(
        [request],
        cancel=lambda _: None,
        is_streamed=True,
        is_disconnected=fail_at_the_second_look,
    )
    for sequence in (first, second):
        sequence.append(int(model.vocabulary.encode(["fox"])[0]))
        handle.notify(sequence)
    updates: list[StreamUpdate] = []
    with raises_code(ShuttingDownError, "engine.shutting_down"):
        for some in handle.stream():
            updates += some
            handle.notify(first)  # as the engine does a moment later
    assert all(update.tokens for update in updates)


def test_a_fault_of_ours_is_the_cause_of_what_is_shown(
    model: lorelm.LanguageModel, submit: Submit
) -> None:
    def fail(_logits_V: object, _sequence: object) -> Any:
        raise ZeroDivisionError("deep inside")

    request = request_of(model)
    request.sequences[0].processors = [fail]
    with raises_code(FailedRequestError, "request.failed") as caught:
        submit([request]).wait()
    assert "deep inside" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    submit([request_of(model)]).wait()


def test_what_is_not_finished_is_not_released(
    model: lorelm.LanguageModel, submit: Submit, engine: EngineThread
) -> None:
    request = request_of(model, max_len=10_000, min_len=10_000)
    handle = submit([request])
    handle.release()
    assert request.sequences
    handle.close()
    wait_until_idle(engine)
    handle.release()
    assert not request.sequences
    assert not handle.sequences
