import dataclasses
import time

import pytest

from lorelm.corpus.preparation import Corpus
from lorelm.errors import RecipeError
from lorelm.training import judging
from lorelm.training.budget import Plan, TimeBudget, plan
from lorelm.training.estimate import TrainingSpeed
from lorelm.training.judging import JudgingSpeed
from lorelm.training.recipe import Recipe

RECIPE = dataclasses.replace(Recipe.load("default", tokenizer="words"), by_corpus_size=())
EASY = JudgingSpeed(
    fixed_seconds=1.0,
    foretelling_seconds=0.0,
    validation_seconds=0.0,
    tuning_seconds=0.0,
    spelling_seconds=0.0,
    counting_seconds=0.0,
)


@pytest.fixture(autouse=True)
def no_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_MARGIN", 1.0)


@dataclasses.dataclass(kw_only=True)
class SlowMachine:
    """On which the recipe's epochs take 100 s in 3,600 updates, and the square of the width counts.

    Attributes:
        seconds_over: before it is asked for anything.
        seconds_per_try: that it takes to answer what it tries out.
    """

    judging: JudgingSpeed = EASY
    seconds_over: float = 0.0
    seconds_per_try: float = 0.0

    def left(self, budget: TimeBudget) -> float:
        return budget.seconds - self.seconds_over

    def training_speed(self, corpus: Corpus, recipe: Recipe) -> TrainingSpeed:
        self.seconds_over += self.seconds_per_try
        return TrainingSpeed(
            seconds_per_update=100 / 3600 * (recipe.hidden_size / 300) ** 2,
            updates_per_epoch=3600 // RECIPE.epochs,
            seconds_per_valid_token=0.0,
        )

    def judging_speed(self, corpus: Corpus, recipe: Recipe) -> JudgingSpeed:
        self.seconds_over += self.seconds_per_try
        return self.judging


def planned(
    corpus: Corpus,
    seconds: float,
    machine: SlowMachine | None = None,
    *,
    may_change_width: bool = True,
    may_change_epochs: bool = True,
    must_be_counted: bool = False,
    **settings: int,
) -> Plan:
    return plan(
        corpus,
        dataclasses.replace(RECIPE, **settings),
        TimeBudget(seconds=seconds, started=0.0),
        machine or SlowMachine(),
        may_change_width=may_change_width,
        may_change_epochs=may_change_epochs,
        must_be_counted=must_be_counted,
    )


def judging_seconds(corpus: Corpus, found: Plan, machine: SlowMachine) -> float:
    return machine.judging.seconds(found.fitted(corpus))


def test_the_recipe_stays_where_it_fits(corpus: Corpus) -> None:
    found = planned(corpus, 102)
    assert found.recipe.hidden_size == 300
    assert found.recipe.epochs == pytest.approx(RECIPE.epochs, abs=1)


def test_a_short_time_makes_it_narrower_and_shorter(corpus: Corpus) -> None:
    found = planned(corpus, 40)
    assert found.recipe.hidden_size == found.recipe.embedding_size == 200
    assert found.recipe.epochs == pytest.approx(RECIPE.epochs * 0.85, abs=2)
    least = planned(corpus, 2)
    assert (least.recipe.hidden_size, least.recipe.epochs) == (100, 3)


def test_a_long_time_makes_it_wider_and_then_longer(corpus: Corpus) -> None:
    found = planned(corpus, 300)
    assert found.recipe.hidden_size == 500
    assert RECIPE.epochs < found.recipe.epochs < 1.2 * RECIPE.epochs


def test_a_time_that_cannot_be_used_up_is_not(corpus: Corpus) -> None:
    found = planned(corpus, 10**6)
    assert found.recipe.hidden_size == 800
    assert found.recipe.epochs == found.max_epochs == 3 * RECIPE.epochs


@pytest.mark.parametrize("seconds", [20, 10**6])
def test_the_width_stays_where_it_must(corpus: Corpus, seconds: float) -> None:
    assert planned(corpus, seconds, may_change_width=False).recipe.hidden_size == 300


@pytest.mark.parametrize("seconds", [30, 100, 1000])
def test_all_that_a_run_does_fits_into_its_time(corpus: Corpus, seconds: float) -> None:
    machine = SlowMachine(
        judging=dataclasses.replace(EASY, foretelling_seconds=0.01),
        seconds_over=7.0,
        seconds_per_try=1.0,
    )
    found = planned(corpus, seconds, machine)
    assert found.training_seconds is not None
    update = machine.training_speed(corpus, found.recipe).seconds_per_update
    machine.seconds_over -= machine.seconds_per_try
    taken = machine.seconds_over + judging_seconds(corpus, found, machine) + update
    assert found.training_seconds == pytest.approx(seconds - taken)


