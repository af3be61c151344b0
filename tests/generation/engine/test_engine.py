"""The engine against the plain generator, whatever joins or leaves."""

import gc
import time
import weakref
from collections import abc
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.errors import raises_code
from tests.generation.sequences import generated, request_of

import lorelm
from lorelm.bundle import Bundle
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID
from lorelm.errors import OverloadedError
from lorelm.generation.engine import engine as engine_module
from lorelm.generation.engine.engine import Engine
from lorelm.generation.generator import generate
from lorelm.generation.handle import RequestHandle
from lorelm.generation.language_model import LanguageModel
from lorelm.generation.logits import Mixture
from lorelm.generation.sequence import GenerationRequest, Sequence
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runtime.base import Batch, Runtime, State
from lorelm.runtime.torch_runtime import TorchRuntime
from lorelm.typing import Floats32, Ids

VOCABULARY_SIZE = 40


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


@pytest.fixture(scope="module")
def runtimes(bundle: Bundle) -> dict[str, Runtime]:
    network = LSTMLanguageModel(bundle.manifest.model)
    network.load_state_dict({name: torch.from_numpy(w) for name, w in bundle.weights().items()})
    return {
        "int8": bundle.runtime(),
        "float32": bundle.runtime("float32"),
        "neural cache": bundle.runtime(cache=True),
        "PyTorch": TorchRuntime(network),
    }


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> LanguageModel:
    return lorelm.load(tiny_bundle)


@pytest.fixture(scope="module")
def models(
    runtimes: dict[str, Runtime], bundle: Bundle, model: LanguageModel
) -> dict[str, "Models"]:
    return {name: Models(runtime, bundle, model) for name, runtime in runtimes.items()}


