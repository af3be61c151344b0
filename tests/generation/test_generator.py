from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.generation.sequences import generated, request_of

import lorelm
from lorelm.bundle import Bundle
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID
from lorelm.generation.generator import generate
from lorelm.runtime.base import Runtime, State


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(tiny_bundle)


@pytest.fixture(scope="module")
def foreign(tiny_bundle: Path) -> lorelm.LanguageModel:
    """The same model, but it reads no `<eos>` before a prompt."""
    bundle = Bundle.load(tiny_bundle)
    return lorelm.LanguageModel(
        bundle.runtime(), bundle.tokenizer, bundle.vocabulary, reads_eos_first=False
    )


def logits_after(runtime: Runtime, ids: list[int], *, first: int = EOS_ID) -> np.ndarray:
    state = State.zeros(runtime.config, 1)
    for id_ in (first, *ids):
        logits_BV, state = runtime.step(np.array([id_]), state)
    return logits_BV[0]


def test_greedy_is_the_argmax_chain(model: lorelm.LanguageModel) -> None:
    sequence = generated(model, [2, 5], max_len=12, temperature=0)
    expected: list[int] = []
    while len(expected) < 12:
        logits_V = logits_after(model.runtime, [2, 5, *expected])
        logits_V[UNK_ID] = -np.inf
        if not expected:
            logits_V[EOS_ID] = -np.inf
        best = int(logits_V.argmax())
        if best == EOS_ID:
            break
        expected.append(best)
    assert sequence.ids == expected


def test_a_seed_gives_one_sample_and_another_seed_another(model: lorelm.LanguageModel) -> None:
    texts = [tuple(generated(model, [4], seed=seed).ids) for seed in (1, 2, 1)]
    assert texts[0] == texts[2] != texts[1]


def test_unk_is_never_generated_and_a_sample_has_a_token(model: lorelm.LanguageModel) -> None:
    sequences = [generated(model, seed=seed, temperature=50.0, max_len=100) for seed in range(64)]
    used = {id_ for sequence in sequences for id_ in sequence.ids}
    assert UNK_ID not in used
    assert EOS_ID not in used
    assert len(used) > model.runtime.config.vocabulary_size * 0.9
    assert all(sequence.ids for sequence in sequences)


def test_the_status_says_why_it_ended(model: lorelm.LanguageModel) -> None:
    sequences = [generated(model, seed=seed, max_len=9) for seed in range(40)]
    assert {sequence.status for sequence in sequences} == {"eos", "length"}
    for sequence in sequences:
        assert sequence.is_finished
        assert sequence.finish_reason == sequence.status
        assert len(sequence.ids) == 9 or sequence.status == "eos"
        assert len(sequence.ids) <= 9


def test_the_status_changes_once(model: lorelm.LanguageModel) -> None:
    [sequence] = request_of(model, [4]).sequences
    assert (sequence.status, sequence.finish_reason, sequence.is_finished) == (
        "waiting",
        None,
        False,
    )
    sequence.finish("error", MemoryError())
    assert (sequence.status, sequence.finish_reason, sequence.is_finished) == ("error", None, True)
    sequence.finish("cancelled")
    assert sequence.status == "error"
    [other] = request_of(model, [4]).sequences
    other.finish("timeout")
    other.finish("error", MemoryError())
    assert (other.status, other.error) == ("timeout", None)


def test_a_stop_text_ends_the_sample_where_it_comes_up(model: lorelm.LanguageModel) -> None:
    samples = {seed: generated(model, seed=seed, temperature=1.5) for seed in range(20)}
    seed, free = next(each for each in samples.items() if len(each[1].ids) > 3)
    word = model.vocabulary.words[free.ids[3]]
    stopped = generated(model, seed=seed, temperature=1.5, stop=[word])
    assert stopped.finish_reason == "stop"
    assert len(stopped.ids) <= 4
    assert stopped.ids == free.ids[: len(stopped.ids)]
    assert stopped.text() == free.text()[: free.text().index(word)]


