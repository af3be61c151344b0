import csv
import math
import random
from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary, VocabularyRules
from lorelm.corpus.windows import encode_stream
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.typing import Ids

V = 5
streams = st.lists(st.integers(0, V - 1), max_size=60)
orders = st.integers(1, 5)


def ids(values: list[int]) -> Ids:
    return np.array(values, dtype=np.int64)


def model(stream: list[int], order: int) -> KneserNey:
    return KneserNey.fit(ids(stream), order=order, vocabulary_size=V)


def test_bigrams_worked_by_hand() -> None:
    # 0 1 0 1 2 0 2: bigrams 01 twice, 10, 12, 20, 02 once. No n-gram comes four times, so the
    # discounts are 0.5, 1 and 1.5.
    # Unigrams count the words before them: 0 after {1, 2}, 1 after {0}, 2 after {1, 0}: 2, 1, 2.
    counted = model([0, 1, 0, 1, 2, 0, 2], 2)
    unigram_backoff = (1 + 0.5 + 1) / 5
    unigram = [
        (2 - 1) / 5 + unigram_backoff / V,
        (1 - 0.5) / 5 + unigram_backoff / V,
        (2 - 1) / 5 + unigram_backoff / V,
        unigram_backoff / V,
        unigram_backoff / V,
    ]
    after_0 = (1 + 0.5) / 3  # 01 twice and 02 once: D2 and D1 are free, of three
    expected = [after_0 * p for p in unigram]
    expected[1] += (2 - 1) / 3
    expected[2] += (1 - 0.5) / 3
    assert counted.distribution(ids([0])) == pytest.approx(expected)
    assert counted.distribution(ids([])) == pytest.approx(unigram)
    assert counted.distribution(ids([3])) == pytest.approx(unigram)  # never seen: the shorter one


def test_discounts_come_from_counts_of_counts() -> None:
    # Unigrams only: four words once, two words twice, one three times, one four times.
    stream = [0, 1, 2, 3, *[4] * 2, *[5] * 2, *[6] * 3, *[7] * 4]
    counted = KneserNey.fit(ids(stream), order=1, vocabulary_size=9)
    y = 4 / (4 + 2 * 2)
    d1, d2, d3 = 1 - 2 * y * 2 / 4, 2 - 3 * y * 1 / 2, 3 - 4 * y * 1 / 1
    free = (4 * d1 + 2 * d2 + 2 * d3) / len(stream)
    expected = [(c - d) / len(stream) + free / 9 for c, d in ((1, d1), (2, d2), (3, d3), (4, d3))]
    probabilities = counted.distribution(ids([]))
    assert probabilities[[0, 4, 6, 7]] == pytest.approx(expected)
    assert probabilities[8] == pytest.approx(free / 9)


@given(streams, orders, st.lists(st.integers(0, V - 1), max_size=7))
def test_probabilities_sum_to_one_after_any_context(
    stream: list[int], order: int, context: list[int]
) -> None:
    probabilities_V = model(stream, order).distribution(ids(context))
    assert probabilities_V.sum() == pytest.approx(1)
    assert (probabilities_V > 0).all()


@given(streams, orders, st.lists(st.integers(0, V - 1), min_size=1, max_size=12))
def test_a_stream_and_its_contexts_one_by_one_agree(
    stream: list[int], order: int, text: list[int]
) -> None:
    counted = model(stream, order)
    one_by_one = [counted.distribution(ids(text[:i]))[text[i]] for i in range(1, len(text))]
    assert counted.probabilities(ids(text)) == pytest.approx(one_by_one)


@given(streams, orders)
def test_saved_and_read_it_is_the_same(stream: list[int], order: int) -> None:
    counted = model(stream, order)
    again = KneserNey.from_bytes(counted.to_bytes())
    text = ids([0, 1, 2, 3, 4, 0, 1, *stream])
    assert again.order == order
    assert again.vocabulary_size == V
    assert np.array_equal(again.probabilities(text), counted.probabilities(text))


@given(streams, st.integers(2, 5))
def test_all_orders_at_once_are_those_one_by_one(stream: list[int], max_order: int) -> None:
    text = ids([4, 3, 2, 1, 0, *stream])
    together = KneserNey.fit_orders(ids(stream), max_order=max_order, vocabulary_size=V)
    for order, counted in enumerate(together, start=1):
        assert np.array_equal(counted.probabilities(text), model(stream, order).probabilities(text))


def changed(content: bytes, name: str, array: np.ndarray) -> bytes:
    import io

    with np.load(io.BytesIO(content)) as arrays:
        kept = {key: arrays[key] for key in arrays.files}
    file = io.BytesIO()
    np.savez(file, **(kept | {name: array}))
    return file.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no zip at all",
        lambda content: content[:-40],
        lambda content: changed(content, "words_2", np.array([99])),
        lambda content: changed(content, "counts_1", np.array([1])),
        lambda content: changed(content, "words_per_context_2", np.array([-1, 2])),
        lambda content: changed(content, "words_1", np.array([0.5, 1.5, 2.5])),
        lambda content: changed(content, "words_1", np.array([2, 1, 0])),
        lambda content: changed(content, "counts_1", np.array([-1, 1, 1])),
        lambda content: changed(content, "vocabulary_size", np.array([], dtype=np.int64)),
    ],
)
def test_damaged_bytes_are_refused(damage: Callable[[bytes], bytes]) -> None:
    content = model([0, 1, 2, 0, 1, 0], 2).to_bytes()
    with pytest.raises(ValueError, match="no n-gram model"):
        KneserNey.from_bytes(damage(content))


def test_the_films_have_the_perplexities_that_are_known(
    corpus_file: Callable[[str], Path],
) -> None:
    """Figures of a re-statement by another hand, on the split that the data's README describes."""
    with corpus_file("lotr_scripts.csv").open(encoding="utf-8", newline="") as file:
        lines = [row["dialog"] for row in csv.DictReader(file)]
    random.Random(42).shuffle(lines)
    cuts = int(len(lines) * 0.8), int(len(lines) * 0.8) + int(len(lines) * 0.1)
    tokenizer = make_tokenizer("classic")
    train, test = (
        [tokens for line in part if (tokens := tokenizer.tokenize(line))]
        for part in (lines[: cuts[0]], lines[cuts[1] :])
    )
    vocabulary = Vocabulary.from_counts(
        Counter(chain.from_iterable(train)), VocabularyRules(min_frequency=3)
    )
    models = KneserNey.fit_orders(
        encode_stream(train, vocabulary), max_order=5, vocabulary_size=len(vocabulary)
    )
    stream = encode_stream(test, vocabulary)
    perplexities = [math.exp(-np.log(m.probabilities(stream)).mean()) for m in models[1:]]
    assert perplexities == pytest.approx([85.9, 82.5, 82.0, 81.9], rel=0.005)
