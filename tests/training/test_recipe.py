from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from lorelm.errors import RecipeError
from lorelm.training.corpus_size import sized_to
from lorelm.training.recipe import (
    BUILT_IN_RECIPES,
    EARLIER,
    Recipe,
    describe_recipe,
    given_settings,
)


def test_the_classic_recipe_is_the_classic_one() -> None:
    assert Recipe.load("classic").to_dict() == {
        "tokenizer": "classic",
        "min_frequency": 3,
        "max_vocabulary": 0,
        "vocabulary": "own",
        "excluded_words": "",
        "embedding_size": 512,
        "hidden_size": 512,
        "num_layers": 2,
        "tied": False,
        "dropout": 0.65,
        "locked_dropout": False,
        "word_dropout": 0.0,
        "recurrent_dropout": 0.0,
        "activation_penalty": 0.0,
        "temporal_penalty": 0.0,
        "schedule": "plateau",
        "learning_rate": 1e-3,
        "learning_rate_decay": 0.5,
        "warm_up": 0.0,
        "second_moment_decay": 0.999,
        "weight_average": 0.0,
        "max_gradient_norm": 0.25,
        "batch_size": 64,
        "bptt": 50,
        "shuffle": False,
        "epochs": 20,
        "precision": "float32",
        "by_corpus_size": [],
        "fitted": [],
        "seed": 0,
        "split_seed": 42,
        "dropout_ramp": 0.0,
        "sampled_words": 0,
        "unfreezing": 0.0,
    }


@pytest.mark.parametrize("name", BUILT_IN_RECIPES)
def test_every_built_in_recipe_is_valid(name: str) -> None:
    assert Recipe.load(name).epochs >= 1


def test_overrides_come_last_and_none_values_are_ignored() -> None:
    recipe = Recipe.load("classic", epochs=2, bptt=None)
    assert (recipe.epochs, recipe.bptt) == (2, 50)


