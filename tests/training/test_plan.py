import dataclasses
import json
import re
import time
from collections.abc import Collection

import pytest
from tests.errors import raises_code

from lorelm.corpus.preparation import Corpus
from lorelm.errors import RecipeError
from lorelm.training import plan as plan_module
from lorelm.training import speed
from lorelm.training.plan import Plan, PlanOptions, estimate_run, plan_run
from lorelm.training.recipe import Recipe
from lorelm.training.schedule import TrainingHorizon
from lorelm.training.speed import EvaluationSpeed, TrainingSpeed
from lorelm.training.time_budget import TimeBudget

RECIPE = dataclasses.replace(Recipe.load("default", epochs=36), by_corpus_size=())
EASY = EvaluationSpeed(
    graph_seconds=0.0,
    token_seconds=0.0,
    float_token_seconds=0.0,
    cache_seconds=0.0,
    ngram_seconds=0.0,
)


@pytest.fixture(autouse=True)
def _last_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots and the end of the process take a second, so that EASY reserves 1.7."""
    monkeypatch.setattr(speed, "_LAST_SECONDS", 1.0)


@dataclasses.dataclass(kw_only=True)
class SlowMachine:
    """The recipe's epochs take 100 s in 3,600 updates, in proportion to the square of the width.

    Attributes:
        spent: seconds before the plan.
        seconds_per_measurement: that each measurement takes.
        slowdown: by other processes.
    """

    evaluation: EvaluationSpeed = EASY
    spent: float = 0.0
    seconds_per_measurement: float = 0.0
    slowdown: float = 1.0

    def training_speed(self, corpus: Corpus, recipe: Recipe) -> TrainingSpeed:
        self.spent += self.seconds_per_measurement
        return TrainingSpeed(
            seconds_per_update=self.slowdown * 100 / 3600 * (recipe.hidden_size / 300) ** 2,
            updates_per_epoch=3600 // RECIPE.epochs,
            seconds_per_valid_token=0.0,
            processor_share=1 / self.slowdown,
        )

    def evaluation_speed(self, corpus: Corpus, recipe: Recipe) -> EvaluationSpeed:
        self.spent += self.seconds_per_measurement
        return self.evaluation


@dataclasses.dataclass(frozen=True, kw_only=True)
class BudgetOn(TimeBudget):
    """By the clock of a machine."""

    machine: SlowMachine

    @property
    def left(self) -> float:
        return self.seconds - self.machine.spent


def planned(
    corpus: Corpus,
    seconds: float,
    machine: SlowMachine | None = None,
    *,
    free: Collection[str] = ("hidden_size", "epochs"),
    is_fine_tuning: bool = False,
    with_ngram: bool = False,
    **settings: int,
) -> Plan:
    machine = machine or SlowMachine()
    return plan_run(
        corpus,
        dataclasses.replace(RECIPE, **settings),
        BudgetOn(seconds=seconds, started=0.0, machine=machine),
        machine,
        PlanOptions(free=free, is_fine_tuning=is_fine_tuning, with_ngram=with_ngram),
    )


def reserve(corpus: Corpus, plan: Plan, machine: SlowMachine) -> float:
    return machine.evaluation.seconds(plan.fitted(corpus))


def test_the_recipe_stays_if_it_fits(corpus: Corpus) -> None:
    plan = planned(corpus, 102)
    assert plan.recipe.hidden_size == 300
    assert plan.recipe.epochs == pytest.approx(RECIPE.epochs, abs=1)


def test_a_short_time_makes_the_model_narrower_and_the_run_shorter(corpus: Corpus) -> None:
    plan = planned(corpus, 40)
    assert plan.recipe.hidden_size == plan.recipe.embedding_size == 200
    assert plan.recipe.epochs == pytest.approx(RECIPE.epochs * 0.85, abs=2)
    shortest = planned(corpus, 2.7)
    assert (shortest.recipe.hidden_size, shortest.recipe.epochs) == (100, 3)


def test_a_long_time_makes_the_model_of_much_text_wider_and_then_the_run_longer(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "_SMALL", len(corpus.train.stream) - 1)
    plan = planned(corpus, 380)
    assert plan.recipe.hidden_size == 500
    assert RECIPE.epochs < plan.recipe.epochs < 1.4 * RECIPE.epochs


@pytest.mark.parametrize(("epochs", "most"), [(1, 2), (4, 8), (8, 8), (20, 20)])
def test_a_trained_model_learns_for_up_to_eight_epochs(
    corpus: Corpus, epochs: int, most: int
) -> None:
    plan = planned(corpus, 10**6, free=["epochs"], is_fine_tuning=True, epochs=epochs)
    assert plan.recipe.epochs == plan.horizon.epochs == most
    assert "ends before the time is over" in plan.notes[0]


@pytest.mark.parametrize(("small", "width"), [(0, 800), (10**6, 300)])
def test_a_very_long_time_is_not_used_up(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, small: int, width: int
) -> None:
    monkeypatch.setattr(plan_module, "_SMALL", small)
    plan = planned(corpus, 10**6)
    assert plan.recipe.hidden_size == width
    assert plan.recipe.epochs == plan.horizon.epochs == 2 * RECIPE.epochs
    assert "ends before the time is over" in plan.notes[0]
    assert (
        "ends before the time is over" not in planned(corpus, 10**6, free=["hidden_size"]).notes[0]
    )


@pytest.mark.parametrize("seconds", [20, 10**6])
def test_a_fixed_width_stays(corpus: Corpus, seconds: float) -> None:
    assert planned(corpus, seconds, free=["epochs"]).recipe.hidden_size == 300


@pytest.mark.parametrize("seconds", [30, 100, 1000])
def test_everything_a_run_does_fits_into_its_time(corpus: Corpus, seconds: float) -> None:
    machine = SlowMachine(
        evaluation=dataclasses.replace(EASY, cache_seconds=0.01),
        spent=7.0,
        seconds_per_measurement=1.0,
    )
    plan = planned(corpus, seconds, machine)
    assert plan.horizon.seconds is not None
    spent = machine.spent + reserve(corpus, plan, machine)
    spent += machine.training_speed(corpus, plan.recipe).seconds_per_update
    assert plan.horizon.seconds == pytest.approx(seconds - spent)


def test_evaluation_that_would_take_too_long_uses_samples(corpus: Corpus) -> None:
    machine = SlowMachine(evaluation=dataclasses.replace(EASY, cache_seconds=0.03))
    assert len(corpus.test.stream) < 1_000
    several = dataclasses.replace(corpus, valid=corpus.train, test=corpus.train)
    whole, sampled = planned(several, 1000, machine), planned(several, 240, machine)
    assert whole.evaluated_tokens is None
    assert sampled.evaluated_tokens is not None
    fitted = sampled.fitted(several)
    assert 1_000 < len(fitted.test.stream) < len(several.test.stream)
    assert 45 < reserve(several, sampled, machine) <= 60
    assert any("evaluated on samples" in note for note in fitted.notes)
    assert not any("samples" in note for note in whole.fitted(several).notes)
    assert len(planned(several, 90, machine).fitted(several).test.stream) > 900
    small = planned(corpus, 60, machine).fitted(corpus)  # which has fewer tokens than the minimum
    assert small.test is corpus.test
    assert not any("samples" in note for note in small.notes)


def test_counting_that_would_take_too_long_is_left_out_unless_it_was_requested(
    corpus: Corpus,
) -> None:
    machine = SlowMachine(evaluation=dataclasses.replace(EASY, ngram_seconds=20))
    assert planned(corpus, 300, machine).fitted(corpus).is_countable
    fitted = planned(corpus, 100, machine).fitted(corpus)
    assert not fitted.is_countable
    assert any("no n-gram model" in note for note in fitted.notes)
    assert planned(corpus, 100, machine, with_ngram=True).fitted(corpus).is_countable


def test_requested_epochs_are_kept_if_they_fit(corpus: Corpus) -> None:
    assert planned(corpus, 85).recipe.hidden_size == 300
    plan = planned(corpus, 85, free=["hidden_size"])
    assert plan.recipe.epochs == plan.horizon.epochs == RECIPE.epochs
    assert plan.recipe.hidden_size == 200, "narrower, so that they fit"
    assert not plan.warnings
    plan = planned(corpus, 10**6, free=["hidden_size"], epochs=2)
    assert plan.recipe.epochs == plan.horizon.epochs == 2
    assert not plan.warnings, "few updates were requested"


def test_a_warning_says_how_many_requested_epochs_fit(corpus: Corpus) -> None:
    plan = planned(corpus, 52, free=(), epochs=360)
    assert plan.recipe.epochs == 18
    assert plan.warnings == [
        "only about 18 of the 360 requested epochs fit into the time budget, and training ends "
        "with them"
    ]


def test_a_warning_says_that_there_are_few_updates(corpus: Corpus) -> None:
    assert not planned(corpus, 9).warnings
    [warning] = planned(corpus, 2.7).warnings
    assert "only about 324 updates" in warning
    assert "expect a poor model" in warning


@pytest.mark.parametrize(
    ("machine", "options", "message"),
    [
        (
            SlowMachine(spent=29),
            {},
            r"30 s is too short: 29 s went into preparing, evaluating and saving take about 2 s, "
            r"and the rest is enough for 0 updates of the weights: .* set "
            r"time_budget_seconds \(--time-budget\) to 47s or more, or give a part of the corpus "
            r"or a smaller hidden_size \(--hidden-size\)",
        ),
        (
            SlowMachine(evaluation=dataclasses.replace(EASY, graph_seconds=4.16)),
            {},
            r"0 s went into preparing, evaluating and saving take about 30 s, and the rest is "
            r"enough for \d+ updates of the weights: .* set time_.* to 46s or more",
        ),
        (
            SlowMachine(),
            {"hidden_size": 3000, "embedding_size": 3000, "free": ["epochs"]},
            r"the rest is enough for 10 updates .* set time_.* to 4m or more",
        ),
    ],
)
def test_a_time_that_is_too_short_is_refused(
    corpus: Corpus, machine: SlowMachine, options: dict[str, int], message: str
) -> None:
    with raises_code(RecipeError, "recipe.budget_too_short") as caught:
        planned(corpus, 30, machine, **options)
    assert re.search(message, str(caught.value))


def test_a_checkpoint_holds_the_plan(corpus: Corpus) -> None:
    machine = SlowMachine(evaluation=dataclasses.replace(EASY, ngram_seconds=20))
    plan = planned(corpus, 20, machine)
    moved = dataclasses.replace(plan, horizon=plan.horizon.moved(30, now=10))
    for each in (plan, moved):
        stored = json.loads(json.dumps({"other": 1, **each.metadata}))
        again = Plan.of_run(stored, each.recipe, each.warnings)
        assert again == dataclasses.replace(each, speed=None, evaluation=None, notes=())
    horizon = TrainingHorizon(epochs=RECIPE.epochs)
    of_old_version = Plan.of_run({"training_seconds": None}, RECIPE)
    assert of_old_version == Plan(recipe=RECIPE, horizon=horizon)


def test_work_that_would_take_all_of_the_time_is_stopped_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    budget = TimeBudget(seconds=60, started=90)
    check = budget.watch("preparing tales.txt")
    now = 105.0
    check(0.1)  # 50 s, of the 50 that are left
    check(0.06)  # 83 s, but the start may be slow
    with pytest.raises(
        RecipeError,
        match=r"60 s is too short: preparing tales\.txt alone takes about 125 s; set ",
    ):
        check(0.04)


def test_a_busy_moment_does_not_decide_the_width_alone(corpus: Corpus) -> None:
    """Four times as slow: the width is fitted to a machine that is twice as slow."""
    busy = planned(corpus, 100, SlowMachine(slowdown=4.0))
    widths = [planned(corpus, seconds).recipe.hidden_size for seconds in (100, 50, 25)]
    assert widths == [300, 200, 150]
    assert busy.recipe.hidden_size == 200


def test_the_second_plan_expects_the_machine_to_stay_as_it_is(corpus: Corpus) -> None:
    machine = SlowMachine(slowdown=4.0)
    budget = BudgetOn(seconds=100, started=0.0, machine=machine)
    free = ("hidden_size", "epochs")
    plan = plan_run(corpus, RECIPE, budget, machine, PlanOptions(free=free, as_busy=True))
    assert plan.recipe.hidden_size == 150


def test_an_estimate_is_a_range_from_a_free_machine_to_a_busy_one(corpus: Corpus) -> None:
    evaluation = dataclasses.replace(EASY, ngram_seconds=4.0, processor_share=0.5)
    estimate = estimate_run(corpus, RECIPE, SlowMachine(slowdown=3.0, evaluation=evaluation))
    assert (estimate.low, estimate.high) == pytest.approx((100 + 2 + 1, 300 + 4 + 2))