def test_judging_that_would_take_too_long_is_done_on_samples(corpus: Corpus) -> None:
    machine = SlowMachine(judging=dataclasses.replace(EASY, foretelling_seconds=0.01))
    assert len(corpus.test.stream) < 1_000
    several = dataclasses.replace(corpus, valid=corpus.train, test=corpus.train)
    whole, sampled = planned(several, 1000, machine), planned(several, 200, machine)
    assert whole.judged_tokens is None
    assert sampled.judged_tokens is not None
    judged = sampled.fitted(several)
    assert 1_000 < len(judged.test.stream) < len(several.test.stream)
    assert 40 < judging_seconds(several, sampled, machine) <= 50
    assert any("judged on samples" in note for note in judged.notes)
    assert not any("samples" in note for note in whole.fitted(several).notes)
    assert len(planned(several, 60, machine).fitted(several).test.stream) > 900
    least = planned(corpus, 60, machine).fitted(corpus)  # which has no more than the least
    assert least.test is corpus.test
    assert not any("samples" in note for note in least.notes)


def test_counting_that_would_take_too_long_is_left_out_unless_it_is_asked_for(
    corpus: Corpus,
) -> None:
    machine = SlowMachine(judging=dataclasses.replace(EASY, counting_seconds=20))
    assert planned(corpus, 300, machine).fitted(corpus).is_countable
    found = planned(corpus, 100, machine)
    assert not found.fitted(corpus).is_countable
    assert any("no n-gram model" in note for note in found.fitted(corpus).notes)
    assert planned(corpus, 100, machine, must_be_counted=True).fitted(corpus).is_countable


def test_epochs_that_are_given_are_kept_where_they_fit(corpus: Corpus) -> None:
    assert planned(corpus, 85).recipe.hidden_size == 300
    found = planned(corpus, 85, may_change_epochs=False)
    assert found.recipe.epochs == found.max_epochs == RECIPE.epochs
    assert found.recipe.hidden_size == 200, "narrower, so that they fit"
    assert not found.warnings
    found = planned(corpus, 10**6, may_change_epochs=False, epochs=2)
    assert found.recipe.epochs == found.max_epochs == 2
    assert not found.warnings, "that there are few updates was asked for"


def test_of_epochs_that_do_not_fit_it_is_said_how_many_do(corpus: Corpus) -> None:
    found = planned(corpus, 52, may_change_epochs=False, may_change_width=False, epochs=360)
    assert found.recipe.epochs == 18
    assert found.warnings == [
        "of 360 epochs that are asked for, about 18 epochs fit into the time budget, and training "
        "ends with them"
    ]


def test_few_updates_are_warned_of(corpus: Corpus) -> None:
    assert not planned(corpus, 9).warnings
    [warning] = planned(corpus, 2).warnings
    assert "only about 324 updates" in warning
    assert "expect a poor model" in warning


@pytest.mark.parametrize(
    ("machine", "options", "message"),
    [
        (
            SlowMachine(seconds_over=29),
            {},
            r"30 s is too short: reading tales\.txt and preparing took 29 s; give --time-budget 2m "
            r"or more, or a part of the corpus",
        ),
        (
            SlowMachine(judging=dataclasses.replace(EASY, fixed_seconds=29.9)),
            {},
            r"0 s went into preparing, judging and saving take about 30 s, and the rest is enough "
            r"for 32 updates of the weights: .* give --time-budget 1m or more",
        ),
        (
            SlowMachine(),
            {"hidden_size": 3000, "embedding_size": 3000, "may_change_width": False},
            r"the rest is enough for 10 updates .* give --time-budget 5m or more, or a smaller "
            "--hidden-size",
        ),
    ],
)
def test_a_time_in_which_nothing_sensible_fits_is_refused(
    corpus: Corpus, machine: SlowMachine, options: dict[str, int], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        planned(corpus, 30, machine, **options)


def test_a_checkpoint_has_what_a_plan_needs_to_go_on(corpus: Corpus) -> None:
    machine = SlowMachine(judging=dataclasses.replace(EASY, counting_seconds=20))
    found = planned(corpus, 20, machine)
    again = Plan.from_facts({"other": 1, **found.facts})
    assert again == dataclasses.replace(found, notes=(), warnings=())
    before_plans = {"recipe": RECIPE.to_dict(), "training_seconds": None}
    assert Plan.from_facts(before_plans) == Plan(recipe=RECIPE)


def test_a_work_that_would_take_all_of_the_time_is_stopped_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    budget = TimeBudget(seconds=60, started=90)
    check = budget.watch("preparing tales.txt")
    now = 105.0
    check(0.1)  # 50 s, of the 50 that are left
    check(0.06)  # 83 s, but the beginning may be slow
    with pytest.raises(
        RecipeError,
        match=r"1 min is too short: preparing tales\.txt alone takes about 125 s; give ",
    ):
        check(0.04)
