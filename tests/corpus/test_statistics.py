from collections.abc import Callable
from pathlib import Path

import pytest

from lorelm.corpus.documents import Documents
from lorelm.corpus.readers import read_documents
from lorelm.corpus.statistics import CUT_OFFS, corpus_statistics, verdict
from lorelm.corpus.tokenizer import make_tokenizer


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


def test_the_films_have_the_figures_that_are_known(corpus_file: Callable[[str], Path]) -> None:
    documents = read_documents(corpus_file("lotr_scripts.csv"))
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