@pytest.mark.parametrize("stop", [[], ["th", "ow"], ["never comes up"]])
def test_each_token_is_detokenized_once(
    foreign: lorelm.LanguageModel, stop: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever looks at the text: the stop texts, a stream, the sample, its tokens."""
    model = foreign  # It has no index of copies, for which the prompt is detokenized.
    calls: list[str] = []
    piece = type(model.tokenizer).piece

    def counted(self: Any, token: str, previous: str | None) -> str:
        calls.append(token)
        return piece(self, token, previous)

    request = request_of(model, [4, 9], seed=3, stop=stop)
    [sequence] = request.sequences
    monkeypatch.setattr(type(model.tokenizer), "piece", counted)
    generate(model.runtime, sequence)
    for _ in range(2):
        sequence.detokenize()
        model.sample(sequence)
    assert calls == [model.vocabulary.words[id_] for id_ in sequence.ids]


def test_a_sample_does_not_end_before_its_minimum_length(model: lorelm.LanguageModel) -> None:
    lengths = [
        len(generated(model, seed=seed, min_len=12, max_len=40, temperature=1.0).ids)
        for seed in range(30)
    ]
    assert min(lengths) >= 12
    assert len(set(lengths)) > 3


def test_the_sample_ends_early_if_no_word_is_left(model: lorelm.LanguageModel) -> None:
    def only_eos(logits_V: np.ndarray, _sequence: object) -> np.ndarray:
        return np.where(np.arange(len(logits_V)) == EOS_ID, logits_V, -np.inf).astype(np.float32)

    [sequence] = request_of(model, min_len=5).sequences
    sequence.processors = [only_eos]
    generate(model.runtime, sequence)
    assert (sequence.ids, sequence.finish_reason) == ([], "eos")


def test_penalties_make_a_text_repeat_less(model: lorelm.LanguageModel) -> None:
    def repeated(**penalty: float) -> int:
        sequences = [
            generated(model, seed=seed, max_len=25, min_len=25, temperature=1.0, **penalty)
            for seed in range(30)
        ]
        return sum(len(sequence.ids) - len(set(sequence.ids)) for sequence in sequences)

    free = repeated()
    for penalty in ({"repetition_penalty": 10.0}, {"presence_penalty": 2.0}):
        assert repeated(**penalty) < 0.8 * free
    assert repeated(frequency_penalty=-2.0) > free


def test_scores_are_those_of_the_model_whatever_the_settings(model: lorelm.LanguageModel) -> None:
    sequence = generated(
        model,
        [4, 9],
        seed=3,
        num_alternatives=3,
        score_prompt=True,
        temperature=3.0,
        repetition_penalty=2.0,
        top_k=5,
        max_len=8,
    )
    scores = [*sequence.prompt_scores, *sequence.scores]
    ids = [4, 9, *sequence.ids]
    assert len(scores) == len(ids)
    for place, (id_, score) in enumerate(zip(ids, scores, strict=True)):
        logits_V = logits_after(model.runtime, ids[:place]).astype(np.float64)
        expected_V = logits_V - np.log(np.exp(logits_V).sum())
        assert score.log_probability == pytest.approx(expected_V[id_], abs=1e-6)
        expected_V[UNK_ID] = -np.inf
        likeliest = np.argsort(-expected_V)[:3]
        assert score.ids == likeliest.tolist()
        assert score.log_probabilities == pytest.approx(expected_V[likeliest])


def test_a_scoring_request_only_reads_the_prompt(model: lorelm.LanguageModel) -> None:
    sequence = generated(model, [4, 9, 7], max_len=0, num_alternatives=0)
    assert (sequence.ids, sequence.finish_reason) == ([], "length")
    assert len(sequence.prompt_scores) == 3
    assert sequence.prompt_scores[0].ids == []


def test_a_prompt_may_be_read_without_an_eos_before_it(
    model: lorelm.LanguageModel, foreign: lorelm.LanguageModel
) -> None:
    settings = {"max_len": 12, "min_len": 12, "temperature": 0}
    sequence = generated(foreign, [4, 9, 7], **settings)
    for place, id_ in enumerate(sequence.ids):
        logits_V = logits_after(model.runtime, [9, 7, *sequence.ids[:place]], first=4)
        logits_V[[UNK_ID, EOS_ID]] = -np.inf
        assert id_ == int(logits_V.argmax())
    assert sequence.token_ids == [4, 9, 7, *sequence.ids]
    assert sequence.ids != generated(model, [4, 9, 7], **settings).ids


def test_an_empty_prompt_is_always_read_as_an_eos(
    model: lorelm.LanguageModel, foreign: lorelm.LanguageModel
) -> None:
    one, two = (generated(each, seed=5) for each in (model, foreign))
    assert one.ids == two.ids
    assert two.token_ids[:1] == [EOS_ID]


@pytest.mark.parametrize("prompt", [[4], [4, 9, 7]])
def test_the_first_id_that_is_read_has_no_score(
    foreign: lorelm.LanguageModel, prompt: list[int]
) -> None:
    settings = {"seed": 1, "max_len": 5, "num_alternatives": 0}
    plain = generated(foreign, prompt, **settings)
    sequence = generated(foreign, prompt, score_prompt=True, **settings)
    assert sequence.ids == plain.ids
    assert not sequence.lacks_prompt_scores
    scores = [*sequence.prompt_scores, *sequence.scores]
    ids = [*prompt[1:], *sequence.ids]
    assert len(scores) == len(ids)
    for place, (id_, score) in enumerate(zip(ids, scores, strict=True)):
        logits_V = logits_after(foreign.runtime, ids[:place], first=prompt[0]).astype(np.float64)
        expected_V = logits_V - np.log(np.exp(logits_V).sum())
        assert score.log_probability == pytest.approx(expected_V[id_], abs=1e-6)


def test_a_penalty_counts_the_whole_prompt_and_nothing_else(foreign: lorelm.LanguageModel) -> None:
    # A penalty below 1 makes the tokens of the prompt likelier.
    settings = {"max_len": 1, "temperature": 0, "repetition_penalty": 0.5}
    written_ids = set()
    for first in range(2, foreign.runtime.config.vocabulary_size):
        for prompt in ([first, second] for second in range(2, 12)):
            [id_] = generated(foreign, prompt, **settings).ids
            logits_V = logits_after(foreign.runtime, prompt[1:], first=first)
            logits_V[[UNK_ID, EOS_ID]] = -np.inf
            is_free = id_ == int(logits_V.argmax())
            factors = np.where(logits_V[prompt] > 0, np.float32(2), np.float32(0.5))
            logits_V[prompt] *= factors
            assert id_ == int(logits_V.argmax())
            written_ids.add("free" if is_free else "first" if id_ == first else "second")
    assert written_ids == {"free", "first", "second"}
