import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.bundle import Bundle
from lorelm.corpus.preparation import Corpus
from lorelm.evaluation.baseline import NgramBaseline, best_weight, ngram_log_probabilities
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


def test_a_baseline_fitted_again_is_the_same(bundle: Bundle, corpus: Corpus) -> None:
    assert bundle.manifest.ngram is not None
    fitted = NgramBaseline.fit(corpus, bundle.runtime())
    again = NgramBaseline.fit_as_recorded(corpus, bundle.manifest.ngram)
    assert fitted.metadata == again.metadata == bundle.manifest.ngram
    stream = corpus.test.stream
    assert np.array_equal(fitted.log_probabilities(stream), again.log_probabilities(stream))
    assert len(again.by_order) == 5


def test_the_order_is_the_best_on_the_validation_part(bundle: Bundle, corpus: Corpus) -> None:
    baseline = NgramBaseline.fit(corpus, bundle.runtime())
    sums = [ngram_log_probabilities(m, corpus.valid.stream).sum() for m in baseline.by_order]
    assert baseline.metadata.order == int(np.argmax(sums)) + 1


def test_every_token_is_predicted_the_first_from_an_end(bundle: Bundle, corpus: Corpus) -> None:
    baseline = NgramBaseline.fit(corpus, bundle.runtime())
    stream = corpus.test.stream
    logs = baseline.log_probabilities(stream)
    assert len(logs) == len(stream)
    first = baseline.model.distribution(np.array([1]))[stream[0]]
    assert np.exp(logs[0]) == pytest.approx(first)
