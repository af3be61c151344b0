"""The plays of a base model's corpus are read once more."""

import dataclasses
import math
from pathlib import Path

import polars as pl
import pytest
import torch
from click.testing import CliRunner, Result

import read_plays
from lorelm.bundle import Bundle
from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.preparation import Part
from lorelm.corpus.readers import read_documents
from lorelm.evaluation.trained_corpus import find_trained_corpus
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.losses import validation_loss
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.train import train

pytestmark = pytest.mark.system

READING = ReadingOptions(
    document="text", text_column="text", speaker_column="speaker", scene_column="scene"
)
SPEECHES = [("OWL", "Who goes there?"), ("FOX", "A friend."), ("OWL", "What do you want?")]
PROSE = "The owl sat in the old tree and looked at the mill until the fox had gone away."


def run(*arguments: object) -> Result:
    return CliRunner().invoke(read_plays.main, [*map(str, arguments)])


def base_model(folder: Path, recipe: Recipe, *, with_plays: bool) -> Path:
    """Train a model on 20 scenes among 120 chapters; of the held-out parts, each has two."""
    folder.mkdir()
    parts = []
    for name, num_plays, num_chapters in (("train", 20, 120), ("valid", 2, 12), ("test", 2, 12)):
        plays = [(f"play {i}", *speech) for i in range(num_plays) for speech in SPEECHES]
        chapters = [(f"chapter {i}", "", PROSE) for i in range(num_chapters)]
        rows = (plays if with_plays else []) + chapters
        path = folder / f"{name}.parquet"
        pl.DataFrame(rows, schema=["scene", "speaker", "text"], orient="row").write_parquet(path)
        parts.append(read_documents(path, READING))
    bundle = train(
        parts[0],
        recipe,
        out=folder / "base",
        options=TrainingOptions(device="cpu"),
        valid=parts[1],
        test=parts[2],
    )
    assert bundle is not None
    return bundle.path


def loss_of(bundle: Bundle, part: Part) -> float:
    """Nats per token."""
    model = LSTMLanguageModel(bundle.manifest.model)
    model.load_state_dict({name: torch.tensor(array) for name, array in bundle.weights().items()})
    return validation_loss(model, part.stream)


@pytest.fixture
def recipe(tiny_recipe: Recipe) -> Recipe:
    return dataclasses.replace(tiny_recipe, epochs=1, min_frequency=1, batch_size=4)


def test_the_plays_are_better_known_and_all_but_the_weights_is_as_it_was(
    recipe: Recipe, tmp_path: Path
) -> None:
    path = base_model(tmp_path / "corpus", recipe, with_plays=True)
    before = Bundle.load(path)
    corpus = find_trained_corpus(before)
    plays = read_plays.plays_and_others(corpus)
    loss = loss_of(before, plays.valid)
    result = run(path, "--corpus", tmp_path / "corpus")
    assert result.exit_code == 0, result.output
    after = Bundle.load(path)
    assert after.vocabulary.words == before.vocabulary.words
    assert after.manifest.recipe == before.manifest.recipe
    assert loss_of(after, plays.valid) < loss - 0.01
    assert after.manifest.training is not None
    known = math.exp(loss_of(after, corpus.test))
    assert after.manifest.training.test_perplexity == pytest.approx(known, rel=1e-3)


def test_half_of_what_is_read_are_plays(recipe: Recipe, tmp_path: Path) -> None:
    bundle = Bundle.load(base_model(tmp_path / "corpus", recipe, with_plays=True))
    corpus = read_plays.plays_and_others(find_trained_corpus(bundle))
    texts = [
        bundle.tokenizer.detokenize(bundle.vocabulary.decode(document[:-1]))
        for document in read_plays.documents_of(corpus.train.stream)
    ]
    scene = "\n".join(f"{name}: {text}" for name, text in SPEECHES)
    assert texts[:20] == [scene] * 20
    assert set(texts[20:]) == {PROSE}
    num_plays = sum(map(len, read_plays.documents_of(corpus.train.stream)[:20]))
    assert len(corpus.train.stream) - num_plays == pytest.approx(num_plays, abs=20)


def test_a_corpus_without_plays_is_refused_and_the_model_stays(
    recipe: Recipe, tmp_path: Path
) -> None:
    path = base_model(tmp_path / "corpus", recipe, with_plays=False)
    manifest = (path / "manifest.json").read_bytes()
    result = run(path, "--corpus", tmp_path / "corpus")
    assert result.exit_code == 2
    assert result.stderr.startswith("read_plays: the training part has no plays")
    assert (path / "manifest.json").read_bytes() == manifest
