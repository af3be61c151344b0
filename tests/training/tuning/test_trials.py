"""Which trial is next, and which wins: arithmetic on reports."""

import dataclasses
import math

import pytest

from lorelm.training.recipe import Recipe
from lorelm.training.tuning.pace import num_finalists
from lorelm.training.tuning.trials import (
    OUT_OF_TIME,
    STOPPED,
    Candidate,
    TrialReport,
    candidates,
    finalists,
    next_run,
    winner,
)

RECIPE = Recipe.load("default", seed=7)


def trial(
    number: int, perplexity: float | None = None, *, of: int | None = None, **changes: object
) -> TrialReport:
    """A completed trial of settings that its number determines; `of` another, it repeats those."""
    settings = number if of is None else of
    dropout = RECIPE.dropout - settings / 100
    report = TrialReport(
        number=number,
        recipe=dataclasses.replace(RECIPE, dropout=dropout, seed=7 if of is None else 8),
        is_repetition=of is not None,
        valid_perplexity=perplexity,
        state="complete",
        epochs=3,
        seconds=10.0,
        problem="",
        place="here:/trials",
    )
    return dataclasses.replace(report, **changes)


def following(
    *reports: TrialReport, left: float = math.inf, limit: float = math.inf, num: int = 2
) -> object:
    found = next_run(reports, RECIPE, limit=limit, num_finalists=num, trainings_left=left)
    return found.first.number if isinstance(found, Candidate) else found


def test_candidates_are_settings_with_the_runs_of_all_seeds() -> None:
    reports = [
        trial(0, 90.0),
        trial(1, 80.0),
        trial(2, 70.0, state="pruned"),
        trial(3, None, state="running"),
        trial(4, 85.0, of=1),
        trial(5, 85.0, of=1),  # by another process at the same time
    ]
    best, own = candidates(reports)
    assert [run.number for run in best.runs] == [1, 4]
    assert best.first_perplexity == 80.0
    assert best.mean_perplexity == pytest.approx(math.sqrt(80 * 85))
    assert best.best_run.number == 1
    assert own.runs == (reports[0],)


def test_the_recipe_is_always_a_finalist() -> None:
    ranked = candidates([trial(0, 90.0), trial(1, 80.0), trial(2, 70.0), trial(3, 85.0)])
    assert [each.first.number for each in finalists(ranked, RECIPE, 2)] == [2, 1, 0]
    assert [each.first.number for each in finalists(ranked, RECIPE, 4)] == [2, 1, 3, 0]
    assert finalists(ranked, RECIPE, 0) == []


def test_the_mean_over_seeds_decides_once_all_finalists_have_it() -> None:
    first_runs = [trial(0, 82.0), trial(1, 80.0), trial(2, 81.0)]
    lucky = [trial(3, 90.0, of=1), trial(4, 82.0, of=2)]
    best = winner(candidates([*first_runs, *lucky]), RECIPE, 2)
    assert best is not None
    assert best.first.number == 1  # the recipe's own settings lack a second run
    best = winner(candidates([*first_runs, *lucky, trial(5, 83.0, of=0)]), RECIPE, 2)
    assert best is not None
    assert best.first.number == 2
    assert winner([], RECIPE, 2) is None


def test_the_last_trainings_are_second_runs_of_the_finalists() -> None:
    reports = [trial(0, 82.0), trial(1, 80.0), trial(2, 81.0), trial(3, 85.0)]
    assert following(*reports, left=4) == "new"
    assert following(*reports, left=3.9) == 1
    reports.append(trial(4, None, of=1, state="running"))
    assert following(*reports, left=3) == "new"
    assert following(*reports, left=2.9) == 2
    assert following(*reports, trial(5, 81.0, of=2), left=1.9) == 0
    assert following(*reports, left=0.9) is None
    done = [*reports, trial(5, 81.0, of=2), trial(6, 81.0, of=0)]
    assert following(*done, left=1.5) == "new"


def test_a_second_run_that_was_stopped_is_made_again() -> None:
    reports = [trial(0, 82.0), trial(1, 80.0)]
    for problem in (OUT_OF_TIME, STOPPED):
        stopped = trial(2, 99.0, of=1, state="pruned", problem=problem)
        assert following(*reports, stopped, left=2.5) == 1
    diverged = trial(2, None, of=1, state="failed", problem="the loss diverged")
    assert following(*reports, diverged, left=1.5) == 0


def test_the_limit_counts_settings_of_all_processes_but_no_second_runs() -> None:
    reports = [trial(0, 82.0), trial(1, None, state="running"), trial(2, 99.0, state="pruned")]
    assert following(*reports, limit=4, num=1) == "new"
    assert following(*reports, limit=3, num=1) == 0
    again = [trial(3, None, state="failed", problem=STOPPED), trial(4, state="waiting")]
    assert following(*reports, *again, limit=4, num=1) == "new"
    assert following(*reports, trial(5, 80.0, of=0), limit=3, num=1) is None
    assert following(limit=3) == "new"


def test_one_training_in_eight_is_a_second_run() -> None:
    assert [num_finalists(each) for each in (0, 7.9, 8, 17, 24, 1000, math.inf)] == [
        *(0, 0, 1, 2, 3, 3, 3)
    ]
