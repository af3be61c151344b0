import math
from typing import Any

import numpy as np
import pytest

from lorelm.bundle import Bundle
from lorelm.corpus.preparation import Corpus
from lorelm.evaluation.measure import EvaluatedModel, EvaluationResult, Samples, measure
from lorelm.evaluation.memorisation import TrainingText, WrittenText
from lorelm.evaluation.mixture import CountedModel
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.text import HeldOutText
from lorelm.evaluation.verdicts import verdicts
from lorelm.runtime.step_graph import Precision


def model_of(bundle: Bundle, precision: Precision = "int8", **parts: Any) -> EvaluatedModel:
    return EvaluatedModel(
        network=bundle.runtime(precision),
        precision=precision,
        tokenizer=bundle.tokenizer,
        vocabulary=bundle.vocabulary,
        spelling=SpellingModel.of_bundle(bundle),
        **parts,
    )


@pytest.fixture(scope="module")
def result(bundle: Bundle, corpus: Corpus, text: HeldOutText) -> EvaluationResult:
    recited = [WrittenText(tokens=tokens) for tokens in corpus.train.documents[:10]]
    model = model_of(
        bundle,
        baseline=CountedModel.fit(corpus, bundle.runtime()),
        index=TrainingText(corpus.train.documents, corpus.tokenizer),
        cached_network=bundle.runtime(cache=True),
    )
    return measure(model, text, Samples(texts=recited, temperature=0.8))


def test_the_perplexity_is_the_one_that_training_measured(
    result: EvaluationResult, bundle: Bundle
) -> None:
    """By another path: PyTorch in windows of float32, ONNX step by step."""
    training = bundle.manifest.training
    assert result.figures.perplexity == pytest.approx(training.test_perplexity, rel=0.005)


def test_the_mixture_is_between_or_better(result: EvaluationResult) -> None:
    figures = result.figures
    assert figures.mixture_weight is not None
    assert 0 <= figures.mixture_weight <= 1
    assert figures.ngram_order is not None
    assert figures.ngram_perplexities[figures.ngram_order - 1] == figures.ngram_perplexity
    assert figures.mixture_perplexity < max(figures.perplexity, figures.ngram_perplexity)


def test_every_interval_holds_its_figure(result: EvaluationResult) -> None:
    figures = result.figures.model_dump()
    names = [name for name in figures if f"{name}_interval" in figures]
    assert len(names) == 11
    for name in names:
        low, high = figures[f"{name}_interval"]
        assert low <= figures[name] <= high, name
        assert math.isfinite(low)
        assert math.isfinite(high)
    low, high = figures["ngram_ratio_interval"]
    assert low <= figures["perplexity"] / figures["ngram_perplexity"] <= high


def test_bits_and_perplexity_say_the_same_where_all_words_are_known(bundle: Bundle) -> None:
    known = [["The", "fox", "sat", "by", "the", "mill", "￭."], ["The", "fox"]]
    text = HeldOutText.of(
        known, name="known", tokenizer=bundle.tokenizer, vocabulary=bundle.vocabulary
    )
    assert not text.unknown_words
    figures = measure(model_of(bundle), text).figures
    bits = math.log2(figures.perplexity) * figures.tokens / figures.characters
    assert figures.bits_per_character == pytest.approx(bits)


def test_recited_documents_are_found_out(result: EvaluationResult) -> None:
    figures = result.figures
    assert figures.copied_share is not None
    assert figures.copied_share[4] == 1
    assert figures.copied_lines_share == 1
    assert figures.human_copied_share is not None
    assert figures.human_copied_share[4] < 1
    assert figures.copied_excess_interval is not None
    assert figures.copied_excess_interval[8][0] > 0


def test_a_text_of_the_training_part_is_found_out(
    result: EvaluationResult, bundle: Bundle, corpus: Corpus, text: HeldOutText
) -> None:
    assert result.figures.seen_documents == 0
    assert result.figures.seen_share == 0
    half_learned = HeldOutText.of(
        [*corpus.train.documents[:3], ["The", "fox", "slept"], ["No", "owl"]],
        name="half learned",
        tokenizer=bundle.tokenizer,
        vocabulary=bundle.vocabulary,
    )
    for index in (TrainingText(corpus.train.documents, corpus.tokenizer), bundle.copies()):
        figures = measure(model_of(bundle, index=index), half_learned).figures
        assert figures.seen_documents == 3
        num_learned = sum(map(len, corpus.train.documents[:3]))
        assert figures.seen_share == pytest.approx(num_learned / (num_learned + 5))
        [verdict] = verdicts(figures)
        assert verdict.startswith("The model was trained on this text")


def test_unknown_words_surprise_by_their_spelling_too(result: EvaluationResult) -> None:
    bits = -result.network.log_probabilities / np.log(2)
    is_unknown = result.text.is_unknown
    assert is_unknown.any() or not result.text.unknown_words
    assert np.array_equal(result.event_bits[~is_unknown], bits[~is_unknown])
    assert (result.event_bits[is_unknown] > bits[is_unknown]).all()


def test_without_samples_and_counting_those_figures_are_null(
    bundle: Bundle, text: HeldOutText
) -> None:
    figures = measure(model_of(bundle), text).figures
    assert figures.copied_share is None
    assert figures.ngram_perplexity is None
    assert figures.mixture_perplexity is None
    assert figures.samples == 0


def test_precisions_nearly_agree(bundle: Bundle, text: HeldOutText) -> None:
    exact = measure(model_of(bundle, "float32"), text).figures
    assert exact.precision == "float32"
    training = bundle.manifest.training
    assert exact.perplexity == pytest.approx(training.test_perplexity, rel=1e-4)


def test_the_events_of_the_network_are_those_of_the_text(
    result: EvaluationResult, text: HeldOutText
) -> None:
    logs = result.network.log_probabilities
    assert len(logs) == len(text.stream)
    assert np.exp(-logs.mean()) == pytest.approx(result.figures.perplexity)
