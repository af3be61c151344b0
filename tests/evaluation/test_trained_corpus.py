from collections.abc import Callable
from pathlib import Path

import pytest

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.corpus.readers import read_documents
from lorelm.errors import CorpusError
from lorelm.evaluation.trained_corpus import (
    common_test_part,
    find_trained_corpus,
    split_as_trained,
)
from lorelm.training.recipe import Recipe
from lorelm.training.train import train

Trained = Callable[..., Bundle]


@pytest.fixture
def tales_file(tales: Documents, tmp_path: Path) -> Path:
    path = tmp_path / "tales.txt"
    path.write_text("\n".join(text.replace("\n", " ") for text in tales.texts), encoding="utf-8")
    return path


@pytest.fixture
def trained(tales_file: Path, tiny_recipe: Recipe, tmp_path: Path) -> Trained:
    def run(name: str, *, split_into: list[Path] | None = None, **settings: object) -> Bundle:
        recipe = Recipe(**(tiny_recipe.to_dict() | {"epochs": 1} | settings))
        documents, *held_out = [read_documents(path) for path in split_into or [tales_file]]
        parts = dict(zip(("valid", "test"), held_out, strict=False))
        result = train(documents, recipe, out=tmp_path / name, **parts)
        return Bundle.load(result.path)

    return run


def test_it_is_split_again_as_it_was(trained: Trained) -> None:
    bundle = trained("model")
    corpus = find_trained_corpus(bundle)
    assert corpus.vocabulary == bundle.vocabulary
    assert len(corpus.test.stream) == bundle.manifest.corpus.test_tokens
    assert corpus.train.num_documents == bundle.manifest.corpus.train_documents


def test_three_files_are_read_again(trained: Trained, tales_file: Path, tmp_path: Path) -> None:
    held_out = tmp_path / "held-out.txt"
    held_out.write_text("The fox sat by the mill.\nThe owl sat by the hill.\n")
    bundle = trained("model", split_into=[tales_file, held_out, held_out])
    assert find_trained_corpus(bundle).test.num_documents == 2
    assert common_test_part([bundle, bundle]).texts == read_documents(held_out).texts


def test_a_corpus_that_has_changed_is_refused(trained: Trained, tales_file: Path) -> None:
    bundle = trained("model")
    tales_file.write_text(tales_file.read_text() + "\nOne more line.")
    with pytest.raises(CorpusError, match=r"tales.txt is not as it was when bundle .*model"):
        find_trained_corpus(bundle)


def test_a_corpus_that_is_gone_is_refused(trained: Trained, tales_file: Path) -> None:
    bundle = trained("model")
    tales_file.unlink()
    with pytest.raises(CorpusError, match=r"not where it was \(there is no file .*tales.txt"):
        find_trained_corpus(bundle)


def test_a_bundle_that_names_no_file_is_refused(tiny_bundle: Path) -> None:
    with pytest.raises(CorpusError, match="does not say which file"):
        find_trained_corpus(Bundle.load(tiny_bundle))


def test_other_documents_are_not_its_corpus(tiny_bundle: Path, tales: Documents) -> None:
    bundle = Bundle.load(tiny_bundle)
    assert split_as_trained(bundle, [tales]) is not None
    other = Documents(texts=tales.texts[1:], source="tales")
    assert split_as_trained(bundle, [other]) is None


def test_the_test_part_is_the_same_for_every_tokenizer(trained: Trained) -> None:
    words = trained("words")
    classic = trained("classic", tokenizer="classic")
    texts = common_test_part([words, classic]).texts
    assert texts == common_test_part([classic, words]).texts
    for bundle in (words, classic):
        expected = [bundle.tokenizer.tokenize(text) for text in texts]
        assert find_trained_corpus(bundle).test.documents == expected


def test_models_of_different_splits_have_no_common_test_part(trained: Trained) -> None:
    with pytest.raises(CorpusError, match=r"different corpora or splits.*--text"):
        common_test_part([trained("one"), trained("two", split_seed=7)])
