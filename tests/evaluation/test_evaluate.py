import dataclasses
import importlib.metadata
from pathlib import Path

import pytest
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.corpus import preparation
from lorelm.corpus.documents import CorpusFile, Documents, ReadingOptions
from lorelm.errors import CorpusError, MissingExtraError
from lorelm.evaluation.evaluate import EvaluationSettings, evaluate_bundle
from lorelm.evaluation.summary import copies_table, prediction_table
from lorelm.evaluation.text import HeldOutText
from lorelm.evaluation.trained_corpus import split_as_trained


def test_a_text_is_evaluated_without_the_package_of_the_corpus(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the embedded bundle is in a serving install."""

    def not_installed(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", not_installed)
    bundle = Bundle.load(tiny_bundle)
    files = (CorpusFile(path="shakespeare", options=ReadingOptions()),)
    corpus = bundle.manifest.corpus.model_copy(update={"files": files})
    manifest = bundle.manifest.model_copy(update={"corpus": corpus})
    bundle = dataclasses.replace(bundle, manifest=manifest)
    text = Documents(texts=["The fox slept.", "The owl sat by the mill."], source="a text")
    assert evaluate_bundle(bundle, documents=text).metrics.documents == 2
    with pytest.raises(MissingExtraError, match="the corpus 'shakespeare' needs more packages"):
        evaluate_bundle(bundle)


def test_a_very_large_corpus_is_evaluated_without_ngrams_and_copies(
    tiny_bundle: Path, tales: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Bundle.load(tiny_bundle)
    monkeypatch.setattr(preparation, "MAX_COUNTED_TOKENS", 10)
    result = evaluate_bundle(bundle, documents=tales)
    assert result.metrics.bits_per_character is not None
    assert result.metrics.ngram_perplexity is None
    assert result.metrics.samples == 0
    assert result.index is None
    assert prediction_table(result.metrics).rows
    assert copies_table(result.metrics) is None
    with raises_code(CorpusError, "evaluation.too_large"):
        evaluate_bundle(bundle, EvaluationSettings(interpolate=True), documents=tales)


def test_the_name_of_a_sampled_text_says_so(tiny_bundle: Path, tales: Documents) -> None:
    bundle = Bundle.load(tiny_bundle)
    corpus = split_as_trained(bundle, tales)
    assert corpus is not None
    whole = HeldOutText.of_test_part(corpus)
    sampled = HeldOutText.of_test_part(corpus.with_samples(60))
    assert whole.name == "the test part of tales.txt"
    assert sampled.name == "a sample of the test part of tales.txt"
    assert len(sampled.stream) < len(whole.stream)
