import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus
from lorelm.corpus.special_tokens import OTHER_SPEAKER
from lorelm.corpus.tokenizer import Tokenizer, make_tokenizer
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Vocabulary
from lorelm.errors import BundleError, RecipeError
from lorelm.training.initial_checkpoint import (
    initial_model,
    initial_weights,
    word_sources,
)
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.start import load_initial_checkpoint
from lorelm.training.train import train

BY_WORD = ("embedding.weight", "fc.weight", "fc.bias")
WORDS, CLASSIC = make_tokenizer("words"), make_tokenizer("classic")


def vocabulary(*words: str) -> Vocabulary:
    return Vocabulary(["<unk>", "<eos>", *words])


def sources(
    new: list[str], known: list[str], tokenizer: Tokenizer = WORDS, before: Tokenizer = WORDS
) -> list[str | None]:
    """The known word for each new one."""
    known_words = vocabulary(*known)
    ids = word_sources(vocabulary(*new), tokenizer, known_words, before)
    assert ids[:2] == [UNK_ID, EOS_ID]
    return [known_words.words[id_] if id_ >= 0 else None for id_ in ids[2:]]


def test_a_known_word_is_its_own_source() -> None:
    assert sources(["owl", "fox"], ["fox", "hare", "owl"]) == ["owl", "fox"]
    assert sources(["fox", "Fox"], ["Fox", "fox"]) == ["fox", "Fox"]


def test_small_letters_and_capitals_stand_in_for_each_other() -> None:
    assert sources(["Fox", "owl", "HARE"], ["fox", "Owl", "hare"]) == ["fox", "Owl", "hare"]


def test_a_mark_of_another_spacing_stands_in() -> None:
    assert sources(["￭,", "“￭"], [",", "“"]) == [",", "“"]


def test_another_apostrophe_or_quotation_mark_stands_in() -> None:
    known = ["don't", "'￭", "￭'", '"￭']
    assert sources(["don’t", "donʼt", "´￭", "￭´", "„￭"], known) == [
        *("don't", "don't", "'￭", "￭'", '"￭'),
    ]


def test_the_most_frequent_of_several_stands_in() -> None:
    assert sources(["FOX"], ["Fox", "fox"]) == ["Fox"]


def test_a_new_word_has_no_source() -> None:
    assert sources(["toad", "fox"], ["fox"]) == [None, "fox"]


def test_classic_words_come_from_a_vocabulary_with_capitals() -> None:
    known = ["￭,", "the", "The", "Gandalf"]
    assert sources(["the", "gandalf", "ring"], known, CLASSIC, WORDS) == ["the", "Gandalf", None]


def test_words_with_capitals_come_from_a_classic_vocabulary() -> None:
    known = ["the", "gandalf"]
    assert sources(["The", "Gandalf", "￭,"], known, WORDS, CLASSIC) == ["the", "gandalf", None]


@pytest.fixture(scope="module")
def train_tied(
    tales: Documents, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], Path]:
    def train_tied(embedding_size: int) -> Path:
        path = tmp_path_factory.mktemp("tied") / "tales"
        sizes = {"tied": True, "embedding_size": embedding_size}
        recipe = dataclasses.replace(tiny_recipe, **sizes, epochs=1)
        train(tales, recipe, out=path, options=TrainingOptions(device="cpu"))
        return path

    return train_tied


@pytest.fixture(scope="module")
def tied_bundle(train_tied: Callable[[int], Path]) -> Path:
    return train_tied(32)


@pytest.fixture(scope="module")
def projected_bundle(train_tied: Callable[[int], Path]) -> Path:
    return train_tied(12)


@pytest.mark.parametrize("fixture", ["tiny_bundle", "tied_bundle", "projected_bundle"])
def test_rows_go_with_their_words(fixture: str, request: pytest.FixtureRequest) -> None:
    bundle = Bundle.load(request.getfixturevalue(fixture))
    known = list(bundle.vocabulary.words)
    before = bundle.weights()
    new = Vocabulary([*known[:2], "Quokka", *reversed(known[2:]), "wombat"])
    weights = initial_weights(bundle, new, bundle.tokenizer)
    assert weights.keys() == before.keys()
    for name in BY_WORD:
        assert weights[name].dtype == np.float32
        for word in known:
            found = weights[name][new.words.index(word)]
            assert (found == before[name][known.index(word)]).all(), (name, word)
        for word in ("Quokka", "wombat"):
            np.testing.assert_allclose(
                weights[name][new.words.index(word)], before[name].mean(axis=0), atol=1e-6
            )
    for name in before.keys() - set(BY_WORD):
        assert (weights[name] == before[name]).all()
    if bundle.manifest.model.tied:
        assert (weights["fc.weight"] == weights["embedding.weight"]).all()


