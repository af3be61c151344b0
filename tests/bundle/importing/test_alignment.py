"""Rows change places with their words, so logits stay those of the words."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.bundle.importing.alignment import AlignedModel, align_vocabulary, fill_vocabulary
from lorelm.model.config import ModelConfig
from lorelm.typing import Floats32

CONFIG = ModelConfig(vocabulary_size=6, embedding_size=3, hidden_size=3, num_layers=1)


def weights_of(config: ModelConfig) -> dict[str, Floats32]:
    random = np.random.default_rng(0)
    return {
        name: random.normal(size=shape).astype(np.float32)
        for name, shape in config.tensor_shapes().items()
    }


WEIGHTS = weights_of(CONFIG)


def aligned(
    words: Sequence[str | None] | None,
    config: ModelConfig = CONFIG,
    weights: dict[str, Floats32] | None = None,
) -> tuple[AlignedModel, list[str]]:
    """Return the aligned model, and all notices."""
    filled, notices = fill_vocabulary(words, config.vocabulary_size)
    made = align_vocabulary(config, weights or WEIGHTS, filled, are_placeholders=words is None)
    return made, [*notices, *made.notices]


names = st.sampled_from(
    [
        *("<unk>", "<UNK>", "[UNK]", "<eos>", "</s>", "<EOS>", "<pad>", "<sos>", "", "\n"),
        *("the", "fox", "ran", "unk", "eos", "<extra_2>", "<extra_3>", "token_1"),
    ]
)


@given(st.none() | st.lists(st.none() | names, max_size=9))
def test_every_row_keeps_its_numbers_and_has_a_word(words: list[str | None] | None) -> None:
    made, _ = aligned(words)
    size = len(made.vocabulary)
    assert made.vocabulary.words[:2] == ("<unk>", "<eos>")
    assert size == made.config.vocabulary_size == 6 + len(made.never_seen)
    assert {name: w.shape for name, w in made.weights.items()} == made.config.tensor_shapes()
    for name in ("embedding.weight", "fc.weight", "fc.bias"):
        ours = [row.tobytes() for row in made.weights[name]]
        for row in WEIGHTS[name]:
            assert row.tobytes() in ours
    for place, word in enumerate((words or [])[:6]):
        if word in ("the", "fox", "ran", "\n", "unk", "eos", "<pad>"):
            if word in (words or [])[:place]:  # again: the first is the word
                continue
            id_ = made.vocabulary.words.index(word)
            np.testing.assert_array_equal(
                made.weights["fc.weight"][id_], WEIGHTS["fc.weight"][place]
            )
    assert set(made.never_written) <= set(made.vocabulary.words)


def test_unk_and_eos_come_first_and_the_rest_keeps_its_order() -> None:
    words = ["the", "<EOS>", "fox", "<pad>", "<UNK>", "ran"]
    made, notices = aligned(words)
    assert made.vocabulary.words == ("<unk>", "<eos>", "the", "fox", "<pad>", "ran")
    order = [4, 1, 0, 2, 3, 5]
    for name in ("embedding.weight", "fc.weight", "fc.bias"):
        np.testing.assert_array_equal(made.weights[name], WEIGHTS[name][order])
    assert made.weights["lstm.weight_ih_l0"] is WEIGHTS["lstm.weight_ih_l0"]
    assert made.never_written == ("<pad>",)
    assert made.never_seen == ()
    [notice] = notices
    assert "<pad>" in notice


@pytest.mark.parametrize("is_tied", [True, False])
def test_missing_rows_are_read_as_the_first_and_never_generated(is_tied: bool) -> None:
    config = ModelConfig(
        vocabulary_size=6, embedding_size=3, hidden_size=3, num_layers=1, tied=is_tied
    )
    weights = dict(WEIGHTS)
    if is_tied:
        weights["fc.weight"] = weights["embedding.weight"]
    made, notices = aligned(["the", "fox", "ran", "to", "a", "mill"], config, weights)
    assert made.vocabulary.words == ("<unk>", "<eos>", "the", "fox", "ran", "to", "a", "mill")
    assert made.never_seen == ("<unk>", "<eos>")
    for id_ in (0, 1):
        np.testing.assert_array_equal(
            made.weights["embedding.weight"][id_], weights["embedding.weight"][0]
        )
        assert made.weights["fc.bias"][id_] < -1000
    assert (made.weights["fc.weight"] is made.weights["embedding.weight"]) == is_tied
    assert made.config.tied == is_tied
    assert ["<unk>" in notice for notice in notices] == [True, False]
    assert ["<eos>" in notice for notice in notices] == [False, True]


def test_a_vocabulary_that_is_too_long_is_cut() -> None:
    words = ["<unk>", "<eos>", "the", "fox", "ran", "to", "a", "mill"]
    made, notices = aligned(words)
    assert made.vocabulary.words == tuple(words[:6])
    [notice] = notices
    assert "8 words and the model 6" in notice
    assert "provide" in notice


def test_a_vocabulary_that_is_too_short_is_filled_with_words_that_are_never_written() -> None:
    made, notices = aligned(["<unk>", "<eos>", "the", "<extra_5>"])
    assert made.vocabulary.words[2:] == ("the", "<extra_5>", "<extra_4>", "<extra_05>")
    assert made.never_written == ("<extra_5>", "<extra_4>", "<extra_05>")
    [notice] = notices
    assert "4 words and the model 6" in notice
    assert "Provide" in notice


def test_without_a_vocabulary_words_are_placeholders() -> None:
    made, notices = aligned(None)
    assert made.vocabulary.words[2:] == tuple(f"token_{i}" for i in range(6))
    assert made.never_written == ()
    assert "No vocabulary was given" in notices[0]
    assert "provide" in notices[0]


def test_the_first_of_two_equal_words_is_the_word() -> None:
    made, notices = aligned(["<unk>", "<eos>", "the", "fox", "the", "fox"])
    assert made.vocabulary.words == ("<unk>", "<eos>", "the", "fox", "<extra_4>", "<extra_5>")
    [notice] = notices
    assert "'the' twice, and 1 more" in notice
