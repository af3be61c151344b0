import dataclasses
import itertools

import pytest

from lorelm.training.corpus_size import sized_to
from lorelm.training.recipe import BUILT_IN_RECIPES, Recipe


@pytest.mark.parametrize("name", BUILT_IN_RECIPES)
@pytest.mark.parametrize("num_tokens", [10, 60_001, 10**6, 10**7, 10**9])
def test_every_recipe_fits_every_corpus(name: str, num_tokens: int) -> None:
    sized = sized_to(Recipe.load(name), num_tokens)
    assert sized.by_corpus_size == ()
    assert sized_to(sized, 10) == sized


def test_more_text_makes_wider_models_fewer_epochs_and_less_dropout() -> None:
    sized = [sized_to(Recipe.load("default"), 10**n) for n in range(4, 9)]
    for one, next_one in itertools.pairwise(sized):
        assert one.hidden_size <= next_one.hidden_size
        assert one.epochs > next_one.epochs
        assert one.dropout > next_one.dropout


def test_what_is_given_by_hand_stays() -> None:
    recipe = Recipe.load("default", hidden_size=64, epochs=3)
    sized = sized_to(recipe, 10**7)
    assert (sized.hidden_size, sized.embedding_size, sized.epochs) == (64, 64, 3)
    assert sized.dropout != recipe.dropout


def test_the_recipe_for_the_films_is_as_its_file_says() -> None:
    recipe = Recipe.load("default")
    sized = dataclasses.replace(recipe, by_corpus_size=(), fitted=recipe.by_corpus_size)
    assert sized_to(recipe, 22_000) == sized


def test_classic_is_the_same_for_every_corpus() -> None:
    assert sized_to(Recipe.load("classic"), 10**8) == Recipe.load("classic")
