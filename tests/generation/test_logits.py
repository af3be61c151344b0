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
    assert score.ids == [1, 2]
    expected = [math.log(0.25), math.log(0.125)]
    assert score.log_probabilities == pytest.approx(expected, abs=1e-6)


@given(logits, st.lists(st.integers(0, 6), min_size=3, max_size=3), st.data())
def test_a_row_has_the_scores_that_it_has_alone(
    logits_BV: np.ndarray, ids: list[int], data: st.DataObject
) -> None:
    nums = data.draw(st.lists(st.integers(0, 20), min_size=3, max_size=3))
    together = score_tokens(logits_BV, ids, nums)
    for row in range(3):
        [alone] = score_tokens(logits_BV[[row]], [ids[row]], [nums[row]])
        assert together[row].log_probability == alone.log_probability
        found = together[row].log_probabilities
        assert found == alone.log_probabilities
        assert len(found) == min(nums[row], 6)
        assert found == sorted(found, reverse=True)


@given(logits)
def test_all_alternatives_and_the_unknown_word_sum_to_one(logits_BV: np.ndarray) -> None:
    for score in score_tokens(logits_BV, [0, 0, 0], [6, 6, 6]):
        logs = [score.log_probability, *score.log_probabilities]
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


def sequence_of(
    token_ids: list[int], others: list[str], *, names_known: bool = True
) -> SimpleNamespace:
    prompt = SimpleNamespace(other_speakers=others, names_known_speaker=names_known)
    request = SimpleNamespace(prompt=prompt)
    return SimpleNamespace(token_ids=token_ids, request=request, last_speaker=(0, None))


def ruled(vocabulary: Vocabulary, logits_V: np.ndarray, sequence: SimpleNamespace) -> np.ndarray:
    """The logits of one row after the rules of speakers."""
    logits_1V = logits_V[None].copy()
    SpeakerRules(vocabulary)(logits_1V, [0], [sequence])
    return logits_1V[0]


def test_what_may_follow_a_speaker_is_what_the_tokenizer_makes_of_texts() -> None:
    text = 'OWL: "No," he (the fox) said.\nFOX: Well-known! (A pause.)'
    tokenizer = make_tokenizer("words").with_speakers(["OWL", "FOX"])
    words = [*dict.fromkeys(tokenizer.tokenize(text))]
    vocabulary = Vocabulary(["<unk>", "<eos>", *words])
    logits_V = np.zeros(len(vocabulary), dtype=np.float32)

    def allowed_after(word: str) -> set[str]:
        ids = vocabulary.encode(["<eos>", word]).tolist()
        sequence = sequence_of(ids, others=["<speaker HARE>", "<speaker MOLE>"])
        return {
            vocabulary.words[id_]
            for id_ in np.flatnonzero(ruled(vocabulary, logits_V, sequence) == 0)
        }

    after = allowed_after("<speaker OWL>")
    assert {'"￭', "(￭", "No", "Well"} <= after
    assert after.isdisjoint({"￭,", '￭"', "￭)", "￭-￭", "￭!", "\n", "<eos>", "<speaker FOX>"})
    assert allowed_after("No") == set(vocabulary.words)


SCENE = Vocabulary(
    ["<unk>", "<eos>", "mill", "<other speaker>", "<speaker OWL>", "<speaker FOX>", "\n"]
)
OTHER, OWL, FOX = 3, 4, 5


@pytest.mark.parametrize(
    ("others", "said", "is_allowed"),
    [
        ([], [], False),
        (["<speaker HARE>"], [], True),
        (["<speaker HARE>"], [OTHER, 2, 6], False),  # who would answer their own line
        (["<speaker HARE>"], [OTHER, 2, 6, OWL, 2, 6], True),
        (["<speaker HARE>", "<speaker MOLE>"], [OTHER, 2, 6], True),
    ],
)
def test_the_other_speaker_is_one_of_the_prompt_or_those_with_a_name(
    others: list[str], said: list[int], *, is_allowed: bool
) -> None:
    logits_V = np.log(np.array([0.05, 0.05, 0.1, 0.6, 0.05, 0.1, 0.05], dtype=np.float32))
    sequence = sequence_of([1, 2, *said], others)
    if not said and others:
        sequence.token_ids += [OWL, 2]
    shares = np.exp(ruled(SCENE, logits_V, sequence))
    expected = np.exp(logits_V)
    if not is_allowed:  # 0.75 of all speakers, of whom FOX has twice as much as OWL
        expected[[OTHER, OWL, FOX]] = [0, 0.25, 0.5]
    np.testing.assert_allclose(shares, expected, rtol=1e-5)


