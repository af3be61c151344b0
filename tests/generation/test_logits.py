import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.generation.logits import SpeakerRules, ban_special_tokens, score_tokens

logits = hnp.arrays(np.float32, (3, 7), elements=st.floats(-30, 30, width=16))


def test_a_worked_example() -> None:
    shares = np.array([[0.5, 0.25, 0.125, 0.125]], dtype=np.float32)
    [score] = score_tokens(np.log(shares) + 3, [3], [2])
    assert score.log_probability == pytest.approx(math.log(0.125), abs=1e-6)
    # Id 0 is `<unk>`: it has its probability and is no alternative.
    assert [id_ for id_, _ in score.alternatives] == [1, 2]
    assert [log for _, log in score.alternatives] == pytest.approx(
        [math.log(0.25), math.log(0.125)], abs=1e-6
    )


@given(logits, st.lists(st.integers(0, 6), min_size=3, max_size=3), st.data())
def test_a_row_has_the_scores_that_it_has_alone(
    logits_BV: np.ndarray, ids: list[int], data: st.DataObject
) -> None:
    nums = data.draw(st.lists(st.integers(0, 20), min_size=3, max_size=3))
    together = score_tokens(logits_BV, ids, nums)
    for row in range(3):
        [alone] = score_tokens(logits_BV[[row]], [ids[row]], [nums[row]])
        assert together[row].log_probability == alone.log_probability
        found = [log for _, log in together[row].alternatives]
        assert found == [log for _, log in alone.alternatives]
        assert len(found) == min(nums[row], 6)
        assert found == sorted(found, reverse=True)


@given(logits)
def test_all_alternatives_and_the_unknown_word_sum_to_one(logits_BV: np.ndarray) -> None:
    for score in score_tokens(logits_BV, [0, 0, 0], [6, 6, 6]):
        logs = [score.log_probability, *(log for _, log in score.alternatives)]
        assert math.fsum(map(math.exp, logs)) == pytest.approx(1)


def test_scoring_does_not_change_the_logits() -> None:
    logits_BV = np.arange(8, dtype=np.float32).reshape(2, 4)
    score_tokens(logits_BV, [1, 2], [3, 3])
    assert logits_BV.tolist() == np.arange(8).reshape(2, 4).tolist()


def test_unk_is_banned_and_an_early_eos() -> None:
    logits_BV = np.arange(8, dtype=np.float32).reshape(2, 4)
    ban_special_tokens(logits_BV, [1])
    assert logits_BV.tolist() == [[-np.inf, 1, 2, 3], [-np.inf, -np.inf, 6, 7]]


def test_an_early_eos_stays_if_nothing_else_is_left() -> None:
    logits_BV = np.array([[1, 2, -np.inf], [1, 2, 3]], dtype=np.float32)
    ban_special_tokens(logits_BV, [0, 1])
    assert logits_BV.tolist() == [[-np.inf, 2, -np.inf], [-np.inf, -np.inf, 3]]


def test_an_early_eos_is_banned_if_only_the_last_word_is_too() -> None:
    logits_BV = np.array([[1, 2, 3, -np.inf]], dtype=np.float32)
    ban_special_tokens(logits_BV, [0])
    assert logits_BV.tolist() == [[-np.inf, -np.inf, 3, -np.inf]]


def test_what_may_follow_a_speaker_is_what_the_tokenizer_makes_of_texts() -> None:
    text = 'OWL: "No," he (the fox) said.\nFOX: Well-known! (A pause.)'
    tokenizer = make_tokenizer("words").with_speakers(["OWL", "FOX"])
    words = [*dict.fromkeys(tokenizer.tokenize(text))]
    vocabulary = Vocabulary(["<unk>", "<eos>", *words])
    rules = SpeakerRules(vocabulary)
    logits_V = np.zeros(len(vocabulary), dtype=np.float32)

    def allowed_after(word: str) -> set[str]:
        ids = vocabulary.encode(["<eos>", word]).tolist()
        sequence = SimpleNamespace(token_ids=ids)
        return {vocabulary.words[id_] for id_ in np.flatnonzero(rules(logits_V, sequence) == 0)}

    after = allowed_after("<speaker OWL>")
    assert {'"￭', "(￭", "No", "Well"} <= after
    assert after.isdisjoint({"￭,", '￭"', "￭)", "￭-￭", "￭!", "\n", "<eos>", "<speaker FOX>"})
    assert allowed_after("No") == set(vocabulary.words)
