"""The engine against the plain generator, whatever joins or leaves."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lorelm.bundle import Bundle
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID
from lorelm.errors import OverloadedError
from lorelm.generation.draft import Draft
from lorelm.generation.engine import engine as engine_module
from lorelm.generation.engine.engine import Engine
from lorelm.generation.engine.request import EngineRequest
from lorelm.generation.engine.slots import BLOCK_LEN
from lorelm.generation.generator import write
from lorelm.generation.mixture import Mixture
from lorelm.generation.settings import GenerationSettings
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runtime.base import Runtime, State, StateBatch
from lorelm.runtime.torch_runtime import TorchRuntime
from lorelm.typing import Floats32, Ids

VOCABULARY_SIZE = 40


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


@pytest.fixture(scope="module")
def runtimes(bundle: Bundle) -> dict[str, Runtime]:
    model = LSTMLanguageModel(bundle.manifest.model)
    model.load_state_dict({name: torch.from_numpy(w) for name, w in bundle.weights().items()})
    return {
        "int8": bundle.runtime(),
        "float32": bundle.runtime("float32"),
        "neural cache": bundle.runtime(cache=True),
        "PyTorch": TorchRuntime(model),
    }


@pytest.fixture
def runtime(runtimes: dict[str, Runtime]) -> Runtime:
    return runtimes["int8"]


ids = st.integers(2, VOCABULARY_SIZE - 1)
asked = st.fixed_dictionaries(
    {
        "prompt": st.lists(ids, max_size=6) | st.lists(ids, min_size=BLOCK_LEN - 2),
        "num_samples": st.integers(1, 3),
        "seed": st.integers(0, 2**53),
        "max_len": st.integers(0, 2 * BLOCK_LEN + 3),
        "min_len": st.integers(0, 4),
        "stop_id": st.none() | ids,
        "banned_ids": st.lists(ids, max_size=3),
        "mixture": st.booleans(),
        "num_alternatives": st.none() | st.integers(0, 3),
        "scores_prompt": st.booleans(),
        "reads_eos_first": st.booleans(),
        "is_streamed": st.booleans(),
        "sampling": st.fixed_dictionaries(
            {
                "temperature": st.sampled_from([0, 0.5, 0.8, 1.5, 4.0]),
                "top_k": st.sampled_from([0, 0, 3]),
                "top_p": st.sampled_from([1.0, 1.0, 0.7]),
                "min_p": st.sampled_from([0.0, 0.0, 0.1]),
                "repetition_penalty": st.sampled_from([1.0, 1.0, 1.3]),
                "frequency_penalty": st.sampled_from([0.0, 0.0, 0.5]),
                "presence_penalty": st.sampled_from([0.0, 0.0, -0.7]),
            }
        ),
        "joins_after": st.integers(0, 40),
        "leaves_after": st.none() | st.integers(0, 40),
    }
)


def ban(banned_ids: list[int], logits_V: Floats32, _ids: object) -> Floats32:
    logits_V = logits_V.copy()
    logits_V[banned_ids] = -np.inf
    return logits_V


def drafts_of(wish: dict[str, Any], mixture: Mixture) -> list[Draft]:
    stop_id = wish["stop_id"]
    return [
        Draft(
            np.array(wish["prompt"], dtype=np.int64),
            seed=wish["seed"] + number,
            settings=GenerationSettings(**wish["sampling"]),
            max_len=wish["max_len"],
            min_len=wish["min_len"],
            reads_eos_first=wish["reads_eos_first"],
            model_adjustment=mixture if wish["mixture"] else None,
            limits=[partial(ban, wish["banned_ids"])] if wish["banned_ids"] else [],
            num_alternatives=wish["num_alternatives"],
            scores_prompt=wish["scores_prompt"],
            is_stopped=None if stop_id is None else lambda id_: id_ == stop_id,
        )
        for number in range(wish["num_samples"])
    ]


def finish(engine: Engine) -> None:
    for _ in range(10_000):
        if engine.is_idle:
            return
        engine.step()
    pytest.fail("the engine does not come to an end")


def submit(engine: Engine, drafts: list[Draft], **listeners: Callable[[Draft], None]) -> Any:
    request = EngineRequest(groups=[drafts], **({"on_end": lambda draft: None} | listeners))
    engine.submit(request)
    return request


@pytest.mark.parametrize("name", ["int8", "float32", "neural cache", "PyTorch"])
@given(wishes=st.lists(asked, min_size=1, max_size=8), num_slots=st.integers(1, 6))
@settings(max_examples=40)
def test_texts_are_those_of_the_plain_generator(
    runtimes: dict[str, Runtime],
    bundle: Bundle,
    name: str,
    wishes: list[dict[str, Any]],
    num_slots: int,
) -> None:
    runtime = runtimes[name]
    mixture = Mixture.of_bundle(bundle)
    engine = Engine(runtime, num_slots=num_slots, max_waiting=100)
    requests: dict[int, EngineRequest] = {}
    ended: list[Draft] = []
    drafts = [drafts_of(wish, mixture) for wish in wishes]
    last = max(wish["joins_after"] + (wish["leaves_after"] or 0) for wish in wishes)
    for step in range(last + 1):
        for number, wish in enumerate(wishes):
            if step == wish["joins_after"]:
                listener = {"on_token": lambda draft: None} if wish["is_streamed"] else {}
                requests[number] = submit(engine, drafts[number], on_end=ended.append, **listener)
            if wish["leaves_after"] is not None and step == sum(
                wish[key] for key in ("joins_after", "leaves_after")
            ):
                engine.cancel(requests[number])
        engine.step()
    finish(engine)
    assert len(ended) == sum(wish["num_samples"] for wish in wishes)
    for wish, written in zip(wishes, drafts, strict=True):
        for draft, expected in zip(written, drafts_of(wish, mixture), strict=True):
            write(runtime, expected)
            if draft.finish_reason == "cancelled":
                assert draft.ids == expected.ids[: len(draft.ids)]
                continue
            assert draft.ids == expected.ids
            assert draft.finish_reason == expected.finish_reason
            assert draft.scores == expected.scores
            assert draft.prompt_scores == expected.prompt_scores


def plain(seed: int, prompt: list[int] | None = None, max_len: int = 30, **more: Any) -> Draft:
    return Draft(
        np.array(prompt or [], dtype=np.int64),
        seed=seed,
        settings=GenerationSettings(temperature=1.0),
        max_len=max_len,
        **more,
    )


def alone(runtime: Runtime, draft: Draft) -> list[int]:
    write(runtime, draft)
    return draft.ids


def test_sixty_four_together_are_as_each_alone(runtime: Runtime) -> None:
    engine = Engine(runtime, num_slots=64)
    drafts = [plain(seed, [2 + seed % 9] * (seed % 5)) for seed in range(64)]
    for draft in drafts:
        submit(engine, [draft])
    finish(engine)
    for seed, draft in enumerate(drafts):
        assert draft.ids == alone(runtime, plain(seed, [2 + seed % 9] * (seed % 5)))


def test_the_model_is_called_once_a_step_for_all(runtime: Runtime) -> None:
    counted = CountingRuntime(runtime)
    engine = Engine(counted, num_slots=64)
    drafts = [plain(seed, min_len=20, max_len=20) for seed in range(50)]
    for draft in drafts:
        submit(engine, [draft])
    finish(engine)
    assert counted.rows == [50] * 20


def test_a_long_prompt_does_not_stall_the_others(runtime: Runtime) -> None:
    engine = Engine(runtime, num_slots=4)
    long = plain(1, [3] * 500)
    short = plain(2, [4], max_len=10, min_len=10)
    submit(engine, [long])
    for _ in range(5):
        engine.step()
    submit(engine, [short])
    for _ in range(2 + 10):
        engine.step()
    assert len(short.ids) == 10
    assert long.is_reading


def test_the_prompt_of_several_samples_is_read_once(runtime: Runtime) -> None:
    counted = CountingRuntime(runtime)
    engine = Engine(counted, num_slots=16)
    prompt = list(range(2, 30))
    drafts = [plain(seed, prompt, max_len=5, min_len=5) for seed in range(8)]
    submit(engine, drafts)
    finish(engine)
    assert sum(counted.rows) == len(prompt) + 8 * 5
    for seed, draft in enumerate(drafts):
        assert draft.ids == alone(runtime, plain(seed, prompt, max_len=5, min_len=5))


def test_a_repeated_prompt_has_its_first_token_after_one_step(runtime: Runtime) -> None:
    engine = Engine(runtime)
    prompt = list(range(2, 30))
    submit(engine, [plain(0, prompt)])
    finish(engine)
    again = plain(1, prompt)
    submit(engine, [again])
    engine.step()
    assert len(again.ids) == 1
    finish(engine)
    assert again.ids == alone(runtime, plain(1, prompt))


def test_the_first_token_is_timed_where_nobody_waits_for_each(runtime: Runtime) -> None:
    engine = Engine(runtime)
    draft = plain(0, [5, 6, 7], max_len=20, min_len=20)
    request = submit(engine, [draft])
    for _ in range(3):  # `<eos>`, which every text begins with, and two of the prompt
        engine.step()
    assert request.seconds_to_first_token is None
    engine.step()
    assert request.seconds_to_first_token > 0
    assert not draft.is_over
    seconds = request.seconds_to_first_token
    finish(engine)
    assert request.seconds_to_first_token == seconds


def test_what_goes_on_with_a_sample_reads_only_what_is_new(runtime: Runtime) -> None:
    engine = Engine(runtime)
    first = plain(0, [5, 6, 7], max_len=20, min_len=20)
    submit(engine, [first])
    finish(engine)
    prompt = [5, 6, 7, *first.ids, 9]
    further = plain(1, prompt)
    submit(engine, [further])
    engine.step()  # reads the last token of the sample
    engine.step()  # reads the new one
    assert len(further.ids) == 1
    finish(engine)
    assert further.ids == alone(runtime, plain(1, prompt))


def test_a_cancelled_request_has_no_slot_after_the_next_step(runtime: Runtime) -> None:
    engine = Engine(runtime, num_slots=2)
    ended: list[Draft] = []
    gone = [plain(seed, max_len=1000, min_len=1000) for seed in range(5)]
    request = submit(engine, gone, on_end=ended.append)
    for _ in range(3):
        engine.step()
    waiting = plain(9, max_len=3, min_len=3)
    submit(engine, [waiting])
    engine.cancel(request)
    engine.step()
    assert (engine.num_live, engine.num_waiting) == (1, 0)
    for _ in range(2):
        engine.step()
    assert waiting.ids == alone(runtime, plain(9, max_len=3, min_len=3))
    assert {draft.finish_reason for draft in ended} == {"cancelled"}
    assert set(ended) == set(gone)


@pytest.mark.parametrize("num_steps", [0, 3, 30], ids=["waiting", "in its prompt", "writing"])
def test_nothing_is_written_for_a_cancelled_request(runtime: Runtime, num_steps: int) -> None:
    """Nor for its other samples, which wait until its prompt is read."""
    counted = CountingRuntime(runtime)
    engine = Engine(counted, num_slots=4)
    ended: list[Draft] = []
    gone = [plain(seed, [5] * 20, max_len=1000, min_len=1000) for seed in range(9)]
    request = submit(engine, gone, on_end=ended.append)
    for _ in range(num_steps):
        engine.step()
    engine.cancel(request)
    counted.rows.clear()
    engine.step()
    assert engine.is_idle
    assert counted.rows == []
    assert {draft.finish_reason for draft in ended} == {"cancelled"}
    assert len(ended) == len(gone)


def test_a_request_cancelled_while_the_engine_looks_writes_nothing(runtime: Runtime) -> None:
    engine = Engine(runtime, num_slots=1)
    submit(engine, [plain(1, max_len=5, min_len=5)])
    engine.step()
    late = plain(2, max_len=1000, min_len=1000)
    request = submit(engine, [late])
    remove = engine._queue.remove

    def cancel_behind_it(is_over: Callable[[Any], bool]) -> list[Any]:
        removed = remove(is_over)
        engine.cancel(request)
        return removed

    engine._queue.remove = cancel_behind_it  # type: ignore[method-assign]
    engine._looks_at_queue_at = 0
    finish(engine)
    assert late.finish_reason == "cancelled"
    assert late.ids == []


def test_a_full_queue_refuses_and_goes_on(runtime: Runtime) -> None:
    engine = Engine(runtime, num_slots=1, max_waiting=2)
    drafts = [plain(seed, max_len=5) for seed in range(3)]
    submit(engine, [drafts[0]])
    engine.step()
    submit(engine, [drafts[1]])
    submit(engine, [drafts[2]])
    with pytest.raises(OverloadedError, match="2 requests are waiting already"):
        submit(engine, [plain(4)])
    finish(engine)
    for seed, draft in enumerate(drafts):
        assert draft.ids == alone(runtime, plain(seed, max_len=5))


def test_a_draft_ends_at_its_deadline_live_or_waiting(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(engine_module, "time", SimpleNamespace(monotonic=lambda: now))
    engine = Engine(runtime, num_slots=1)
    ended: list[Draft] = []
    live = plain(1, max_len=10_000, min_len=10_000, deadline=3)
    waiting = plain(2, deadline=1)
    gone, other = plain(3), plain(4)
    submit(engine, [live], on_end=ended.append)
    submit(engine, [waiting], on_end=ended.append)
    hung_up = submit(engine, [gone], on_end=ended.append)
    submit(engine, [other], on_end=ended.append)
    engine.step()
    engine.cancel(hung_up)
    engine.step()
    # None of them got a slot before it ended, and the live one is in its slot still.
    assert (ended, gone.finish_reason) == ([gone], "cancelled")
    assert engine.num_waiting == 2
    now = 2.0
    engine.step()
    assert (ended, waiting.finish_reason) == ([gone, waiting], "timeout")
    now = 4.0
    engine.step()
    assert (ended, live.finish_reason) == ([gone, waiting, live], "timeout")
    finish(engine)
    assert 0 < len(live.ids) < 10
    assert live.ids == alone(runtime, plain(1, max_len=10, min_len=10))[: len(live.ids)]
    assert other.ids == alone(runtime, plain(4))


def test_what_a_draft_has_read_at_its_deadline_is_not_taken_for_written(runtime: Runtime) -> None:
    engine = Engine(runtime)
    reading = plain(1, [3] * 100_000, deadline=time.monotonic() + 0.05)
    submit(engine, [reading])
    finish(engine)
    assert reading.finish_reason == "timeout"
    assert reading.ids == []


def test_requests_take_turns(runtime: Runtime) -> None:
    """One with many samples and prompts does not hold up those behind it."""
    engine = Engine(runtime, num_slots=2)
    order: list[str] = []
    groups = [[plain(s, [4, p], max_len=5, min_len=5) for s in range(20)] for p in range(2, 12)]
    large = EngineRequest(groups=groups, on_end=lambda draft: order.append("large"))
    small = EngineRequest(
        groups=[[plain(7, max_len=5, min_len=5)]], on_end=lambda draft: order.append("small")
    )
    engine.submit(large)
    engine.step()
    engine.submit(small)
    finish(engine)
    assert order.index("small") <= 3
    assert order.count("large") == 200
    for group, prompt in zip(groups, range(2, 12), strict=True):
        for seed, draft in enumerate(group):
            assert draft.ids == alone(runtime, plain(seed, [4, prompt], max_len=5, min_len=5))


class CountingRuntime:
    """A real runtime that notes how many rows it was called with."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.config = runtime.config
        self.rows: list[int] = []

    def step(self, ids_B: Ids, state: State) -> tuple[Floats32, State]:
        self.rows.append(len(ids_B))
        return self._runtime.step(ids_B, state)

    def batch(self, num_texts: int) -> StateBatch:
        return StateBatch(self, num_texts)


