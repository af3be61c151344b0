from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lorelm.bundle import Bundle
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID
from lorelm.generation.draft import Draft
from lorelm.generation.generator import write
from lorelm.generation.settings import GenerationSettings
from lorelm.runtime.base import Runtime, State


@pytest.fixture(scope="module")
def runtime(tiny_bundle: Path) -> Runtime:
    return Bundle.load(tiny_bundle).runtime()


def written(
    runtime: Runtime,
    seed: int = 0,
    *,
    prompt: list[int] | None = None,
    sampling: dict[str, Any] | None = None,
    **arguments: Any,
) -> Draft:
    draft = Draft(
        np.array(prompt or [], dtype=np.int64),
        seed=seed,
        settings=GenerationSettings(**(sampling or {})),
        **({"max_len": 30} | arguments),
    )
    write(runtime, draft)
    return draft


def logits_after(runtime: Runtime, ids: list[int], *, first: int = EOS_ID) -> np.ndarray:
    state = State.zeros(runtime.config, 1)
    for id_ in (first, *ids):
        logits_BV, state = runtime.step(np.array([id_]), state)
    return logits_BV[0]


def test_greedy_is_the_argmax_chain(runtime: Runtime) -> None:
    draft = written(runtime, prompt=[2, 5], max_len=12, sampling={"temperature": 0})
    expected: list[int] = []
    while len(expected) < 12:
        logits_V = logits_after(runtime, [2, 5, *expected])
        logits_V[UNK_ID] = -np.inf
        if not expected:
            logits_V[EOS_ID] = -np.inf
        best = int(logits_V.argmax())
        if best == EOS_ID:
            break
        expected.append(best)
    assert draft.ids == expected


def test_a_seed_gives_a_sample_and_another_one_another(runtime: Runtime) -> None:
    texts = [tuple(written(runtime, seed, prompt=[4]).ids) for seed in (1, 2, 3, 1)]
    assert texts[0] == texts[3]
    assert len(set(texts)) == 3


def test_unknown_is_never_generated_and_a_sample_has_a_token(runtime: Runtime) -> None:
    drafts = [
        written(runtime, seed, sampling={"temperature": 50.0}, max_len=100) for seed in range(64)
    ]
    used = {id_ for draft in drafts for id_ in draft.ids}
    assert UNK_ID not in used
    assert EOS_ID not in used
    assert len(used) > runtime.config.vocabulary_size * 0.9
    assert all(draft.ids for draft in drafts)


def test_the_reason_says_why_it_ended(runtime: Runtime) -> None:
    drafts = [written(runtime, seed, max_len=9) for seed in range(40)]
    assert {draft.finish_reason for draft in drafts} == {"eos", "length"}
    for draft in drafts:
        assert (draft.finish_reason == "length") == (len(draft.ids) == 9) or len(draft.ids) < 9
        assert len(draft.ids) <= 9


def test_a_stop_ends_the_sample_where_it_comes_up(runtime: Runtime) -> None:
    free = written(runtime, 1, sampling={"temperature": 1.5})
    stopped = written(
        runtime, 1, sampling={"temperature": 1.5}, is_stopped=lambda id_: id_ == free.ids[3]
    )
    assert stopped.finish_reason == "stop"
    assert stopped.ids == free.ids[: free.ids.index(free.ids[3]) + 1]


def test_a_sample_does_not_end_before_its_least_length(runtime: Runtime) -> None:
    lengths = [
        len(written(runtime, seed, min_len=12, max_len=40, sampling={"temperature": 1.0}).ids)
        for seed in range(30)
    ]
    assert min(lengths) >= 12
    assert len(set(lengths)) > 3


def test_where_no_word_is_left_the_sample_ends(runtime: Runtime) -> None:
    def only_the_end(logits_V: np.ndarray, _ids: object) -> np.ndarray:
        return np.where(np.arange(len(logits_V)) == EOS_ID, logits_V, -np.inf).astype(np.float32)

    draft = written(runtime, min_len=5, limits=[only_the_end])
    assert (draft.ids, draft.finish_reason) == ([], "eos")


def test_a_penalty_of_its_own_words_makes_a_text_repeat_less(runtime: Runtime) -> None:
    def repeated(**sampling: float) -> int:
        drafts = [
            written(runtime, seed, max_len=25, min_len=25, sampling={"temperature": 1.0} | sampling)
            for seed in range(30)
        ]
        return sum(len(draft.ids) - len(set(draft.ids)) for draft in drafts)

    free = repeated()
    for penalty in ({"repetition_penalty": 10.0}, {"presence_penalty": 2.0}):
        assert repeated(**penalty) < 0.8 * free
    assert repeated(frequency_penalty=-2.0) > free


