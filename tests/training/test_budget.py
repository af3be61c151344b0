import dataclasses

import pytest
import torch

from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.training.budget import Plan, plan
from lorelm.training.recipe import Recipe

CPU = torch.device("cpu")
RECIPE = dataclasses.replace(Recipe.load("default", tokenizer="words"), by_corpus_size=())


@pytest.fixture(scope="module")
def corpus(tales: Documents) -> Corpus:
    return prepare_corpus(tales, tokenizer=make_tokenizer("words"), min_frequency=1, split_seed=42)


def planned(corpus: Corpus, budget_seconds: float, *, may_change_width: bool = True) -> Plan:
    """On a machine on which the recipe takes 100 s, and the time grows with the width squared."""

    def seconds_of(corpus: Corpus, recipe: Recipe, *, device: torch.device) -> float:
        return 100 * (recipe.hidden_size / 300) ** 2 * recipe.epochs / RECIPE.epochs

    return plan(
        corpus,
        RECIPE,
        budget_seconds,
        device=CPU,
        may_change_width=may_change_width,
        seconds_of=seconds_of,
    )


def test_the_recipe_stays_where_it_fits(corpus: Corpus) -> None:
    found = planned(corpus, 102)
    assert found.recipe.hidden_size == 300
    assert found.recipe.epochs == pytest.approx(RECIPE.epochs, abs=1)
    assert found.training_seconds == pytest.approx(102, abs=2)


def test_a_short_time_makes_it_narrower_and_shorter(corpus: Corpus) -> None:
    found = planned(corpus, 40)
    assert found.recipe.hidden_size == 200
    assert found.recipe.embedding_size == 200
    assert found.recipe.epochs == pytest.approx(RECIPE.epochs * 0.9, abs=2)
    least = planned(corpus, 0.1)
    assert (least.recipe.hidden_size, least.recipe.epochs) == (100, 1)


def test_a_long_time_makes_it_wider_and_then_longer(corpus: Corpus) -> None:
    found = planned(corpus, 300)
    assert found.recipe.hidden_size == 500
    assert RECIPE.epochs < found.recipe.epochs < 1.2 * RECIPE.epochs


def test_a_time_that_cannot_be_used_up_is_not(corpus: Corpus) -> None:
    found = planned(corpus, 10**6)
    assert found.training_seconds is None
    assert found.recipe.epochs == 3 * RECIPE.epochs


def test_the_width_stays_where_it_must(corpus: Corpus) -> None:
    for budget_seconds in (1, 10**6):
        found = planned(corpus, budget_seconds, may_change_width=False)
        assert found.recipe.hidden_size == 300
