from types import SimpleNamespace

import numpy as np
import pytest
from tests.errors import raises_code

from lorelm.corpus.special_tokens import OTHER_SPEAKER, speaker_token
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.errors import SamplingError
from lorelm.generation.word_index import WordIndex

VOCABULARY = Vocabulary(["<unk>", "<eos>", "fox", "￭,", ",", "￭,￭", "Fox", "\n"])
WORDS = WordIndex(make_tokenizer("words"), VOCABULARY)


def test_a_word_stands_for_all_its_tokens() -> None:
    bias = WORDS.logit_bias({",": 2.0, "fox": -1.0}, []).bias_V
    assert bias.tolist() == [0, 0, -1, 2, 2, 2, 0, 0]


def test_an_id_stands_for_itself() -> None:
    assert WORDS.logit_bias({4: 1.5, 1: -3.0}, []).bias_V.tolist() == [0, -3, 0, 0, 1.5, 0, 0, 0]


def test_a_banned_word_is_banned_in_this_spelling() -> None:
    assert (
        np.isneginf(WORDS.logit_bias({}, ["fox", "dragon"]).bias_V).tolist()
        == [False] * 2 + [True] + [False] * 5
    )
    assert np.isneginf(WORDS.logit_bias({"fox": 9.0}, ["fox"]).bias_V[2])


@pytest.mark.parametrize(("known", "typed"), [("don't", "don’t"), ("don’t", "don't")])
def test_a_word_is_known_whatever_the_form_of_its_apostrophe(known: str, typed: str) -> None:
    words = WordIndex(make_tokenizer("words"), Vocabulary(["<unk>", "<eos>", known]))
    assert words.logit_bias({typed: 2.0}, []).bias_V[2] == 2
    assert words.banned_ids(typed) == words.required_ids(typed) == [2]
    assert words.unknown([typed, "won't"]) == ["won't"]


def test_a_line_break_can_be_banned_too() -> None:
    assert np.isneginf(WORDS.logit_bias({}, ["\n"]).bias_V)[-1]


@pytest.mark.parametrize(
    ("biases", "banned", "code"),
    [
        ({"dragon": 1.0}, [], "setting.unknown_word"),
        ({8: 1.0}, [], "setting.unknown_word"),
        ({-1: 1.0}, [], "setting.unknown_word"),
        ({"<eos>": 1.0}, [], "setting.unknown_word"),
        ({}, ["the fox"], "setting.not_a_word"),
    ],
)
def test_unknown_words_and_phrases_are_refused(
    biases: dict[str | int, float], banned: list[str], code: str
) -> None:
    with raises_code(SamplingError, code):
        WORDS.logit_bias(biases, banned)


def test_a_long_word_is_shown_in_short() -> None:
    for biases, banned in (({"dragon" * 1000: 1.0}, []), ({}, ["dragon " * 1000])):
        with pytest.raises(SamplingError) as refused:
            WORDS.logit_bias(biases, banned)
        assert "dragon" in str(refused.value)
        assert len(str(refused.value)) < 250


def test_a_banned_word_is_banned_where_another_stands_in_for_it() -> None:
    bias = WORDS.logit_bias({}, ["dragon"], stand_ins={2: "dragon", 6: "Dragon"}).bias_V
    assert np.flatnonzero(bias).tolist() == [2]


def test_a_bias_is_added_and_changes_nothing_else() -> None:
    logits = np.zeros(8, dtype=np.float32)
    assert WORDS.logit_bias({"fox": 2.0}, [])(logits, SimpleNamespace()).tolist() == [
        0,
        0,
        2,
        0,
        0,
        0,
        0,
        0,
    ]
    assert not logits.any()


@pytest.fixture(scope="module")
def index() -> WordIndex:
    words = [
        "<unk>",
        "<eos>",
        "￭,",
        "the",
        "The",
        "king",
        "kings",
        "Frodo",
        "friend",
        "two-￭",
        "￭!",
        "fellowship",
        speaker_token("GANDALF"),
        OTHER_SPEAKER,
    ]
    return WordIndex(make_tokenizer("words"), Vocabulary(words))


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("kinge", ["king", "kings"]),
        ("freind", ["friend"]),  # two letters swapped are one edit
        ("Teh", ["The"]),
        ("teh", ["the"]),
        ("frodo", ["Frodo"]),
        ("xqzt", []),
        ("kin", ["king"]),
        ("frond", []),  # two of five letters
        ("fellowshop", ["fellowship"]),
        ("felowshop", ["fellowship"]),
        ("teh:", []),  # a speaker is no word
        ("GANDLF:", ["GANDALF:"]),
        ("Gandalf:", ["GANDALF:"]),
        ("Gandlf", []),  # and no speaker one in a line
        ("SOMEBNE:", []),  # the other speaker is nobody to write for
        (",", []),
        ("", []),
    ],
)
def test_the_nearest_words_come_first(index: WordIndex, word: str, found: list[str]) -> None:
    assert index.nearest(word) == found


def test_of_equally_near_words_the_most_frequent_comes_first() -> None:
    words = ["<unk>", "<eos>", "cart", "care", "carp"]
    index = WordIndex(make_tokenizer("words"), Vocabulary(words))
    assert index.nearest("carx", limit=2) == ["cart", "care"]
