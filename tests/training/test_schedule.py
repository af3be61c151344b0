import pytest

from lorelm.training.recipe import Recipe
from lorelm.training.schedule import LearningRate, cosine


@pytest.mark.parametrize(
    ("progress", "factor"),
    [
        (0.0, 0.0),
        (0.05, 0.5),  # half of the warm-up
        (0.1, 1.0),
        (0.325, 0.855018),  # a quarter of the wave: 0.01 + 0.99 (1 + cos 45°) / 2
        (0.55, 0.505),  # half: 0.01 + 0.99 / 2
        (0.7, 0.2575),  # two thirds: 0.01 + 0.99 (1 + cos 120°) / 2
        (1.0, 0.01),
    ],
)
def test_the_cosine_is_that_worked_by_hand(progress: float, factor: float) -> None:
    assert cosine(progress, warm_up=0.1) == pytest.approx(factor, abs=1e-6)


def test_without_a_warm_up_the_cosine_begins_at_its_top() -> None:
    assert cosine(0.0, warm_up=0.0) == 1.0


def test_the_cosine_of_a_recipe_has_its_top_and_its_warm_up() -> None:
    recipe = Recipe.load("default", learning_rate=0.02, warm_up=0.2)
    rate = LearningRate(recipe)
    assert rate.at(0.1) == pytest.approx(0.01)
    assert rate.at(0.2) == pytest.approx(0.02)
    rate.on_validation(1.0)
    rate.on_validation(2.0)
    assert rate.at(0.2) == pytest.approx(0.02), "validation has no say in it"


def plateau() -> LearningRate:
    return LearningRate(Recipe.load("classic", learning_rate=0.08, learning_rate_decay=0.25))


def test_the_plateau_lowers_the_rate_where_validation_makes_no_progress() -> None:
    rate = plateau()
    rates = []
    # The third is better than the best by less than one in ten thousand; the fifth by more.
    for loss in (5.0, 4.0, 3.9997, 4.5, 3.9):
        rate.on_validation(loss)
        rates.append(rate.at(0.5))
    assert rates == pytest.approx([0.08, 0.08, 0.02, 0.005, 0.005])


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_an_explosion_halves_the_rate_for_good(schedule: str) -> None:
    recipe = Recipe.load("classic", schedule=schedule)
    rate, halved = LearningRate(recipe), LearningRate(recipe)
    halved.num_halved = 2
    assert halved.at(0.3) == pytest.approx(rate.at(0.3) / 4)


def test_what_is_restored_goes_on_as_it_was() -> None:
    rate, restored = plateau(), plateau()
    for loss in (5.0, 6.0):
        rate.on_validation(loss)
    rate.num_halved = 1
    restored.restore(rate.state)
    for one in (rate, restored):
        one.on_validation(5.5)
    assert restored.at(0.5) == rate.at(0.5) == pytest.approx(0.08 / 2 * 0.25**2)
