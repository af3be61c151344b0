from pathlib import Path

import numpy as np
import pytest
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import tokenize_documents
from lorelm.corpus.windows import encode_stream
from lorelm.errors import BundleError
from lorelm.evaluation.baseline import NgramBaseline, best_weight, ngram_log_probabilities
from lorelm.evaluation.cache import tune_cache
from lorelm.evaluation.perplexity import predict
from lorelm.runtime.neural_cache import CachedRuntime


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


@pytest.fixture(scope="module")
def stream(bundle: Bundle, tales: Documents) -> np.ndarray:
    tokens = tokenize_documents(tales, bundle.tokenizer)
    repeating = [document for document in tokens[::7] for _ in range(3)]
    return encode_stream(repeating, bundle.vocabulary)


@pytest.mark.system
def test_the_tuned_cache_is_the_best_of_those_tried(
    bundle: Bundle, stream: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vectorised tuning agrees with the runtime that reads one id after the other."""
    monkeypatch.setattr("lorelm.evaluation.cache.SIZES", (10, 60))
    monkeypatch.setattr("lorelm.evaluation.cache.THETAS", (0.5, 2.0))
    monkeypatch.setattr("lorelm.evaluation.cache.TARGETS_AT_ONCE", 50)
    network = bundle.runtime()
    baseline = NgramBaseline.of_bundle(bundle)
    predicted = predict(network, stream, num_states=len(stream))
    facts = tune_cache(predicted, stream, baseline)

    def total(size: int, theta: float, weight: float) -> float:
        cached = CachedRuntime(network, size=size, theta=theta, weight=weight)
        return float(predict(cached, stream).log_probabilities.sum())

    tuned = total(facts.size, facts.theta, facts.weight)
    assert tuned > predicted.log_probabilities.sum()
    for size in (10, 60):
        for theta in (0.5, 2.0):
            for weight in (facts.weight, 0.1, 0.3):
                assert total(size, theta, weight) <= tuned + 1e-3
    for weight in (facts.weight * 0.9, facts.weight * 1.1):
        assert total(facts.size, facts.theta, weight) <= tuned + 1e-3
    cached = CachedRuntime(network, size=facts.size, theta=facts.theta, weight=facts.weight)
    logs = predict(cached, stream).log_probabilities
    expected = best_weight(logs, ngram_log_probabilities(baseline.model, stream))
    assert facts.mixture_weight == pytest.approx(expected, abs=1e-3)


def test_a_bundle_carries_its_cache(bundle: Bundle, older_bundle: Path) -> None:
    assert isinstance(bundle.runtime(cache=True), CachedRuntime)
    with raises_code(BundleError, "bundle.no_cache"):
        Bundle.load(older_bundle).runtime(cache=True)