ids = st.integers(2, VOCABULARY_SIZE - 1)
parameters = st.fixed_dictionaries(
    {
        "prompt": st.lists(ids, max_size=6) | st.lists(ids, min_size=62),
        "num_samples": st.integers(1, 3),
        "seed": st.integers(0, 2**52),
        "max_len": st.integers(0, 131),
        "min_len": st.integers(1, 4),
        "stop_ids": st.lists(ids, max_size=2),
        "banned_ids": st.lists(ids, max_size=3),
        "logit_bias": st.dictionaries(ids, st.floats(-3, 3), max_size=2),
        "novel_span": st.sampled_from([0, 0, 3, 5]),
        "must_contain": st.sampled_from([[], [], ["fox"], ["mill, owl"]]),
        "memory": st.none() | st.sampled_from(["The mole Aragast was singing at the barn."]),
        "mixture": st.booleans(),
        "num_alternatives": st.none() | st.integers(0, 3),
        "score_prompt": st.booleans(),
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


class Models:
    """The models of one runtime: with and without a mixture, reading an `<eos>` first or not."""

    def __init__(self, runtime: Runtime, bundle: Bundle, model: LanguageModel) -> None:
        self.runtime = runtime
        self._words = [model.tokenizer.piece(word, None) for word in bundle.vocabulary.words]
        self._models = {
            (has_mixture, reads_eos_first): LanguageModel(
                runtime,
                bundle.tokenizer,
                bundle.vocabulary,
                index=model._index,
                mixture=Mixture(*bundle.ngram()) if has_mixture else None,
                reads_eos_first=reads_eos_first,
            )
            for has_mixture in (False, True)
            for reads_eos_first in (False, True)
        }

    def model(self, asked: dict[str, Any]) -> LanguageModel:
        return self._models[asked["mixture"], asked["reads_eos_first"]]

    def request(self, asked: dict[str, Any]) -> GenerationRequest:
        max_len = asked["max_len"]
        names = ("num_samples", "seed", "logit_bias", "novel_span", "num_alternatives")
        if max_len:
            names += ("must_contain", "memory")
        # A word that is required and banned at once is refused.
        required = ", ".join(asked["must_contain"])
        banned = [self._words[id_] for id_ in asked["banned_ids"]]
        return request_of(
            self.model(asked),
            asked["prompt"],
            max_len=max_len,
            min_len=min(asked["min_len"], max(max_len, 1)),
            stop=[self._words[id_] for id_ in asked["stop_ids"]],
            banned_words=[word for word in banned if word not in required.split(", ")],
            score_prompt=asked["score_prompt"],
            **{name: asked[name] for name in names},
            **asked["sampling"],
        )


def handle_of(
    engine: Engine, *requests: GenerationRequest, is_streamed: bool = False
) -> RequestHandle:
    return RequestHandle(requests, cancel=engine.cancel, is_streamed=is_streamed)


def submit(engine: Engine, *requests: GenerationRequest, **options: Any) -> RequestHandle:
    handle = handle_of(engine, *requests, **options)
    engine.submit(handle)
    return handle


def run_in(engine: Engine, requests: abc.Sequence[GenerationRequest]) -> None:
    submit(engine, *requests)
    finish(engine)


def run_alone(runtime: Runtime, requests: abc.Sequence[GenerationRequest]) -> None:
    for sequence in [sequence for request in requests for sequence in request.sequences]:
        generate(runtime, sequence)


def finish(engine: Engine) -> None:
    for _ in range(10_000):
        if engine.is_idle:
            return
        engine.step()
    pytest.fail("the engine does not come to an end")


@pytest.mark.parametrize(
    "name", ["int8", "float32", pytest.param("neural cache", marks=pytest.mark.slow)]
)
@given(wanted=st.lists(parameters, min_size=1, max_size=8), num_slots=st.integers(1, 6))
@settings(max_examples=8)
def test_texts_are_those_of_the_plain_generator(
    models: dict[str, "Models"], name: str, wanted: list[dict[str, Any]], num_slots: int
) -> None:
    compare_with_generator(models[name], wanted, num_slots)


@pytest.mark.system
@given(wanted=st.lists(parameters, min_size=1, max_size=4), num_slots=st.integers(1, 6))
@settings(max_examples=5)  # its step takes twenty times as long
def test_texts_of_pytorch_are_those_of_the_plain_generator(
    models: dict[str, "Models"], wanted: list[dict[str, Any]], num_slots: int
) -> None:
    compare_with_generator(models["PyTorch"], wanted, num_slots)


def compare_with_generator(models: "Models", wanted: list[dict[str, Any]], num_slots: int) -> None:
    """Write what is wanted with an engine, then each sequence alone."""
    runtime = models.runtime
    engine = Engine(runtime, num_slots=num_slots, max_waiting=100)
    requests = [models.request(asked) for asked in wanted]
    for asked, request in zip(wanted, requests, strict=True):
        models.model(asked).prepare(request, partial(run_in, Engine(runtime, num_slots=5)))
    handles: dict[int, RequestHandle] = {}
    last = max(asked["joins_after"] + (asked["leaves_after"] or 0) for asked in wanted)
    for step in range(last + 1):
        for number, asked in enumerate(wanted):
            if step == asked["joins_after"]:
                options = {"is_streamed": asked["is_streamed"]}
                handles[number] = submit(engine, requests[number], **options)
            if asked["leaves_after"] is not None and step == sum(
                asked[key] for key in ("joins_after", "leaves_after")
            ):
                engine.cancel(handles[number])
        engine.step()
    finish(engine)
    for asked, request in zip(wanted, requests, strict=True):
        expected_request = models.request(asked)
        models.model(asked).prepare(expected_request, partial(run_alone, runtime))
        assert len(request.sequences) == asked["num_samples"]
        for sequence, expected in zip(request.sequences, expected_request.sequences, strict=True):
            generate(runtime, expected)
            if sequence.status == "cancelled":
                assert sequence.ids == expected.ids[: len(sequence.ids)]
                continue
            assert sequence.status == expected.status
            assert sequence.token_ids == expected.token_ids
            assert sequence.scores == expected.scores
            assert sequence.prompt_scores == expected.prompt_scores
            assert sequence.text() == expected.text()


def plain(
    model: LanguageModel,
    seed: int,
    prompt: list[int] | None = None,
    max_len: int = 30,
    **options: Any,
) -> GenerationRequest:
    options = {"temperature": 1.0} | options
    return request_of(model, prompt or [], seed=seed, max_len=max_len, **options)


def alone(
    model: LanguageModel, seed: int, prompt: list[int] | None = None, **options: Any
) -> list[int]:
    options = {"temperature": 1.0, "max_len": 30} | options
    return generated(model, prompt or [], seed=seed, **options).ids


def exactly(length: int) -> dict[str, int]:
    return {"max_len": length, "min_len": length}


def sequences_of(requests: list[GenerationRequest]) -> list[Sequence]:
    return [sequence for request in requests for sequence in request.sequences]


def test_sixty_four_together_are_as_each_alone(model: LanguageModel) -> None:
    engine = Engine(model.runtime, num_slots=64)
    requests = [plain(model, seed, [2 + seed % 9] * (seed % 5)) for seed in range(64)]
    for request in requests:
        submit(engine, request)
    finish(engine)
    for seed, sequence in enumerate(sequences_of(requests)):
        assert sequence.ids == alone(model, seed, [2 + seed % 9] * (seed % 5))


def test_the_model_is_called_once_a_step_for_all(model: LanguageModel) -> None:
    counted = CountingRuntime(model.runtime)
    engine = Engine(counted, num_slots=64)
    for seed in range(50):
        submit(engine, plain(model, seed, **exactly(20)))
    finish(engine)
    assert counted.rows == [50] * 20


def test_a_long_prompt_does_not_stall_the_others(model: LanguageModel) -> None:
    engine = Engine(model.runtime, num_slots=4)
    long, short = plain(model, 1, [3] * 500), plain(model, 2, [4], **exactly(10))
    submit(engine, long)
    for _ in range(5):
        engine.step()
    submit(engine, short)
    for _ in range(2 + 10):
        engine.step()
    assert short.sequences[0].num_tokens == 10
    assert long.sequences[0].is_reading


def test_the_prompt_of_several_samples_is_read_once(model: LanguageModel) -> None:
    counted = CountingRuntime(model.runtime)
    engine = Engine(counted, num_slots=16)
    prompt = list(range(2, 30))
    request = plain(model, 0, prompt, **exactly(5), num_samples=8)
    submit(engine, request)
    finish(engine)
    assert sum(counted.rows) == len(prompt) + 8 * 5
    for seed, sequence in enumerate(request.sequences):
        assert sequence.ids == alone(model, seed, prompt, **exactly(5))


def test_siblings_that_may_not_start_yet_refuse_no_client(model: LanguageModel) -> None:
    engine = Engine(model.runtime, num_slots=8, max_waiting=1)
    large = plain(model, 0, [5] * 100, **exactly(5), num_samples=2)
    small = plain(model, 9, **exactly(5))
    submit(engine, large)
    engine.step()
    assert (engine.num_running, engine.num_waiting) == (1, 0)
    submit(engine, small)
    engine.step()
    assert (engine.num_running, engine.num_waiting) == (2, 0)
    finish(engine)
    assert {sequence.status for sequence in large.sequences} == {"length"}
    assert small.sequences[0].ids == alone(model, 9, **exactly(5))


def test_siblings_read_the_prompt_themselves_if_the_first_fails(model: LanguageModel) -> None:
    runtime = CountingRuntime(model.runtime)
    engine = Engine(runtime, num_slots=8)
    request = plain(model, 0, [5, 6, 7], **exactly(5), num_samples=3)
    submit(engine, request)
    runtime.on_step = failing
    with pytest.raises(RuntimeError):
        engine.step()
    runtime.on_step = lambda: None
    finish(engine)
    assert [sequence.status for sequence in request.sequences] == ["error", "length", "length"]
    for seed in (1, 2):
        assert request.sequences[seed].ids == alone(model, seed, [5, 6, 7], **exactly(5))


@pytest.mark.parametrize("end", ["deadline", "abort"])
def test_siblings_end_with_a_first_that_still_reads(model: LanguageModel, end: str) -> None:
    counted = CountingRuntime(model.runtime)
    engine = Engine(counted, num_slots=1)
    deadline = time.monotonic() + (0.2 if end == "deadline" else 60)
    requests = [plain(model, 0, [5] * 100_000, num_samples=3, deadline=deadline) for _ in range(2)]
    handles = [submit(engine, request) for request in requests]
    engine.step()
    if end == "abort":
        engine.abort(MemoryError())
    finish(engine)
    statuses = {sequence.status for handle in handles for sequence in handle.sequences}
    assert statuses == {"timeout" if end == "deadline" else "error"}
    assert not engine._queue._siblings


def test_a_cancellation_after_the_last_step_is_not_kept(model: LanguageModel) -> None:
    engine = Engine(model.runtime)
    handle = submit(engine, plain(model, 0, max_len=3))
    finish(engine)
    engine.cancel(handle)
    kept = weakref.ref(handle)
    del handle
    finish(engine)
    gc.collect()
    assert kept() is None


def test_siblings_read_the_prompt_themselves_without_a_prefix_cache(model: LanguageModel) -> None:
    engine = Engine(model.runtime, num_slots=16, prefix_cache_bytes=0)
    request = plain(model, 0, [5, 6, 7], **exactly(5), num_samples=3)
    submit(engine, request)
    finish(engine)
    for seed, sequence in enumerate(request.sequences):
        assert sequence.ids == alone(model, seed, [5, 6, 7], **exactly(5))


def test_a_repeated_prompt_has_its_first_token_after_one_step(model: LanguageModel) -> None:
    engine = Engine(model.runtime)
    prompt = list(range(2, 30))
    submit(engine, plain(model, 0, prompt))
    finish(engine)
    again = plain(model, 1, prompt)
    submit(engine, again)
    engine.step()
    assert again.sequences[0].num_tokens == 1
    finish(engine)
    assert again.sequences[0].ids == alone(model, 1, prompt)


def test_the_first_token_is_timed_even_if_nothing_is_streamed(model: LanguageModel) -> None:
    engine = Engine(model.runtime)
    request = plain(model, 0, [5, 6, 7], **exactly(20))
    handle = submit(engine, request)
    for _ in range(3):  # the `<eos>` at the beginning, and two of the prompt
        engine.step()
    assert handle.seconds_to_first_token is None
    engine.step()
    seconds = handle.seconds_to_first_token
    assert seconds is not None
    assert seconds > 0
    assert not request.sequences[0].is_finished
    finish(engine)
    assert handle.seconds_to_first_token == seconds


def test_the_continuation_of_a_sample_reads_only_what_is_new(model: LanguageModel) -> None:
    engine = Engine(model.runtime)
    first = plain(model, 0, [5, 6, 7], **exactly(20))
    submit(engine, first)
    finish(engine)
    prompt = [5, 6, 7, *first.sequences[0].ids, 9]
    further = plain(model, 1, prompt)
    submit(engine, further)
    engine.step()  # reads the last token of the sample
    engine.step()  # reads the new one
    assert further.sequences[0].num_tokens == 1
    finish(engine)
    assert further.sequences[0].ids == alone(model, 1, prompt)


def test_a_cancelled_request_has_no_slot_after_the_next_step(model: LanguageModel) -> None:
    engine = Engine(model.runtime, num_slots=2)
    cancelled = plain(model, 0, **exactly(1000), num_samples=5)
    handle = submit(engine, cancelled)
    for _ in range(3):
        engine.step()
    waiting = plain(model, 9, **exactly(3))
    submit(engine, waiting)
    engine.cancel(handle)
    engine.step()
    assert (engine.num_running, engine.num_waiting) == (1, 0)
    for _ in range(2):
        engine.step()
    assert waiting.sequences[0].ids == alone(model, 9, **exactly(3))
    assert {sequence.status for sequence in cancelled.sequences} == {"cancelled"}


@pytest.mark.parametrize("num_steps", [0, 3, 30], ids=["waiting", "in its prompt", "writing"])
def test_nothing_is_written_for_a_cancelled_request(model: LanguageModel, num_steps: int) -> None:
    """Nor for its siblings, which wait until the prompt is read."""
    counted = CountingRuntime(model.runtime)
    engine = Engine(counted, num_slots=4)
    request = plain(model, 0, [5] * 20, **exactly(1000), num_samples=9)
    handle = submit(engine, request)
    for _ in range(num_steps):
        engine.step()
    engine.cancel(handle)
    counted.rows.clear()
    engine.step()
    assert engine.is_idle
    assert counted.rows == []
    assert {sequence.status for sequence in request.sequences} == {"cancelled"}


def test_a_request_cancelled_during_a_step_ends_with_the_next(model: LanguageModel) -> None:
    runtime = CountingRuntime(model.runtime)
    engine = Engine(runtime, num_slots=1)
    request = plain(model, 1, **exactly(1000))
    handle = submit(engine, request)
    runtime.on_step = lambda: engine.cancel(handle)
    engine.step()
    runtime.on_step = lambda: None
    engine.step()
    assert engine.is_idle
    assert request.sequences[0].status == "cancelled"
    assert request.sequences[0].ids == alone(model, 1)[:1]


def test_a_full_queue_refuses_and_the_engine_goes_on(model: LanguageModel) -> None:
    engine = Engine(model.runtime, num_slots=1, max_waiting=2)
    requests = [plain(model, seed, max_len=5) for seed in range(3)]
    submit(engine, requests[0])
    engine.step()
    submit(engine, requests[1])
    submit(engine, requests[2])
    with raises_code(OverloadedError, "engine.overloaded"):
        submit(engine, plain(model, 4))
    finish(engine)
    for seed, sequence in enumerate(sequences_of(requests)):
        assert sequence.ids == alone(model, seed, max_len=5)


def test_a_sequence_ends_at_its_deadline_running_or_waiting(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(engine_module, "time", SimpleNamespace(monotonic=lambda: now))
    engine = Engine(model.runtime, num_slots=1)
    running = plain(model, 1, **exactly(10_000), deadline=3)
    waiting = plain(model, 2, deadline=1)
    cancelled, other = plain(model, 3), plain(model, 4)
    requests = [running, waiting, cancelled, other]
    handles = [submit(engine, request) for request in requests]

    def statuses() -> list[str]:
        return [request.sequences[0].status for request in requests]

    engine.step()
    engine.cancel(handles[2])
    engine.step()
    assert statuses() == ["running", "waiting", "cancelled", "waiting"]
    assert engine.num_waiting == 2
    now = 2.0
    engine.step()
    assert statuses() == ["running", "timeout", "cancelled", "waiting"]
    now = 4.0
    engine.step()
    assert statuses() == ["timeout", "timeout", "cancelled", "running"]
    finish(engine)
    written = running.sequences[0].ids
    assert 0 < len(written) < 10
    assert written == alone(model, 1, **exactly(10))[: len(written)]
    assert other.sequences[0].ids == alone(model, 4)


def test_ids_of_the_prompt_do_not_count_as_written_at_the_deadline(model: LanguageModel) -> None:
    engine = Engine(model.runtime)
    request = plain(model, 1, [3] * 100_000, deadline=time.monotonic() + 0.05)
    submit(engine, request)
    finish(engine)
    assert request.sequences[0].status == "timeout"
    assert request.sequences[0].ids == []


def test_clients_take_turns(model: LanguageModel) -> None:
    """One with many samples and prompts does not hold up another."""
    engine = Engine(model.runtime, num_slots=2)
    large = [plain(model, 0, [4, last], **exactly(5), num_samples=20) for last in range(2, 5)]
    small = plain(model, 7, **exactly(5))
    submit(engine, *large)
    engine.step()
    submit(engine, small)
    num_finished = 0
    while not small.sequences[0].is_finished:
        engine.step()
        num_finished = sum(sequence.is_finished for sequence in sequences_of(large))
    assert num_finished <= 3
    finish(engine)
    for request, last in zip(large, range(2, 5), strict=True):
        for seed, sequence in enumerate(request.sequences):
            assert sequence.ids == alone(model, seed, [4, last], **exactly(5))


class CountingRuntime(Runtime):
    """A real runtime that counts the rows of each step.

    Attributes:
        on_step: called in each step.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.config = runtime.config
        self.rows: list[int] = []
        self.on_step: Any = lambda: None

    def step(self, ids_B: Ids, state: State) -> tuple[Floats32, State]:
        self.rows.append(len(ids_B))
        self.on_step()
        return self._runtime.step(ids_B, state)


def failing(*_arguments: object) -> Any:
    raise RuntimeError("a fault of this request")


@pytest.mark.parametrize("fault", ["mixture", "mixture while reading", "processor", "detokenizer"])
def test_a_fault_of_one_request_touches_no_other(model: LanguageModel, fault: str) -> None:
    engine = Engine(model.runtime, num_slots=8)
    good = [plain(model, seed, [4, 5]) for seed in range(3)]
    bad = plain(model, 10, [4, 5], num_samples=2, score_prompt=fault.endswith("reading"))
    for sequence in bad.sequences:
        if fault.startswith("mixture"):
            sequence.mixture = failing
        elif fault == "processor":
            sequence.processors = [failing]
        else:
            sequence.has_stop = True
            sequence.detokenizer.extend = failing  # type: ignore[method-assign]
    submit(engine, good[0])
    submit(engine, bad)
    submit(engine, *good[1:])
    finish(engine)
    for seed, sequence in enumerate(sequences_of(good)):
        assert sequence.ids == alone(model, seed, [4, 5])
    for sequence in bad.sequences:
        assert sequence.status == "error"
        assert isinstance(sequence.error, RuntimeError)


class FailingBatch(Batch):
    """A batch one of whose methods fails when it is called for the fourth time."""

    def __init__(self, runtime: Runtime, num_texts: int, where: str) -> None:
        super().__init__(runtime, num_texts)
        whole = getattr(self, where)
        calls: list[int] = []

        def failing_once(*arguments: Any) -> Any:
            calls.append(1)
            if len(calls) == 4:
                raise MemoryError("no memory for this step")
            return whole(*arguments)

        setattr(self, where, failing_once)


@pytest.mark.parametrize("where", ["put", "step", "state"])
def test_the_engine_serves_on_after_a_step_that_failed(model: LanguageModel, where: str) -> None:
    """A lack of memory in any part of a step ends the sequences in it, and no text is wrong."""
    runtime: Any = SimpleNamespace(
        config=model.runtime.config,
        initial_state=model.runtime.initial_state,
        batch=lambda num_texts: FailingBatch(model.runtime, num_texts, where),
    )
    engine = Engine(runtime, num_slots=2)
    requests = [plain(model, seed, **exactly(20)) for seed in range(6)]
    for request in requests:
        submit(engine, request)
    with pytest.raises(MemoryError):
        finish(engine)
    finish(engine)
    sequences = sequences_of(requests)
    assert all(sequence.is_finished for sequence in sequences)
    # A sequence that had just finished when its state could not be kept has its text.
    assert sum(sequence.status == "error" for sequence in sequences) <= 2
    if where != "state":
        assert any(sequence.status == "error" for sequence in sequences)
    for seed, sequence in enumerate(sequences):
        if sequence.status != "error":
            assert sequence.ids == alone(model, seed, **exactly(20))


def test_unk_is_never_generated_and_no_sample_is_empty(model: LanguageModel) -> None:
    engine = Engine(model.runtime, num_slots=64)
    requests = [plain(model, seed, max_len=50, temperature=50.0) for seed in range(64)]
    for request in requests:
        submit(engine, request)
    finish(engine)
    used = {id_ for sequence in sequences_of(requests) for id_ in sequence.ids}
    assert not used & {UNK_ID, EOS_ID}
    assert all(sequence.ids for sequence in sequences_of(requests))
