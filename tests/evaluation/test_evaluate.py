import dataclasses
import importlib.metadata
import json
import shutil
from pathlib import Path

import pytest
from tests.errors import raises_code

from lorelm.bundle import Bundle, files
from lorelm.bundle.writer import add_ngram
from lorelm.corpus import preparation
from lorelm.corpus.documents import CorpusFile, Documents, ReadingOptions
from lorelm.errors import BundleError, CorpusError, MissingExtraError
from lorelm.evaluation.evaluate import EvaluationSettings, evaluate_bundle
from lorelm.evaluation.measure import Stage
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


def without_ngram(bundle: Path, copy: Path) -> Bundle:
    """A copy of a bundle as training without `--ngram` writes it."""
    shutil.copytree(bundle, copy)
    manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
    del manifest["files"]["ngram.npz"]
    manifest["mixture"] = manifest["metrics"]["is_mixed"] = False
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (copy / "ngram.npz").unlink()
    return Bundle.load(copy)


ADDING = EvaluationSettings(add_ngram=True, num_samples=0)


@pytest.mark.parametrize("is_beaten", [False, True])
def test_an_ngram_model_is_added_as_training_would_have(
    tiny_bundle: Path, beaten_bundle: Path, tales: Documents, tmp_path: Path, *, is_beaten: bool
) -> None:
    trained = Bundle.load(beaten_bundle if is_beaten else tiny_bundle)
    bundle = without_ngram(trained.path, tmp_path / "copy")
    metrics = evaluate_bundle(bundle, ADDING, documents=tales).metrics
    assert metrics.is_mixed == is_beaten
    added = Bundle.load(bundle.path)
    assert added.manifest == trained.manifest
    assert (added.path / "ngram.npz").read_bytes() == (trained.path / "ngram.npz").read_bytes()
    assert evaluate_bundle(added, ADDING, documents=tales).metrics == metrics  # nothing to add


def test_a_crash_while_an_ngram_model_is_added_leaves_the_old_bundle(
    tiny_bundle: Path, tales: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = without_ngram(tiny_bundle, tmp_path / "copy")
    replace_file = files.replace_file

    def crash(path: Path, content: bytes) -> None:
        if path.name == "manifest.json":
            raise KeyboardInterrupt
        replace_file(path, content)

    monkeypatch.setattr(files, "replace_file", crash)
    with pytest.raises(KeyboardInterrupt):
        evaluate_bundle(bundle, ADDING, documents=tales)
    assert Bundle.load(bundle.path).manifest == bundle.manifest
    monkeypatch.undo()
    evaluate_bundle(bundle, ADDING, documents=tales)
    assert Bundle.load(bundle.path).has_ngram


def test_a_bundle_that_was_replaced_meanwhile_is_not_changed(
    tiny_bundle: Path, beaten_bundle: Path, tales: Documents, tmp_path: Path
) -> None:
    bundle = without_ngram(tiny_bundle, tmp_path / "copy")
    shutil.rmtree(bundle.path)
    shutil.copytree(beaten_bundle, bundle.path)
    with raises_code(BundleError, "bundle.replaced"):
        add_ngram(bundle, Bundle.load(tiny_bundle).ngram()[0], {})
    assert Bundle.load(bundle.path).manifest == Bundle.load(beaten_bundle).manifest


def test_an_ngram_model_that_cannot_be_added_is_explained(
    tiny_bundle: Path,
    imported_bundle: Path,
    tales: Documents,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = Documents(texts=["The fox slept.", "The owl sat by the mill."], source="a text")
    bundle = without_ngram(tiny_bundle, tmp_path / "copy")
    with raises_code(BundleError, "bundle.no_ngram"):
        evaluate_bundle(Bundle.load(imported_bundle), ADDING)
    with raises_code(CorpusError, "corpus.no_file"):
        evaluate_bundle(bundle, ADDING)
    with raises_code(CorpusError, "evaluation.no_ngram"):
        evaluate_bundle(bundle, ADDING, documents=other)
    monkeypatch.setattr(preparation, "MAX_COUNTED_TOKENS", 10)
    with raises_code(CorpusError, "evaluation.too_large"):
        evaluate_bundle(bundle, ADDING, documents=tales)
    with raises_code(BundleError, "bundle.embedded"):
        add_ngram(Bundle.load("english"), Bundle.load(tiny_bundle).ngram()[0], {})
    assert Bundle.load(bundle.path).manifest == bundle.manifest


def test_an_evaluation_says_what_it_is_doing(tiny_bundle: Path, tales: Documents) -> None:
    said: list[str] = []
    settings = EvaluationSettings(num_samples=1)
    evaluate_bundle(Bundle.load(tiny_bundle), settings, documents=tales, on_stage=said.append)
    assert said == ["reading the text", Stage.NGRAMS, Stage.SAMPLES, Stage.METRICS]
