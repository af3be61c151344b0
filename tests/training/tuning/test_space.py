"""The settings that are tuned, and their ranges."""

import dataclasses

import pytest

from lorelm.parameters import parameters_of
from lorelm.training.corpus_size import sized_to
from lorelm.training.recipe import BUILT_IN_RECIPES, Recipe
from lorelm.training.tuning.space import (
    changed_recipe,
    own_parameters,
    search_space,
    widest_recipe,
)


@pytest.mark.parametrize("name", BUILT_IN_RECIPES)
@pytest.mark.parametrize("num_tokens", [2_000, 1_000_000, 100_000_000])
def test_every_value_of_a_space_makes_a_recipe_and_the_recipe_is_in_it(
    name: str, num_tokens: int
) -> None:
    recipe = sized_to(Recipe.load(name), num_tokens)
    space = search_space(recipe)
    assert len(space) >= 6
    for setting, each in space.items():
        assert each.low <= getattr(recipe, setting) <= each.high
        assert each.is_whole == parameters_of(Recipe)[setting].is_whole
    for end in ("low", "high"):
        found = changed_recipe(recipe, {name: getattr(each, end) for name, each in space.items()})
        assert found != recipe  # and no error was raised
    assert changed_recipe(recipe, own_parameters(recipe, space)) == recipe


def test_a_space_is_relative_to_its_recipe() -> None:
    small, large = (
        search_space(Recipe.load("default", hidden_size=size, learning_rate=rate))
        for size, rate in ((100, 0.001), (400, 0.004))
    )
    for name in ("hidden_size", "learning_rate"):
        assert large[name].low == pytest.approx(4 * small[name].low)
        assert large[name].high == pytest.approx(4 * small[name].high)


def test_what_has_no_effect_or_is_off_is_not_tuned() -> None:
    tied, classic = (search_space(Recipe.load(name)) for name in ("default", "classic"))
    assert "embedding_size" not in tied
    assert "learning_rate_decay" not in tied
    assert {"embedding_size", "learning_rate_decay"} <= classic.keys()
    assert not {"activation_penalty", "weight_average"} & classic.keys()  # 0 in this recipe


def test_what_is_given_stays() -> None:
    recipe = Recipe.load("default")
    assert "epochs" not in search_space(recipe, fixed=["epochs"])
    for name in ("embedding_size", "hidden_size"):  # the hidden size stands for both
        assert not {"embedding_size", "hidden_size"} & search_space(recipe, fixed=[name]).keys()


def test_seeds_parts_and_tokenizer_are_never_tuned() -> None:
    names = {"seed", "split_seed", "tokenizer", "min_frequency", "precision"}
    assert not any(names & search_space(Recipe.load(name)).keys() for name in BUILT_IN_RECIPES)


def test_proposed_values_have_two_digits_and_the_own_ones_all_of_theirs() -> None:
    recipe = Recipe.load("default", learning_rate=0.0123456, weight_average=0.995)
    proposed = {
        "learning_rate": 0.0123456,
        "dropout": 0.4567,
        "hidden_size": 347,
        "weight_average": 0.99234567,
    }
    changed = changed_recipe(recipe, proposed)
    assert changed.learning_rate == 0.0123456
    assert (changed.dropout, changed.hidden_size, changed.embedding_size) == (0.46, 350, 350)
    assert changed.weight_average == 0.9923


def test_the_widest_recipe_has_the_largest_model_and_nothing_else_changed() -> None:
    recipe = Recipe.load("default", hidden_size=100)
    widest = widest_recipe(recipe, search_space(recipe))
    assert widest == dataclasses.replace(recipe, hidden_size=160, embedding_size=160)
    fixed = search_space(recipe, fixed=["hidden_size"])
    assert widest_recipe(recipe, fixed) == recipe