def failing(*_arguments: object) -> Any:
    raise RuntimeError("a fault of this request")


@pytest.mark.parametrize(
    "fault",
    [
        {"model_adjustment": failing, "scores_prompt": True},
        {"model_adjustment": failing},
        {"limits": [failing]},
        {"is_stopped": failing},
        "on_token",
        "on_end",
    ],
    ids=lambda fault: fault if isinstance(fault, str) else "+".join(fault),
)
def test_a_fault_of_one_request_touches_no_other(runtime: Runtime, fault: Any) -> None:
    engine = Engine(runtime, num_slots=8)
    good = [plain(seed, [4, 5]) for seed in range(3)]
    arguments, listeners = (fault, {}) if isinstance(fault, dict) else ({}, {fault: failing})
    bad = [plain(seed, [4, 5], **arguments) for seed in (10, 11)]
    ended: list[Draft] = []
    submit(engine, [good[0]])
    submit(engine, bad, **({"on_end": ended.append} | listeners))
    submit(engine, good[1:])
    finish(engine)
    for seed, draft in enumerate(good):
        assert draft.ids == alone(runtime, plain(seed, [4, 5]))
    if fault != "on_end":
        assert set(ended) == set(bad)
        assert all(isinstance(draft.error, RuntimeError) for draft in bad)


