import math
from typing import Any

import numpy as np
import pytest

from lorelm.bundle import Bundle
from lorelm.corpus.preparation import Corpus
from lorelm.evaluation.baseline import NgramBaseline
from lorelm.evaluation.measure import EvaluatedModel, EvaluationResult, measure
from lorelm.evaluation.memorisation import TrainingText, WrittenText
from lorelm.evaluation.perplexity import predict
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.summary import findings
from lorelm.evaluation.text import HeldOutText
from lorelm.runtime.step_graph import Precision


def model_of(bundle: Bundle, precision: Precision = "int8", **parts: Any) -> EvaluatedModel:
    return EvaluatedModel(
        network=bundle.runtime(precision),
        precision=precision,
        spelling=SpellingModel.of_bundle(bundle),
        **parts,
    )


@pytest.fixture(scope="module")
def result(bundle: Bundle, corpus: Corpus, text: HeldOutText) -> EvaluationResult:
    valid = predict(bundle.runtime(), corpus.valid.stream)
    recited = [WrittenText(tokens=tokens) for tokens in corpus.train.documents[:10]]
    model = model_of(
        bundle,
        baseline=NgramBaseline.fit(corpus, valid),
        index=TrainingText(corpus.train.documents, corpus.tokenizer),
        cached_network=bundle.runtime(cache=True),
    )
    return measure(model, text, recited)


def test_the_perplexity_agrees_with_training(result: EvaluationResult, bundle: Bundle) -> None:
    """By another path: PyTorch in windows of float32, ONNX step by step."""
    training = bundle.manifest.training
    assert result.metrics.perplexity == pytest.approx(training.test_perplexity, rel=0.005)


def test_the_mixture_is_between_or_better(result: EvaluationResult) -> None:
    metrics = result.metrics
    assert metrics.mixture_weight is not None
    assert 0 <= metrics.mixture_weight <= 1
    assert metrics.ngram_order is not None
    assert metrics.ngram_perplexities[metrics.ngram_order - 1] == metrics.ngram_perplexity
    assert metrics.mixture_perplexity < max(metrics.perplexity, metrics.ngram_perplexity)


def test_every_interval_contains_its_metric(result: EvaluationResult) -> None:
    metrics = result.metrics.model_dump()
    names = [name for name in metrics if metrics.get(f"{name}_interval") is not None]
    assert len(names) == 11  # without those of a blend
    for name in names:
        low, high = metrics[f"{name}_interval"]
        assert low <= metrics[name] <= high, name
        assert math.isfinite(low)
        assert math.isfinite(high)
    low, high = metrics["ngram_ratio_interval"]
    assert low <= metrics["perplexity"] / metrics["ngram_perplexity"] <= high


def test_bits_and_perplexity_agree_if_all_words_are_known(bundle: Bundle) -> None:
    known = [["The", "fox", "sat", "by", "the", "mill", "￭."], ["The", "fox"]]
    text = HeldOutText(
        documents=known, name="known", tokenizer=bundle.tokenizer, vocabulary=bundle.vocabulary
    )
    assert not text.unknown_words
    metrics = measure(model_of(bundle), text).metrics
    bits = math.log2(metrics.perplexity) * metrics.tokens / metrics.characters
    assert metrics.bits_per_character == pytest.approx(bits)


def test_recited_documents_are_copies(result: EvaluationResult) -> None:
    metrics = result.metrics
    assert metrics.copied_share is not None
    assert metrics.copied_share[4] == 1
    assert metrics.copied_lines_share == 1
    assert metrics.human_copied_share is not None
    assert metrics.human_copied_share[4] < 1
    assert metrics.copied_excess_interval is not None
    assert metrics.copied_excess_interval[8][0] > 0


def test_seen_documents_are_reported(
    result: EvaluationResult, bundle: Bundle, corpus: Corpus, text: HeldOutText
) -> None:
    assert result.metrics.seen_documents == 0
    assert result.metrics.seen_share == 0
    half_learned = HeldOutText(
        documents=[*corpus.train.documents[:3], ["The", "fox", "slept"], ["No", "owl"]],
        name="half learned",
        tokenizer=bundle.tokenizer,
        vocabulary=bundle.vocabulary,
    )
    for index in (TrainingText(corpus.train.documents, corpus.tokenizer), bundle.copies()):
        metrics = measure(model_of(bundle, index=index), half_learned).metrics
        assert metrics.seen_documents == 3
        num_learned = sum(map(len, corpus.train.documents[:3]))
        assert metrics.seen_share == pytest.approx(num_learned / (num_learned + 5))
        [finding] = findings(metrics)
        assert finding.startswith("The model was trained on this text")


def test_unknown_words_cost_their_spelling(result: EvaluationResult) -> None:
    bits = -result.network.log_probabilities / np.log(2)
    is_unknown = result.text.is_unknown
    assert is_unknown.any() or not result.text.unknown_words
    assert np.array_equal(result.target_bits[~is_unknown], bits[~is_unknown])
    assert (result.target_bits[is_unknown] > bits[is_unknown]).all()


def test_without_samples_and_baseline_those_metrics_are_null(
    bundle: Bundle, text: HeldOutText
) -> None:
    metrics = measure(model_of(bundle), text).metrics
    assert metrics.copied_share is None
    assert metrics.ngram_perplexity is None
    assert metrics.mixture_perplexity is None
    assert metrics.samples == 0


def test_precisions_nearly_agree(bundle: Bundle, text: HeldOutText) -> None:
    exact = measure(model_of(bundle, "float32"), text).metrics
    assert exact.precision == "float32"
    training = bundle.manifest.training
    assert exact.perplexity == pytest.approx(training.test_perplexity, rel=1e-4)


def test_the_network_predicts_every_token_of_the_text(
    result: EvaluationResult, text: HeldOutText
) -> None:
    logs = result.network.log_probabilities
    assert len(logs) == len(text.stream)
    assert np.exp(-logs.mean()) == pytest.approx(result.metrics.perplexity)
