from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.corpus.documents import Documents, ReadingOptions
from lorelm.corpus.readers import read_documents
from lorelm.corpus.statistics import (
    CUT_OFFS,
    corpus_statistics,
    count_exact_duplicates,
    count_near_duplicates,
    verdict,
)
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import VocabularyRules

DOCUMENTS = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=9), max_size=12)


def test_cut_offs_worked_by_hand() -> None:
    # Ten documents: whichever are held out, "a" is known at every cut-off and "x<i>" at none.
    documents = Documents(texts=[f"a a a a x{i}" for i in range(10)], source="hand")
    statistics = corpus_statistics(documents, make_tokenizer("words"), split_seed=1)
    assert statistics.num_tokens == 50
    assert statistics.num_train_tokens == 40
    assert statistics.num_distinct_words == 11
    sizes = {c.min_frequency: c.vocabulary_size for c in statistics.cut_offs}
    assert sizes == {1: 2 + 1 + 8, 2: 3, 3: 3, 5: 3}
    assert [c.unknown_rate for c in statistics.cut_offs] == [0.2] * len(CUT_OFFS)


def test_words_of_the_model_to_start_from_are_known_at_every_cut_off() -> None:
    documents = Documents(texts=[f"a a a a x{i}" for i in range(10)], source="hand")
    rules = VocabularyRules(known=["b", *(f"X{i}" for i in range(10))])
    statistics = corpus_statistics(documents, make_tokenizer("words"), split_seed=1, rules=rules)
    # The model's eleven words, "a", and the eight of the training part, as they are written there.
    assert [c.vocabulary_size for c in statistics.cut_offs] == [2 + 11 + 1 + 8] * len(CUT_OFFS)
    assert [c.unknown_rate for c in statistics.cut_offs] == [0.2] * len(CUT_OFFS)


def test_the_films_have_the_figures_that_are_known(corpus_file: Callable[[str], Path]) -> None:
    documents = read_documents(
        corpus_file("lotr_scripts.csv"), ReadingOptions(speaker_column="", document="line")
    )
    statistics = corpus_statistics(documents, make_tokenizer("classic"), split_seed=42)
    assert statistics.num_tokens == 25_242
    assert statistics.num_distinct_words == 3_448
    assert statistics.num_exact_duplicates > 50
    rates = [c.unknown_rate for c in statistics.cut_offs]
    assert rates == sorted(rates)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["a b c"] * 100 + ["b c", "c d"], "too small"),
        ([f"a b c d e f {i % 9}" for i in range(400)] + list("abcdefgh"), "large enough"),
        ([f"x{i} y{i} z{i}" for i in range(900)], "too small"),  # no word comes twice
    ],
)
def test_the_verdict_is_plain(texts: list[str], words: str) -> None:
    documents = Documents(texts=texts, source="x")
    statistics = corpus_statistics(documents, make_tokenizer("words"), split_seed=1)
    assert words in verdict(statistics)
    expected = "large enough" if statistics.num_train_tokens >= 1000 else "small"
    assert f"{expected}. The model english knows" in verdict(statistics, "english")


def test_exact_duplicates_are_counted_beyond_the_first() -> None:
    assert count_exact_duplicates([["a"], ["b"], ["a"], ["a", "b"], ["a"]]) == 2


def test_near_duplicates_worked_by_hand() -> None:
    lines = [
        "we must go to the old bridge",  # 7 words
        "we must go to the old bridge now",  # 7 of 8 shared: near
        "bridge old the to go must we",  # the same words: near
        "we must go to the red river",  # 5 of 9 shared: not
        "we must go",  # too short to be looked at
        "we must go now",
    ]
    documents = [line.split() for line in lines]
    assert count_near_duplicates(documents) == 2  # the two sets of words that differ


@given(documents=DOCUMENTS)
def test_near_duplicates_agree_with_comparing_all_pairs(documents: list[list[str]]) -> None:
    sets = [words for words in {frozenset(tokens) for tokens in documents} if len(words) >= 5]
    near = {
        side
        for one, other in combinations(sets, 2)
        if len(one & other) / len(one | other) >= 0.8
        for side in (one, other)
    }
    assert count_near_duplicates(documents) == len(near)
