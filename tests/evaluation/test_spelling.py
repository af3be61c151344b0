import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.evaluation.spelling import SpellingModel
from lorelm.ngrams.kneser_ney import KneserNey

WORDS = ["ring", "rings", "ringing", "sting", "king", "kings", "bring", "wing"]


def test_what_is_spelled_like_the_words_is_cheap() -> None:
    alike, unlike, unseen = SpellingModel.fit(WORDS).bits(["swing", "gnsiw", "жжжжж"])
    assert alike < unlike < unseen
    assert unseen > 5 * 20  # a character that was never seen: one of 1,114,112


def test_bits_are_those_of_the_characters_one_by_one() -> None:
    spelling = SpellingModel.fit(WORDS)
    context, bits = [0] * 4, 0.0
    for point in (*map(ord, "king"), 0):
        bits -= math.log2(spelling.characters.distribution(np.array(context))[point])
        context.append(point)
    assert spelling.bits(["king"])[0] == pytest.approx(bits)


def test_words_of_one_letter_have_a_probability_each_that_sums_to_less_than_one() -> None:
    spelling = SpellingModel.fit(["a", "b", "ab", "ba"])
    words = ["".join(w) for n in range(1, 7) for w in itertools.product("ab", repeat=n)]
    assert 0.5 < (2.0 ** -spelling.bits(words)).sum() <= 1


@given(st.lists(st.text(min_size=1, max_size=9).filter(lambda word: "\0" not in word)))
def test_every_word_has_a_finite_price(words: list[str]) -> None:
    bits = SpellingModel.fit(WORDS).bits(words)
    assert bits.shape == (len(words),)
    assert np.isfinite(bits).all()
    assert (bits > 0).all()


def test_a_word_costs_the_same_whatever_stands_before_it() -> None:
    spelling = SpellingModel.fit(WORDS)
    words = ["holy", "hobbit", "ring", "a", "holy"]
    one_by_one = [spelling.bits([word])[0] for word in words]
    assert spelling.bits(words).tolist() == one_by_one


def test_each_distinct_word_counts_once() -> None:
    once, often = SpellingModel.fit(WORDS), SpellingModel.fit(WORDS[::-1] * 3)
    assert once.bits(["kingly"])[0] == often.bits(["kingly"])[0]


def test_without_words_no_character_is_likelier_than_another() -> None:
    one, other = SpellingModel.fit([]).bits(["ab", "жя"])
    assert one == other > 2 * math.log2(0x110000)


def test_it_is_kept_as_an_ngram_model() -> None:
    spelling = SpellingModel.fit(WORDS)
    again = SpellingModel(KneserNey.from_bytes(spelling.characters.to_bytes()))
    assert again.bits(["bringing"])[0] == spelling.bits(["bringing"])[0]