def test_a_new_word_is_the_mean_of_the_words_that_both_know(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    weights = initial_weights(bundle, vocabulary("fox", "owl", "wombat"), bundle.tokenizer)
    vectors = weights["embedding.weight"]
    np.testing.assert_allclose(vectors[4], vectors[:4].mean(axis=0), atol=1e-6)


def test_words_with_the_vector_of_one_word_share_its_probability(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    new = vocabulary("fox", "Fox", "owl", "wombat")
    counts_V = np.array([0, 4, 5, 2, 1, 7])
    weights = initial_weights(bundle, new, bundle.tokenizer, counts_V=counts_V)
    alone = initial_weights(bundle, new, bundle.tokenizer)
    change_V = weights["fc.bias"] - alone["fc.bias"]
    np.testing.assert_allclose(change_V, np.log([1, 1, 6 / 9, 3 / 9, 1, 1]), atol=1e-5)
    np.testing.assert_array_equal(weights["embedding.weight"], alone["embedding.weight"])


def test_a_new_speaker_with_few_turns_begins_near_the_other_speaker(scene_bundle: Path) -> None:
    bundle = Bundle.load(scene_bundle)
    new = vocabulary("mill", "<speaker OWL>", "<speaker JOAN>", "<speaker BOB>", OTHER_SPEAKER)
    counts_V = np.array([0, 9, 40, 30, 10, 90, 3])
    weights = initial_weights(bundle, new, bundle.tokenizer, counts_V=counts_V)
    alone = initial_weights(bundle, new, bundle.tokenizer)
    joan, bob, other = 4, 5, 6
    for name in ("embedding.weight", "fc.weight"):
        for id_, nearness in ((joan, 0.75), (bob, 0.25)):
            expected = (1 - nearness) * alone[name][id_] + nearness * alone[name][other]
            np.testing.assert_allclose(weights[name][id_], expected, atol=1e-5)
        np.testing.assert_array_equal(weights[name][[2, 3, other]], alone[name][[2, 3, other]])
    expected = 0.25 * alone["fc.bias"][joan] + 0.75 * (alone["fc.bias"][other] + np.log(11 / 102))
    assert weights["fc.bias"][joan] == pytest.approx(expected, abs=1e-5)


@pytest.mark.system
@pytest.mark.parametrize("fixture", ["tied_bundle", "projected_bundle"])
def test_training_begins_with_the_weights_of_a_bundle(
    tales: Documents,
    tiny_recipe: Recipe,
    fixture: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    bundle = request.getfixturevalue(fixture)
    recipe = dataclasses.replace(tiny_recipe, epochs=1, learning_rate=1e-9)
    options = TrainingOptions(device="cpu", init=str(bundle))
    train(tales, recipe, out=tmp_path / "m", options=options)
    begun, known = Bundle.load(tmp_path / "m"), Bundle.load(bundle)
    assert begun.manifest.model == known.manifest.model
    for name, weight in known.weights().items():
        np.testing.assert_allclose(begun.weights()[name], weight, atol=1e-6)


@pytest.mark.system
def test_a_training_that_does_harm_ends_nearer_to_the_base(
    tales: Documents, tiny_recipe: Recipe, tiny_bundle: Path, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(tiny_recipe, epochs=1, learning_rate=0.05, weight_average=0.0)
    options = TrainingOptions(device="cpu", init=str(tiny_bundle))
    bundle = train(tales, recipe, out=tmp_path / "m", options=options)
    assert bundle is not None
    assert bundle.manifest.training is not None
    assert bundle.manifest.training.base_share == 0.5


@pytest.mark.system
def test_a_bundle_without_weights_is_refused(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(tiny_recipe, epochs=1)
    serving = TrainingOptions(device="cpu", serving_only=True)
    train(tales, recipe, out=tmp_path / "serving", options=serving)
    options = TrainingOptions(device="cpu", init=str(tmp_path / "serving"))
    with pytest.raises(BundleError, match=r"has no weights\.safetensors: it is a serving bundle"):
        train(tales, recipe, out=tmp_path / "m", options=options)
    assert not (tmp_path / "m").exists()


def test_weights_that_are_no_numbers_are_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(tiny_bundle, tmp_path / "broken"))
    weights = load_file(path / "weights.safetensors")
    weights["fc.bias"][3] = np.nan
    save_file(weights, path / "weights.safetensors")
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256((path / "weights.safetensors").read_bytes()).hexdigest()
    manifest["files"]["weights.safetensors"] = digest
    (path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with raises_code(BundleError, "bundle.weights_not_finite"):
        load_initial_checkpoint(path)


def test_what_an_imported_model_never_saw_is_new_to_it(
    new_imported_bundle: Callable[[list[str]], Path],
) -> None:
    words = [f"w{number}" for number in range(30)]
    bundle = Bundle.load(new_imported_bundle(words))
    weights = initial_weights(bundle, vocabulary("w3", "w5"), CLASSIC)
    known = bundle.weights()
    rows = bundle.vocabulary.encode(["w3", "w5"])
    for name in BY_WORD:
        np.testing.assert_array_equal(weights[name][2:], known[name][rows])
        for new in (UNK_ID, EOS_ID):
            np.testing.assert_allclose(
                weights[name][new], known[name][rows].mean(axis=0), rtol=1e-5
            )


def test_a_model_too_large_for_memory_is_refused(corpus: Corpus, tiny_recipe: Recipe) -> None:
    recipe = dataclasses.replace(tiny_recipe, hidden_size=10**6)
    with raises_code(RecipeError, "recipe.no_memory") as caught:
        initial_model(corpus, recipe, torch.device("cpu"))
    assert "no memory for 2 layers" in str(caught.value)
    assert "smaller hidden_size (--hidden-size)" in str(caught.value)


def test_other_errors_of_a_device_are_not_reported_as_a_lack_of_memory(
    corpus: Corpus, tiny_recipe: Recipe
) -> None:
    with pytest.raises(RuntimeError, match="vulkan"):
        initial_model(corpus, tiny_recipe, torch.device("vulkan"))
