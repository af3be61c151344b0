import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.bundle import Bundle
from lorelm.corpus.preparation import Corpus
from lorelm.evaluation.baseline import NgramBaseline, best_weight, ngram_log_probabilities
from lorelm.evaluation.perplexity import predict
from lorelm.runtime.mixture import mix_logs

probabilities = st.lists(
    st.tuples(st.floats(1e-6, 1), st.floats(1e-6, 1)), min_size=1, max_size=40
).map(lambda pairs: np.log(np.array(pairs)).T)


@given(probabilities, st.floats(0, 1))
def test_it_is_the_weighted_mean(logs: np.ndarray, weight: float) -> None:
    network, ngram = logs
    expected = weight * np.exp(network) + (1 - weight) * np.exp(ngram)
    assert np.exp(mix_logs(network, ngram, weight)) == pytest.approx(expected)


@given(probabilities)
def test_no_other_weight_is_better(logs: np.ndarray) -> None:
    network, ngram = logs
    best = mix_logs(network, ngram, best_weight(network, ngram)).sum()
    others = [mix_logs(network, ngram, weight).sum() for weight in np.linspace(0, 1, 101)]
    assert best >= max(others) - 1e-9


@pytest.fixture(scope="module")
def fitted(bundle: Bundle, corpus: Corpus) -> NgramBaseline:
    return NgramBaseline.fit(corpus, predict(bundle.runtime(), corpus.valid.stream))


def test_a_baseline_fitted_again_is_the_same(
    bundle: Bundle, corpus: Corpus, fitted: NgramBaseline
) -> None:
    again = NgramBaseline.of_bundle(bundle, corpus)
    assert fitted.metadata == again.metadata == bundle.manifest.ngram
    logs = [
        ngram_log_probabilities(each.model, corpus.test.stream)
        for each in (fitted, again, NgramBaseline.of_bundle(bundle))
    ]
    assert np.array_equal(logs[0], logs[1])
    assert np.array_equal(logs[0], logs[2])
    assert len(again.by_order) == 5


def test_the_order_is_the_best_on_the_validation_part(
    corpus: Corpus, fitted: NgramBaseline
) -> None:
    sums = [ngram_log_probabilities(m, corpus.valid.stream).sum() for m in fitted.by_order]
    assert fitted.metadata.order == int(np.argmax(sums)) + 1


def test_every_token_is_predicted_the_first_from_an_end(
    corpus: Corpus, fitted: NgramBaseline
) -> None:
    stream = corpus.test.stream
    logs = ngram_log_probabilities(fitted.model, stream)
    assert len(logs) == len(stream)
    first = fitted.model.distribution(np.array([1]))[stream[0]]
    assert np.exp(logs[0]) == pytest.approx(first)