def test_where_no_speaker_has_a_name_the_other_one_is_banned() -> None:
    vocabulary = Vocabulary(["<unk>", "<eos>", "mill", "<other speaker>"])
    banned_V = ruled(vocabulary, np.zeros(4, dtype=np.float32), sequence_of([1], []))
    assert banned_V.tolist() == [0, 0, 0, -np.inf]


def test_a_model_without_lines_of_the_other_speaker_lets_its_own_speak() -> None:
    logits_V = np.log(np.array([0.05, 0.05, 0.1, 0.01, 0.3, 0.4, 0.09], dtype=np.float32))
    two = ["<speaker HARE>", "<speaker MOLE>"]
    sequence = sequence_of([1, OTHER, 2, 6], two, names_known=False)
    assert ruled(SCENE, logits_V, sequence).tolist() == logits_V.tolist()


def test_the_last_speaker_is_found_in_what_was_added() -> None:
    logits_V = np.zeros(len(SCENE), dtype=np.float32)
    sequence = sequence_of([1, OTHER, 2], ["<speaker HARE>"])
    can_speak = []
    for id_ in (6, OWL, 2, 6, OTHER, 2):
        can_speak.append(bool(np.isfinite(ruled(SCENE, logits_V, sequence)[OTHER])))
        sequence.token_ids.append(id_)
    # Not in HARE's line and after it, not after the token of OWL, but in OWL's line and after it.
    assert can_speak == [False, False, False, True, True, False]


def test_a_ban_of_all_named_speakers_stays_one() -> None:
    logits_V = np.zeros(len(SCENE), dtype=np.float32)
    logits_V[[OWL, FOX]] = -1000
    changed_V = ruled(SCENE, logits_V, sequence_of([1, 2], []))
    assert np.isfinite(changed_V[[OWL, FOX]]).all()


def test_where_all_speakers_are_banned_they_stay_so() -> None:
    logits_V = np.zeros(len(SCENE), dtype=np.float32)
    logits_V[[OTHER, OWL, FOX]] = -np.inf
    assert ruled(SCENE, logits_V, sequence_of([1, 2], [])).tolist() == logits_V.tolist()


def test_speakers_that_the_model_does_not_know_keep_to_themselves() -> None:
    logits_V = np.log(np.array([0.05, 0.05, 0.1, 0.6, 0.05, 0.1, 0.05], dtype=np.float32))
    two = ["<speaker HARE>", "<speaker MOLE>"]
    sequence = sequence_of([1, OTHER, 2, 6], two, names_known=False)
    shares = np.exp(ruled(SCENE, logits_V, sequence))
    np.testing.assert_allclose(shares, [0.05, 0.05, 0.1, 0.75, 0, 0, 0.05], rtol=1e-5)


@given(
    hnp.arrays(np.float32, (4, len(SCENE)), elements=st.floats(-30, 30, width=16)),
    st.lists(
        st.tuples(
            st.lists(st.sampled_from([2, OTHER, OWL, FOX, 6]), max_size=4),
            st.sampled_from([[], ["<speaker HARE>"], ["<speaker HARE>", "<speaker MOLE>"]]),
            st.booleans(),
        ),
        min_size=4,
        max_size=4,
    ),
    st.sets(st.integers(0, 3)),
    st.sets(st.sampled_from([OTHER, OWL, FOX])),
)
def test_rows_follow_the_rules_as_each_would_alone(
    logits_BV: np.ndarray,
    texts: list[tuple[list[int], list[str], bool]],
    rows: set[int],
    banned: set[int],
) -> None:
    logits_BV[:, [*banned]] = -np.inf
    sequences = [sequence_of([1, *ids], others, names_known=known) for ids, others, known in texts]
    alone = [
        ruled(SCENE, logits_V, sequence) if row in rows else logits_V.copy()
        for row, (logits_V, sequence) in enumerate(zip(logits_BV, sequences, strict=True))
    ]
    SpeakerRules(SCENE)(logits_BV, [*rows], [sequences[row] for row in rows])
    assert np.array_equal(logits_BV, np.stack(alone))