def test_scores_are_those_of_the_model_whatever_the_settings(runtime: Runtime) -> None:
    draft = written(
        runtime,
        3,
        prompt=[4, 9],
        num_alternatives=3,
        scores_prompt=True,
        sampling={"temperature": 3.0, "repetition_penalty": 2.0, "top_k": 5},
        max_len=8,
    )
    scores = [*draft.prompt_scores, *draft.scores]
    ids = [4, 9, *draft.ids]
    assert len(scores) == len(ids)
    for place, (id_, score) in enumerate(zip(ids, scores, strict=True)):
        logits_V = logits_after(runtime, ids[:place]).astype(np.float64)
        expected_V = logits_V - np.log(np.exp(logits_V).sum())
        assert score.log_probability == pytest.approx(expected_V[id_], abs=1e-6)
        expected_V[UNK_ID] = -np.inf
        likeliest = np.argsort(-expected_V)[:3]
        assert [id_ for id_, _ in score.alternatives] == likeliest.tolist()
        assert [log for _, log in score.alternatives] == pytest.approx(expected_V[likeliest])


def test_a_prompt_may_only_be_read(runtime: Runtime) -> None:
    draft = written(runtime, prompt=[4, 9, 7], max_len=0, scores_prompt=True, num_alternatives=0)
    assert (draft.ids, draft.finish_reason) == ([], "length")
    assert len(draft.prompt_scores) == 3
    assert draft.prompt_scores[0].alternatives == ()


def test_a_prompt_may_be_read_without_an_eos_before_it(runtime: Runtime) -> None:
    asked = {"max_len": 12, "min_len": 12, "sampling": {"temperature": 0}}
    draft = written(runtime, prompt=[4, 9, 7], reads_eos_first=False, **asked)
    for place, id_ in enumerate(draft.ids):
        logits_V = logits_after(runtime, [9, 7, *draft.ids[:place]], first=4)
        logits_V[[UNK_ID, EOS_ID]] = -np.inf
        assert id_ == int(logits_V.argmax())
    assert list(draft.known_ids) == [4, 9, 7, *draft.ids]
    assert draft.ids != written(runtime, prompt=[4, 9, 7], **asked).ids


def test_an_empty_prompt_is_read_as_an_eos_in_any_case(runtime: Runtime) -> None:
    one, two = (written(runtime, 5, reads_eos_first=reads) for reads in (True, False))
    assert one.ids == two.ids
    assert list(two.known_ids[:1]) == [EOS_ID]
    assert two.num_not_foretold == 0


@pytest.mark.parametrize("prompt", [[4], [4, 9, 7]])
def test_what_nothing_was_read_before_has_no_score(runtime: Runtime, prompt: list[int]) -> None:
    asked = {"reads_eos_first": False, "max_len": 5, "num_alternatives": 0}
    plain = written(runtime, 1, prompt=prompt, **asked)
    draft = written(runtime, 1, prompt=prompt, scores_prompt=True, **asked)
    assert draft.num_not_foretold == 1
    assert draft.ids == plain.ids
    assert not draft.lacks_scores
    scores = [*draft.prompt_scores, *draft.scores]
    ids = [*prompt[1:], *draft.ids]
    assert len(scores) == len(ids)
    for place, (id_, score) in enumerate(zip(ids, scores, strict=True)):
        logits_V = logits_after(runtime, ids[:place], first=prompt[0]).astype(np.float64)
        expected_V = logits_V - np.log(np.exp(logits_V).sum())
        assert score.log_probability == pytest.approx(expected_V[id_], abs=1e-6)


def test_a_penalty_counts_the_whole_prompt_and_nothing_else(runtime: Runtime) -> None:
    sampling = {"temperature": 0, "repetition_penalty": 0.5}  # what is there becomes likelier
    asked = {"reads_eos_first": False, "max_len": 1, "sampling": sampling}
    written_ids = set()
    for first in range(2, runtime.config.vocabulary_size):
        for prompt in ([first, second] for second in range(2, 12)):
            [id_] = written(runtime, prompt=prompt, **asked).ids
            logits_V = logits_after(runtime, prompt[1:], first=first)
            logits_V[[UNK_ID, EOS_ID]] = -np.inf
            is_free = id_ == int(logits_V.argmax())
            factors = np.where(logits_V[prompt] > 0, np.float32(2), np.float32(0.5))
            logits_V[prompt] *= factors
            assert id_ == int(logits_V.argmax())
            written_ids.add("free" if is_free else "first" if id_ == first else "second")
    assert written_ids == {"free", "first", "second"}
