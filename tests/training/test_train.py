import dataclasses
import json
import shutil
import sys
from pathlib import Path

import pytest

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.errors import BundleError, CorpusError
from lorelm.training.recipe import Recipe
from lorelm.training.train import train


def test_metrics_hold_a_line_an_epoch(tiny_bundle: Path, tiny_recipe: Recipe) -> None:
    lines = [json.loads(line) for line in (tiny_bundle / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, tiny_recipe.epochs + 1))
    best = min(line["valid_perplexity"] for line in lines)
    assert Bundle.load(tiny_bundle).manifest.evaluation.valid_perplexity == best
    assert set(lines[0]) >= {"train_loss_nats_per_token", "learning_rate", "tokens_per_second"}


def test_a_bundle_holds_the_curves_of_its_training(tiny_bundle: Path) -> None:
    assert (tiny_bundle / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "curves.png" not in Bundle.load(tiny_bundle).manifest.files


def test_without_matplotlib_there_are_no_curves_and_the_old_ones_go(
    tiny_bundle: Path,
    tales: Documents,
    tiny_recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = shutil.copytree(tiny_bundle, tmp_path / "model")
    monkeypatch.delitem(sys.modules, "lorelm.evaluation.report.plots", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    train(tales, dataclasses.replace(tiny_recipe, epochs=1), out=out)
    assert not (out / "curves.png").exists()


def test_the_manifest_holds_the_recipe_and_the_corpus(
    tiny_bundle: Path, tiny_recipe: Recipe, tales: Documents
) -> None:
    manifest = Bundle.load(tiny_bundle).manifest
    assert manifest.recipe == tiny_recipe.to_dict()
    assert manifest.corpus.fingerprint == tales.fingerprint
    assert manifest.corpus.source == "tales.txt"
    parts = (
        manifest.corpus.train_documents,
        manifest.corpus.valid_documents,
        manifest.corpus.test_documents,
    )
    assert sum(parts) == len(tales)


def test_named_parts_are_used_as_they_are(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    valid = Documents(texts=tales.texts[:5], source="valid.txt")
    test = Documents(texts=tales.texts[5:9], source="test.txt")
    result = train(tales, tiny_recipe, out=tmp_path / "m", valid=valid, test=test)
    facts = Bundle.load(tmp_path / "m").manifest.corpus
    assert (facts.train_documents, facts.valid_documents, facts.test_documents) == (
        len(tales),
        5,
        4,
    )
    assert result.corpus.test.num_documents == 4


def test_only_one_of_valid_and_test_is_refused(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(CorpusError, match="--valid and --test together"):
        train(tales, tiny_recipe, out=tmp_path / "m", valid=tales)


def test_a_folder_of_other_things_is_refused_before_training(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "thesis.docx").write_text("")
    with pytest.raises(BundleError, match="holds other things"):
        train(tales, tiny_recipe, out=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.docx"]
