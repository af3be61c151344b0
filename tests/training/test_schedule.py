from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.training.recipe import Recipe
from lorelm.training.schedule import LearningRate, TrainingHorizon, cosine


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


@pytest.mark.parametrize(
    ("progress", "factor"),
    [
        (0.4, 0.0),
        (0.43, 0.5 * 0.7063347),  # half of the warm-up: 0.1 of the 0.6 that are left
        (0.46, 0.6579634),  # 0.01 + 0.99 (1 + cos 72°) / 2, as without an extension
        (0.55, 0.505),
        (1.0, 0.01),
    ],
)
def test_an_extended_cosine_rises_again_to_where_the_longer_one_is(
    progress: float, factor: float
) -> None:
    assert cosine(progress, warm_up=0.1, begun_at=0.4) == pytest.approx(factor, abs=1e-6)


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
    rate = plateau()
    for loss in (5.0, 6.0):
        rate.on_validation(loss)
    rate.num_halved = 1
    restored = LearningRate(rate.recipe, **rate.state)
    for one in (rate, restored):
        one.on_validation(5.5)
    assert restored.at(0.5) == rate.at(0.5) == pytest.approx(0.08 / 2 * 0.25**2)


def progress_of(horizon: TrainingHorizon, num_updates: int, seconds: float) -> float:
    return horizon.progress(num_updates=num_updates, updates_per_epoch=2, seconds=seconds)


def test_a_run_without_a_time_ends_with_its_epochs() -> None:
    horizon = TrainingHorizon(epochs=2)
    expected = [0, 0.25, 0.5, 0.75, 1, 1]
    assert [progress_of(horizon, n, 1e9) for n in range(6)] == expected


def test_a_run_without_epochs_ends_with_its_time() -> None:
    expected = [0, 0.25, 0.5, 0.75, 1, 1]
    assert [progress_of(TrainingHorizon(seconds=4), 99, s) for s in range(6)] == expected
    assert progress_of(TrainingHorizon(seconds=0), 0, 0) == 1


def test_a_run_ends_after_some_epochs_without_a_better_one() -> None:
    ends = [TrainingHorizon(patience=3).end(0.5, num_epochs_since_best=n) for n in range(5)]
    assert ends == [None, None, None, "early_stopping", "early_stopping"]
    assert TrainingHorizon().end(0.99, num_epochs_since_best=99) is None
    assert TrainingHorizon(patience=3).end(1.0, num_epochs_since_best=9) == "schedule"


@pytest.mark.parametrize(("num_updates", "seconds", "progress"), [(3, 1, 0.75), (1, 1.5, 0.375)])
def test_a_run_ends_with_its_epochs_or_its_time(
    num_updates: int, seconds: float, progress: float
) -> None:
    assert progress_of(TrainingHorizon(epochs=2, seconds=4), num_updates, seconds) == progress


@pytest.mark.parametrize(
    "seconds_per_update",
    [
        pytest.param(lambda now: 0.3 if now > 50 else 0.1, id="slower half way"),
        pytest.param(lambda now: 0.1 if now > 50 else 0.3, id="faster half way"),
        pytest.param(lambda now: 9.0 if 40 < now < 42 else 0.2, id="interrupted"),
    ],
)
def test_the_learning_rate_has_come_down_when_the_time_is_over(
    seconds_per_update: Callable[[float], float],
) -> None:
    horizon, now, progresses = TrainingHorizon(seconds=100), 0.0, [0.0]
    while progresses[-1] < 1:
        now += seconds_per_update(now)
        progresses.append(progress_of(horizon, len(progresses), now))
    assert now == pytest.approx(100, abs=0.4)
    assert progresses[-2] > 0.99
    assert progresses == sorted(progresses)


@given(
    end=st.floats(1, 1e4),
    moves=st.lists(st.tuples(st.floats(0, 0.99), st.floats(0.1, 1e4)), max_size=5),
)
def test_progress_does_not_jump_when_the_end_is_moved(
    end: float, moves: list[tuple[float, float]]
) -> None:
    """Each move: at this share of the time between now and the end, to so many seconds later."""
    horizon, now = TrainingHorizon(seconds=end), 0.0
    for share, seconds in moves:
        assert horizon.seconds is not None
        now += share * (horizon.seconds - now)
        moved = horizon.moved(now + seconds, now=now)
        assert progress_of(moved, 0, now) == pytest.approx(progress_of(horizon, 0, now))
        assert progress_of(moved, 0, now + seconds) == pytest.approx(1)
        horizon = moved
    progresses = [progress_of(horizon, 0, now + i) for i in range(100)]
    assert progresses == pytest.approx(sorted(progresses))


def test_the_time_before_a_move_keeps_its_progress_and_its_order() -> None:
    moved = TrainingHorizon(seconds=100).moved(200, now=80)
    assert [progress_of(moved, 0, s) for s in (0, 40, 80, 140, 200)] == pytest.approx(
        [0, 0.4, 0.8, 0.9, 1]
    )
