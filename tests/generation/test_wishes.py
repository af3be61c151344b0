import numpy as np
import pytest

from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.errors import SamplingError
from lorelm.generation.wishes import Bias, WordWishes

VOCABULARY = Vocabulary(["<unk>", "<eos>", "fox", "￭,", ",", "￭,￭", "Fox", "\n"])
WISHES = WordWishes(make_tokenizer("words"), VOCABULARY)


def test_a_word_means_all_its_tokens() -> None:
    bias = WISHES.bias({",": 2.0, "fox": -1.0}, [])
    assert bias.tolist() == [0, 0, -1, 2, 2, 2, 0, 0]


def test_an_id_means_itself() -> None:
    assert WISHES.bias({4: 1.5, 1: -3.0}, []).tolist() == [0, -3, 0, 0, 1.5, 0, 0, 0]


def test_a_banned_word_is_banned_in_this_spelling() -> None:
    assert (
        np.isneginf(WISHES.bias({}, ["fox", "dragon"])).tolist()
        == [False] * 2 + [True] + [False] * 5
    )
    assert np.isneginf(WISHES.bias({"fox": 9.0}, ["fox"])[2])


def test_a_line_break_can_be_banned_too() -> None:
    assert np.isneginf(WISHES.bias({}, ["\n"]))[-1]


@pytest.mark.parametrize(
    ("biases", "banned", "message"),
    [
        ({"dragon": 1.0}, [], "logit_bias: the model does not know 'dragon'"),
        ({8: 1.0}, [], "logit_bias: the model does not know 8"),
        ({-1: 1.0}, [], "logit_bias: the model does not know -1"),
        ({"<eos>": 1.0}, [], "logit_bias: the model does not know '<eos>'"),
        ({}, ["the fox"], "banned_words: must be single words, not 'the fox'"),
    ],
)
def test_what_cannot_be_wished_is_explained(
    biases: dict[str | int, float], banned: list[str], message: str
) -> None:
    with pytest.raises(SamplingError, match=message):
        WISHES.bias(biases, banned)


def test_a_bias_is_added_and_changes_nothing_else() -> None:
    logits = np.zeros(8, dtype=np.float32)
    assert Bias(WISHES.bias({"fox": 2.0}, []))(logits, [3]).tolist() == [0, 0, 2, 0, 0, 0, 0, 0]
    assert not logits.any()
