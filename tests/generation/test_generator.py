from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorelm.bundle import Bundle
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID
from lorelm.generation.generator import GeneratedIds, generate_ids
from lorelm.runtime.base import Runtime, State
from lorelm.sampling import SamplingSettings


@pytest.fixture(scope="module")
def runtime(tiny_bundle: Path) -> Runtime:
    return Bundle.load(tiny_bundle).runtime()


def generated(
    runtime: Runtime,
    seeds: list[int],
    *,
    prompt: list[int] | None = None,
    max_len: int = 30,
    **settings: float,
) -> list[GeneratedIds]:
    return generate_ids(
        runtime,
        np.array(prompt or [], dtype=np.int64),
        settings=SamplingSettings(**settings),
        seeds=seeds,
        max_len=max_len,
        is_stopped=lambda ids: False,
    )


def test_greedy_is_the_argmax_chain(runtime: Runtime) -> None:
    [sample] = generated(runtime, [0], prompt=[2, 5], max_len=12, temperature=0)
    state = State.zeros(runtime.config, 1)
    for id_ in (EOS_ID, 2, 5):
        logits_BV, state = runtime.step(np.array([id_]), state)
    expected: list[int] = []
    while len(expected) < 12:
        logits_BV[0, UNK_ID] = -np.inf
        if not expected:
            logits_BV[0, EOS_ID] = -np.inf
        best = int(logits_BV[0].argmax())
        if best == EOS_ID:
            break
        expected.append(best)
        logits_BV, state = runtime.step(np.array([best]), state)
    assert sample.ids == expected


@settings(max_examples=25)
@given(seeds=st.lists(st.integers(0, 2**53), min_size=2, max_size=12), wild=st.booleans())
def test_a_sample_is_the_same_alone_and_among_others(
    runtime: Runtime, seeds: list[int], wild: bool
) -> None:
    temperature = 3.0 if wild else 0.8
    together = generated(runtime, seeds, prompt=[4], temperature=temperature)
    for sample, seed in zip(together, seeds, strict=True):
        assert generated(runtime, [seed], prompt=[4], temperature=temperature) == [sample]


def test_unknown_is_never_generated_and_a_sample_has_a_token(runtime: Runtime) -> None:
    samples = generated(runtime, list(range(64)), temperature=50.0, max_len=100)
    used = {id_ for sample in samples for id_ in sample.ids}
    assert UNK_ID not in used
    assert EOS_ID not in used
    assert len(used) > runtime.config.vocabulary_size * 0.9
    assert all(sample.ids for sample in samples)


def test_the_reason_says_why_it_ended(runtime: Runtime) -> None:
    samples = generated(runtime, list(range(40)), max_len=9)
    reasons = {sample.finish_reason for sample in samples}
    assert reasons == {"eos", "length"}
    for sample in samples:
        assert (sample.finish_reason == "length") == (len(sample.ids) == 9) or len(sample.ids) < 9
        assert len(sample.ids) <= 9


def test_a_stop_ends_one_sample_and_not_the_others(runtime: Runtime) -> None:
    free = generated(runtime, [1, 2, 3], temperature=1.5)
    stopped_id = free[1].ids[1]

    def is_stopped(ids: list[int]) -> bool:
        return ids[-1] == stopped_id

    samples = generate_ids(
        runtime,
        np.array([], dtype=np.int64),
        settings=SamplingSettings(temperature=1.5),
        seeds=[1, 2, 3],
        max_len=30,
        is_stopped=is_stopped,
    )
    assert samples[1].finish_reason == "stop"
    for sample, whole in zip(samples, free, strict=True):
        end = whole.ids.index(stopped_id) + 1 if stopped_id in whole.ids else len(whole.ids)
        assert sample.ids == whole.ids[:end]


def test_a_penalty_of_its_own_words_makes_a_text_repeat_less(runtime: Runtime) -> None:
    def repeated(penalty: float) -> int:
        samples = generated(
            runtime, list(range(30)), temperature=1.0, repetition_penalty=penalty, max_len=25
        )
        return sum(len(s.ids) - len(set(s.ids)) for s in samples)

    assert repeated(10.0) < 0.5 * repeated(1.0)
