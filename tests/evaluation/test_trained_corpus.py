from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents, ReadingOptions
from lorelm.corpus.readers import read_documents
from lorelm.errors import CorpusError
from lorelm.evaluation.trained_corpus import (
    common_test_part,
    find_trained_corpus,
    reading_options_of,
    split_as_trained,
)
from lorelm.training.recipe import Recipe
from lorelm.training.train import train

pytestmark = pytest.mark.system

Trained = Callable[..., Bundle]


@pytest.fixture
def tales_file(tales: Documents, tmp_path: Path) -> Path:
    path = tmp_path / "tales.txt"
    path.write_text("\n".join(text.replace("\n", " ") for text in tales.texts), encoding="utf-8")
    return path


@pytest.fixture
def trained(tales_file: Path, tiny_recipe: Recipe, tmp_path: Path) -> Trained:
    def run(
        name: str, *, valid: Path | None = None, test: Path | None = None, **settings: object
    ) -> Bundle:
        recipe = Recipe(**(tiny_recipe.to_dict() | {"epochs": 1} | settings))
        return train(
            read_documents(tales_file),
            recipe,
            out=tmp_path / name,
            valid=valid and read_documents(valid),
            test=test and read_documents(test),
        )

    return run


def test_it_is_split_again_as_it_was(trained: Trained) -> None:
    bundle = trained("model")
    corpus = find_trained_corpus(bundle)
    assert corpus.vocabulary == bundle.vocabulary
    assert len(corpus.test.stream) == bundle.manifest.corpus.test_tokens
    assert corpus.train.num_documents == bundle.manifest.corpus.train_documents


def test_three_files_are_read_again(trained: Trained, tmp_path: Path) -> None:
    held_out = tmp_path / "held-out.txt"
    held_out.write_text("The fox sat by the mill.\nThe owl sat by the hill.\n")
    bundle = trained("model", valid=held_out, test=held_out)
    assert find_trained_corpus(bundle).test.num_documents == 2
    assert common_test_part([bundle, bundle]).texts == read_documents(held_out).texts


@pytest.mark.parametrize("given", ["valid", "test"])
def test_a_part_that_was_split_off_is_split_off_again(
    trained: Trained, tales_file: Path, tmp_path: Path, given: str
) -> None:
    held_out = tmp_path / "held-out.txt"
    held_out.write_text("The fox sat by the mill.\nThe owl sat by the hill.\n")
    whole, bundle = trained("whole"), trained("model", **{given: held_out})
    corpus = find_trained_corpus(bundle)
    assert getattr(corpus, given).num_documents == 2
    assert corpus.train.num_documents == bundle.manifest.corpus.train_documents
    other = "test" if given == "valid" else "valid"
    expected = getattr(find_trained_corpus(whole), other)
    assert getattr(corpus, other).documents == expected.documents
    assert common_test_part([bundle]).texts == (
        read_documents(held_out).texts if given == "test" else common_test_part([whole]).texts
    )
    with raises_code(CorpusError, "corpus.different_corpora"):
        common_test_part([bundle, trained("other", valid=held_out, test=held_out)])


def test_a_corpus_that_has_changed_is_refused(trained: Trained, tales_file: Path) -> None:
    bundle = trained("model")
    tales_file.write_text(
        tales_file.read_text(encoding="utf-8") + "\nOne more line.", encoding="utf-8"
    )
    with raises_code(CorpusError, "corpus.changed"):
        find_trained_corpus(bundle)


def test_a_corpus_that_is_gone_is_refused(trained: Trained, tales_file: Path) -> None:
    bundle = trained("model")
    tales_file.unlink()
    with raises_code(CorpusError, "corpus.gone"):
        find_trained_corpus(bundle)


def test_a_manifest_names_files_without_their_folders(trained: Trained, tmp_path: Path) -> None:
    held_out = tmp_path / "held-out.txt"
    held_out.write_text("The fox sat by the mill.\nThe owl sat by the hill.\n")
    files = trained("model", valid=held_out).manifest.corpus.files
    assert [file and file.path for file in files] == ["tales.txt", "held-out.txt", None]


@pytest.mark.parametrize("folder", ["here", "models", "."])
def test_the_corpus_is_found_here_beside_the_bundle_and_above(
    trained: Trained,
    tales_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
) -> None:
    bundle = trained("models/one")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    tales_file.rename(tmp_path / folder / "tales.txt")
    # The first of these is no text, and the second another one: none of them is the corpus.
    for number, other in enumerate({"here", "models", "."} - {folder}):
        (tmp_path / other / "tales.txt").write_text("" if number else "A story.\nThe end.\n")
    assert find_trained_corpus(bundle).fingerprint == bundle.manifest.corpus.fingerprint


def test_a_path_in_the_manifest_of_an_older_bundle_still_counts(
    trained: Trained, tales_file: Path, tmp_path: Path
) -> None:
    bundle = trained("models/deep/one")
    (tmp_path / "elsewhere").mkdir()
    moved = tales_file.rename(tmp_path / "elsewhere" / "tales.txt")
    with raises_code(CorpusError, "corpus.gone") as caught:
        find_trained_corpus(bundle)
    assert "(tales.txt)" in str(caught.value)
    assert f"lorelm evaluate {bundle.path} FILE" in str(caught.value)
    [file] = bundle.manifest.corpus.files
    corpus = bundle.manifest.corpus.model_copy(update={"files": (replace(file, path=str(moved)),)})
    older = replace(bundle, manifest=bundle.manifest.model_copy(update={"corpus": corpus}))
    assert find_trained_corpus(older).fingerprint == corpus.fingerprint


def test_a_file_of_the_name_of_the_corpus_is_read_as_it_was(trained: Trained) -> None:
    bundle = trained("model")
    [file] = bundle.manifest.corpus.files
    default = ReadingOptions()
    assert file.options != default  # a line is a document
    assert reading_options_of(bundle, "moved/tales.txt", default) == file.options
    assert reading_options_of(bundle, "other.txt", default) == default
    given = ReadingOptions(document="paragraph")
    assert reading_options_of(bundle, "moved/tales.txt", given) == given


def test_a_bundle_that_names_no_file_is_refused(tiny_bundle: Path) -> None:
    with raises_code(CorpusError, "corpus.no_file"):
        find_trained_corpus(Bundle.load(tiny_bundle))


def test_other_documents_are_not_its_corpus(tiny_bundle: Path, tales: Documents) -> None:
    bundle = Bundle.load(tiny_bundle)
    assert split_as_trained(bundle, tales) is not None
    other = Documents(texts=tales.texts[1:], source="tales")
    assert split_as_trained(bundle, other) is None


def test_the_test_part_is_the_same_for_every_tokenizer(trained: Trained) -> None:
    words = trained("words")
    classic = trained("classic", tokenizer="classic")
    texts = common_test_part([words, classic]).texts
    assert texts == common_test_part([classic, words]).texts
    for bundle in (words, classic):
        expected = [bundle.tokenizer.tokenize(text) for text in texts]
        assert find_trained_corpus(bundle).test.documents == expected


def test_models_of_different_splits_have_no_common_test_part(trained: Trained) -> None:
    with raises_code(CorpusError, "corpus.different_corpora"):
        common_test_part([trained("one"), trained("two", split_seed=7)])