@pytest.mark.parametrize("where", ["put", "step", "sample", "go_on"])
def test_after_a_step_that_failed_the_engine_serves_on(
    runtime: Runtime, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lack of memory in any part of a step: those in it are told, and no text is wrong."""
    engine = Engine(runtime, num_slots=2)
    owner: Any = {
        "put": engine._slots.batch,
        "step": engine._slots.batch,
        "sample": engine_module,
        "go_on": engine._slots,
    }[where]
    whole = getattr(owner, where)
    calls: list[int] = []

    def failing_once(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise MemoryError("no memory for this step")
        return whole(*arguments, **named)

    monkeypatch.setattr(owner, where, failing_once)
    ended: list[Draft] = []
    drafts = [plain(seed, max_len=20, min_len=20) for seed in range(6)]
    for draft in drafts:
        submit(engine, [draft], on_end=ended.append)
    with pytest.raises(MemoryError):
        finish(engine)
    finish(engine)
    assert sorted(map(id, ended)) == sorted(map(id, drafts))
    failed = [draft for draft in drafts if draft.error is not None]
    assert 1 <= len(failed) <= 2
    for seed, draft in enumerate(drafts):
        if draft not in failed:
            assert draft.ids == alone(runtime, plain(seed, max_len=20, min_len=20))


def test_unknown_is_never_generated_and_nothing_is_empty(runtime: Runtime) -> None:
    engine = Engine(runtime, num_slots=64)
    drafts = [
        Draft(
            np.array([], dtype=np.int64),
            seed=seed,
            settings=GenerationSettings(temperature=50.0),
            max_len=50,
        )
        for seed in range(64)
    ]
    for draft in drafts:
        submit(engine, [draft])
    finish(engine)
    used = {id_ for draft in drafts for id_ in draft.ids}
    assert not used & {UNK_ID, EOS_ID}
    assert all(draft.ids for draft in drafts)
