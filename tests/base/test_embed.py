"""A base model is measured with everything that a laptop has no memory for, and embedded."""

import dataclasses
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

import embed
from lorelm.bundle import Bundle
from lorelm.corpus import preparation
from lorelm.corpus.documents import Documents
from lorelm.corpus.readers import read_documents
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.train import train


def run(*arguments: object) -> Result:
    return CliRunner().invoke(embed.main, [*map(str, arguments)])


@pytest.fixture
def corpus(tales: Documents, tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    texts = list(tales.texts)
    for name, part in (("train", texts[:140]), ("valid", texts[140:160]), ("test", texts[160:])):
        pl.DataFrame({"text": part}).write_parquet(folder / f"{name}.parquet")
    return folder


@pytest.fixture
def base(
    corpus: Path, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Of a corpus that is too large to be counted in training."""
    monkeypatch.setattr(preparation, "MAX_COUNTED_TOKENS", 100)
    parts = [read_documents(corpus / f"{name}.parquet") for name in ("train", "valid", "test")]
    recipe = dataclasses.replace(tiny_recipe, epochs=1)
    options = TrainingOptions(device="cpu")
    out = tmp_path / "base"
    bundle = train(parts[0], recipe, out=out, options=options, valid=parts[1], test=parts[2])
    assert bundle is not None
    assert bundle.manifest.metrics is not None
    assert bundle.manifest.metrics.ngram_perplexity is None
    return out


def test_the_embedded_model_has_all_figures_and_small_files(
    base: Path, corpus: Path, tmp_path: Path
) -> None:
    result = run(base, "--corpus", corpus, "--out", tmp_path / "embedded")
    assert result.exit_code == 0, result.output
    embedded, trained = Bundle.load(tmp_path / "embedded"), Bundle.load(base)
    assert {file.name for file in embedded.path.iterdir()} == {
        *("manifest.json", "vocabulary.json", "step.int8.onnx", "weights.safetensors"),
        *("spelling.npz", "metrics.jsonl"),
    }
    metrics = embedded.manifest.metrics
    assert metrics is not None
    assert metrics.ngram_perplexity is not None
    assert metrics.copied_share is not None
    assert metrics == trained.manifest.metrics
    assert embedded.manifest.corpus is not None
    assert "books" in embedded.manifest.corpus.source
    for name, array in trained.weights().items():
        assert embedded.weights()[name] == pytest.approx(array, rel=1e-3, abs=1e-4)


def test_another_corpus_is_refused_and_nothing_written(base: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    pl.DataFrame({"text": ["Another text."]}).write_parquet(tmp_path / "other" / "train.parquet")
    for part in ("train", "valid", "test"):
        (tmp_path / "corpus" / f"{part}.parquet").unlink()
    result = run(base, "--corpus", tmp_path / "other", "--out", tmp_path / "embedded")
    assert result.exit_code == 2
    assert result.stderr.startswith("embed: ")
    assert not (tmp_path / "embedded").exists()
