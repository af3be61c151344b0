import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.corpus.special_tokens import EOS, UNK
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.evaluation.scores import (
    NUM_RESAMPLES,
    perplexity_ratio_interval,
    ratio_interval,
    resampled_totals,
    score,
    share_interval,
)
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.text import HeldOutText


def text(*documents: str, words: tuple[str, ...] = ("the", "ring")) -> HeldOutText:
    return HeldOutText(
        documents=[document.split() for document in documents],
        name="a test",
        tokenizer=make_tokenizer("classic"),
        vocabulary=Vocabulary([UNK, EOS, *words]),
    )


class SpelledInTenBits(SpellingModel):
    def __init__(self) -> None:
        pass

    def bits(self, words):
        return np.full(len(words), 10.0)


def test_the_example_of_the_docstring() -> None:
    twice = text("the orc", "the orc")
    logs = np.log([1 / 4, 1 / 8, 1 / 2] * 2)
    found = score(twice, logs, SpelledInTenBits())
    assert found.bits_per_character == pytest.approx(2)
    assert found.perplexity == pytest.approx(4)
    # Documents that are alike leave no doubt.
    assert found.bits_per_character_interval == pytest.approx((2, 2))
    assert found.perplexity_interval == pytest.approx((4, 4))


def test_without_a_spelling_model_there_are_no_bits_per_character() -> None:
    found = score(text("the orc", "the"), np.log([0.5] * 5), None)
    assert found.bits_per_character is None
    assert found.perplexity == pytest.approx(2)


def test_making_rare_words_unknown_cannot_buy_bits_per_character() -> None:
    """The same uniform model with a small and a large vocabulary: perplexity falls, bits rise."""
    spelling = SpellingModel.fit(["orc", "elf", "the", "ring"])
    documents = ("the orc the elf", "elf orc", "the ring")
    large = text(*documents, words=("the", "ring", "orc", "elf"))
    small = text(*documents, words=("the",))
    of_large = score(large, np.full(11, math.log(1 / 6)), spelling)
    of_small = score(small, np.full(11, math.log(1 / 3)), spelling)
    assert of_small.perplexity < of_large.perplexity
    assert of_small.bits_per_character > of_large.bits_per_character


def test_draws_have_the_mean_and_the_spread_of_the_theory() -> None:
    values = np.random.default_rng(1).normal(5, 2, size=(200, 1))
    totals = resampled_totals(values)
    assert totals.shape == (NUM_RESAMPLES, 1)
    assert totals.mean() == pytest.approx(values.sum(), rel=0.01)
    assert totals.std() == pytest.approx(values.std() * math.sqrt(200), rel=0.05)


def test_the_interval_holds_the_truth_in_about_95_of_100_texts() -> None:
    random = np.random.default_rng(2)
    hits = 0
    for _ in range(60):
        lengths = random.integers(3, 20, size=80)
        low, high = ratio_interval(random.gamma(lengths * 2.0), lengths)
        hits += low < 2 < high
    assert hits >= 51  # of 60: fewer have a chance below 0.2 %


@given(
    st.lists(st.tuples(st.floats(0.1, 9), st.integers(1, 9)), min_size=2, max_size=30),
    st.floats(0.5, 3),
)
def test_a_ratio_that_all_documents_share_is_sure(
    documents: list[tuple[float, int]], ratio: float
) -> None:
    lengths = np.array([length for _, length in documents])
    assert ratio_interval(ratio * lengths, lengths) == pytest.approx((ratio, ratio))


def test_the_same_model_twice_has_a_ratio_of_one() -> None:
    held_out = text("the ring", "the", "ring ring")
    logs = np.log(np.random.default_rng(0).uniform(0.1, 0.9, size=8))
    assert perplexity_ratio_interval(held_out, logs, logs) == (1, 1)
    low, high = perplexity_ratio_interval(held_out, logs, logs - math.log(2))
    assert (low, high) == pytest.approx((0.5, 0.5))


def test_the_interval_of_a_share_is_that_of_the_docstring() -> None:
    assert share_interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert share_interval(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert share_interval(10, 10)[1] == pytest.approx(1)