def test_a_file_changes_what_it_names_and_keeps_the_rest_of_its_base(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "classic"\nepochs = 3\ndropout = 0\n')
    assert Recipe.load(str(path)) == Recipe.load("classic", epochs=3, dropout=0)


def test_without_a_base_the_rest_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("epochs = 3\n")
    assert Recipe.load(str(path)) == Recipe.load("default", epochs=3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("epoch = 3", "epoch: is not a setting .recipe .*mine.toml.: did you mean epochs"),
        ("wings = 3", "wings: is not a setting .*: the settings are tokenizer"),
        ("epochs = 'ten'", "epochs: must be a whole number from 1 to 1,000,000, not 'ten'"),
        ("epochs = 1.5", "epochs: must be a whole number from 1 to 1,000,000, not 1.5"),
        ("epochs = true", "epochs: must be a whole number from 1 to 1,000,000, not True"),
        ("epochs = 0", "epochs: must be a whole number from 1 to 1,000,000, not 0"),
        (f"hidden_size = {10**28}", "_size: must be a whole number from 1 to 1,000,000, not 1000"),
        ("num_layers = 101", "num_layers: must be a whole number from 1 to 100, not 101"),
        ("epochs = 1" + "0" * 5000, "is not TOML: Exceeds the limit"),
        ("epochs = " + "[" * 5000, "is not TOML: "),
        ("dropout = 1.0", "dropout: must be a number from 0 to below 1"),
        ("learning_rate = inf", "learning_rate: must be a number above 0 and at most 10"),
        ("learning_rate = nan", "learning_rate: must be a number above 0 and at most 10"),
        ("learning_rate_decay = 2", "learning_rate_decay: must be a number above 0 and below 1"),
        ("seed = -1", "seed: must be a whole number from 0"),
        ("tokenizer = 'letters'", "tokenizer: must be one of words, subword, classic"),
        ("by_corpus_size = ['bptt']", "by_corpus_size may name .* and not 'bptt'"),
        ("by_corpus_size = 5", "by_corpus_size must be a list of names of settings, not 5"),
        ("by_corpus_size = 'epochs'", "must be a list of names of settings, not 'epochs'"),
        ("by_corpus_size = [['epochs']]", "must be a list of names of settings, not"),
        ("base = 'modern'", "based on 'modern', which is none of base, classic, default"),
        ("epochs =", "is not TOML"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(RecipeError, match=message):
        Recipe.load(str(path))


def test_all_wrong_settings_are_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("epoch = 3\ndropout = 1\nbptt = 0\ntied = 1\n")
    with pytest.raises(RecipeError) as caught:
        Recipe.load(str(path), seed=-1)
    wrong = [problem.field for problem in caught.value.problems]
    assert sorted(wrong) == ["bptt", "dropout", "epoch", "seed", "tied"]


def test_settings_of_the_user_differ_from_those_of_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "classic"\nepochs = 3\n')
    assert given_settings(str(path), bptt=7, seed=None) == {"epochs", "bptt"}
    assert given_settings("classic") == set()


def test_a_recipe_that_does_not_exist_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"no recipe 'grand'.*base, classic, default, fine-tune"):
        Recipe.load("grand")


def test_a_recipe_in_json_comes_back() -> None:
    for name in BUILT_IN_RECIPES:
        recipe = Recipe.load(name)
        assert Recipe.from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize("name", BUILT_IN_RECIPES)
def test_a_recipe_is_described_by_its_name_whatever_was_fitted(name: str) -> None:
    recipe = sized_to(Recipe.load(name), 1_000_000)
    assert describe_recipe(recipe.to_dict()) == name


def test_a_description_names_what_was_changed() -> None:
    recipe = Recipe.load("classic", epochs=3, dropout=0.5)
    assert describe_recipe(recipe.to_dict()) == "classic, dropout 0.5, epochs 3"


@pytest.mark.parametrize(
    ("given", "description"),
    [
        ({"epochs": 20, "batch_size": 4}, "default, batch_size 4, epochs 20"),
        ({"epochs": 14}, "default, epochs 14"),  # as in the recipe's file, but not fitted
        ({"hidden_size": 60}, "default, embedding_size 60, hidden_size 60"),
    ],
)
def test_a_description_names_what_was_given_instead_of_fitted(
    given: dict[str, int], description: str
) -> None:
    recipe = sized_to(Recipe.load("default", **given), 1_000_000)
    settings = Recipe.from_dict(recipe.to_dict()).to_dict()
    assert describe_recipe(settings) == description
    del settings["fitted"]  # a run of an earlier version does not say it
    assert describe_recipe(settings) == "default"


def test_settings_of_another_version_are_described() -> None:
    assert describe_recipe({"tokenizer": "classic", "num_layers": 2, "magic": True}) == "classic"


def test_settings_have_no_default_beside_the_recipes() -> None:
    """The command line would give it, and so override the recipe."""
    assert [field.name for field in fields(Recipe) if field.default is not MISSING] == [
        "by_corpus_size",
        "fitted",
    ]


def test_recipes_of_earlier_versions_are_read_as_they_were_trained() -> None:
    settings = Recipe.load("classic").to_dict()
    earlier = {name: settings[name] for name in settings.keys() - EARLIER.keys()}
    assert Recipe.from_dict(earlier) == Recipe.load("classic")


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"tied": True, "embedding_size": 300, "hidden_size": 300}, (150, 150)),
        ({"tied": True, "embedding_size": 100, "hidden_size": 300}, (50, 150)),
        ({"tied": False, "embedding_size": 100, "hidden_size": 300}, (100, 150)),
    ],
)
def test_a_tied_embedding_keeps_its_share_of_the_width(
    sizes: dict[str, object], expected: tuple[int, int]
) -> None:
    recipe = Recipe.load("default", **sizes).at_width(150)
    assert (recipe.embedding_size, recipe.hidden_size) == expected
