from pathlib import Path

import numpy as np
import pytest

from lorelm.bundle import Bundle
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.runtime.blend import BlendedRuntime, PairRuntime, WordMap
from lorelm.typing import Floats32, Ids


def word_map(first: list[str], second: list[str]) -> WordMap:
    one, two = Vocabulary(first), Vocabulary(second)
    return WordMap(two.encode(one.words), one.encode(two.words))


def logs(*probabilities: float) -> Floats32:
    return np.log(np.array(probabilities, dtype=np.float32)) + 3  # logits, so any constant


def blended(words: WordMap, first: Floats32, second: Floats32, share: float) -> list[float]:
    return np.exp(words.mixed(first, second, share)).tolist()


@pytest.mark.parametrize(("share", "expected"), [(0, 0), (1, 1), (0.5, 0.5), (0.3, 0.3)])
def test_the_words_of_two_models_are_mixed(share: float, expected: float) -> None:
    """The worked example of the docstring, with an <eos> that nobody expects."""
    words = word_map(["<unk>", "<eos>", "the", "orc"], ["<unk>", "<eos>", "elf", "the"])
    p_1, q = np.array([0.2, 1e-9, 0.5, 0.3]), np.array([0.3, 1e-9, 0.4, 0.3])
    found = blended(words, logs(*p_1), logs(0.5, 1e-9, 0.1, 0.4), share)
    assert found == pytest.approx((1 - expected) * p_1 + expected * q, abs=1e-6)


def test_speakers_that_one_model_lacks_share_the_other_speaker() -> None:
    """By hand: q(OWL) = 0.4 * 0.3 / (0.3 + 0.1) = 0.3, q(other) = 0.4 * 0.1 / 0.4 + 0.2 = 0.3."""
    first = ["<unk>", "<eos>", "<speaker OWL>", "<other speaker>", "mill"]
    second = ["<unk>", "<eos>", "<other speaker>", "<speaker HARE>", "mill"]
    words = word_map(first, second)
    p_1 = logs(0.1, 0.1, 0.3, 0.1, 0.4)
    found = blended(words, p_1, logs(0.1, 0.1, 0.4, 0.2, 0.2), 1)
    assert found == pytest.approx([0.1, 0.1, 0.3, 0.3, 0.2], abs=1e-6)


def test_a_model_with_speakers_reads_one_without() -> None:
    words = word_map(["<unk>", "<eos>", "a"], ["<unk>", "<eos>", "<other speaker>", "a"])
    found = blended(words, logs(0.2, 0.2, 0.6), logs(0.1, 0.2, 0.3, 0.4), 1)
    assert found == pytest.approx([0.4, 0.2, 0.4], abs=1e-6)


def test_the_same_words_in_another_order_lose_nothing() -> None:
    words = word_map(["<unk>", "<eos>", "a", "b"], ["<unk>", "<eos>", "b", "a"])
    found = blended(words, logs(0.1, 0.2, 0.3, 0.4), logs(0.4, 0.3, 0.2, 0.1), 0.25)
    assert found == pytest.approx([0.175, 0.225, 0.25, 0.35], abs=1e-6)
    assert words.num_shared == 4


def test_probabilities_sum_to_one_also_of_sure_models() -> None:
    random = np.random.default_rng(0)
    first = ["<unk>", "<eos>", *"abcdefgh"]
    words = word_map(first, ["<unk>", "<eos>", *"hgfe", "x", "y"])
    for scale in (1, 30, 200):
        p_1, p_2 = (random.normal(0, scale, n).astype(np.float32) for n in (10, 8))
        for share in (0.0, 0.4, 1.0):
            assert sum(blended(words, p_1, p_2, share)) == pytest.approx(1, abs=1e-5)


@pytest.fixture(scope="module")
def pair(tiny_bundle: Path, wolves_bundle: Path) -> PairRuntime:
    first, second = Bundle.load(tiny_bundle), Bundle.load(wolves_bundle)
    words = word_map(list(first.vocabulary.words), list(second.vocabulary.words))
    return PairRuntime(first.runtime(), second.runtime(), words)


def read(pair: PairRuntime, ids: list[int]) -> Floats32:
    return pair.read(ids)[0]


def test_each_model_reads_the_text_in_its_own_words(pair: PairRuntime) -> None:
    ids = [1, 5, 7, 9, 30]
    size = pair.config.vocabulary_size
    logits_X = read(pair, ids)
    assert np.array_equal(logits_X[:size], pair.first.read(ids)[0])
    theirs: Ids = pair.words.to_second_V[ids]
    assert np.array_equal(logits_X[size:], pair.second.read(theirs)[0])


def test_a_batch_of_a_pair_does_what_single_steps_do(pair: PairRuntime) -> None:
    batch = pair.batch(3)
    for column in ([1, 1, 1], [5, 6, 7], [8, 9, 10]):
        logits_BX = batch.step(np.array(column))
    assert np.array_equal(logits_BX[1], read(pair, [1, 6, 9]))
    taken = batch.state(2)
    batch.move(1, 0)
    batch.put(1, taken)
    logits_BX = batch.step(np.array([11, 12]))
    assert np.array_equal(logits_BX[0], read(pair, [1, 6, 9, 11]))
    assert np.array_equal(logits_BX[1], read(pair, [1, 7, 10, 12]))
    batch.put(0, pair.initial_state(1))
    assert np.array_equal(batch.step(np.array([1]))[0], read(pair, [1]))


def test_a_runtime_with_a_fixed_share_gives_the_mixture(pair: PairRuntime) -> None:
    logits_V, _ = BlendedRuntime(pair, 0.3).read([1, 5, 7])
    logits_X, size = read(pair, [1, 5, 7]), pair.config.vocabulary_size
    assert np.array_equal(logits_V, pair.words.mixed(logits_X[:size], logits_X[size:], 0.3))
