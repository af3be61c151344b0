"""Trials as LoreLM sees them, and which of them wins: :class:`TrialReport`, :class:`Candidate`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Final, Literal

from lorelm.bundle import Bundle
from lorelm.training.recipe import Recipe

OUT_OF_TIME: Final = "the time was over"
"""The problem of a trial that would have gone on."""

STOPPED: Final = "its process was stopped"
"""The problem of a trial that is to be tried again."""

State = Literal["complete", "pruned", "failed", "running", "waiting"]


@dataclass(frozen=True, kw_only=True)
class TrialReport:
    """A trial.

    Attributes:
        number: of the trial, from 0: the recipe's own settings.
        recipe: with the settings and the seed of the trial.
        is_repetition: whether it is a second run of its settings, with another seed.
        valid_perplexity: the lowest of its epochs; None if there is none.
        state: "pruned" if it was ended early, because others were better by then or the time was
            over.
        epochs: how many it was trained for.
        problem: why it failed, or was ended early; empty if other trials were better.
        place: machine and folder of its weights.
    """

    number: int
    recipe: Recipe
    is_repetition: bool
    valid_perplexity: float | None
    state: State
    epochs: int
    seconds: float
    problem: str
    place: str

    @property
    def is_complete(self) -> bool:
        return self.state == "complete"


@dataclass(frozen=True)
class Candidate:
    """Settings that were trained to the end, once or with several seeds.

    Attributes:
        runs: the trials with these settings, the first one first.
    """

    runs: Sequence[TrialReport]

    @property
    def first(self) -> TrialReport:
        return self.runs[0]

    @property
    def first_perplexity(self) -> float:
        return _perplexity(self.first)

    @property
    def mean_perplexity(self) -> float:
        """The geometric mean over the seeds: that of the mean loss."""
        return math.exp(fmean(math.log(_perplexity(run)) for run in self.runs))

    @property
    def best_run(self) -> TrialReport:
        return min(self.runs, key=_perplexity)


def _perplexity(report: TrialReport) -> float:
    assert report.valid_perplexity is not None  # as a complete trial has one
    return report.valid_perplexity


@dataclass(frozen=True, kw_only=True)
class TuningResult:
    """What a tuning found.

    Attributes:
        recipe: the best one, with its seed.
        trials: of all processes, in their order.
        finalists: the best settings, the winner first.
        bundle: of the winner; None if its weights are on another machine.
    """

    recipe: Recipe
    trials: Sequence[TrialReport]
    finalists: Sequence[Candidate]
    bundle: Bundle | None


def candidates(reports: Sequence[TrialReport]) -> list[Candidate]:
    """Return the candidates, in the order of the perplexity of their first runs."""
    runs: dict[Recipe, dict[int, TrialReport]] = {}
    for report in sorted(reports, key=lambda report: report.is_repetition):
        if report.is_complete:
            runs.setdefault(_without_seed(report), {}).setdefault(report.recipe.seed, report)
    found = [Candidate(tuple(by_seed.values())) for by_seed in runs.values()]
    return sorted(found, key=lambda candidate: candidate.first_perplexity)


def _without_seed(report: TrialReport) -> Recipe:
    return replace(report.recipe, seed=0)


def finalists(ranked: Sequence[Candidate], recipe: Recipe, num: int) -> list[Candidate]:
    """Return the best candidates, and the recipe's own settings with them.

    Args:
        ranked: by their first runs.
        num: without the recipe's own settings; 0 returns none.
    """
    if num == 0:
        return []
    own = [each for each in ranked[num:] if each.first.recipe == recipe]
    return [*ranked[:num], *own]


def winner(ranked: Sequence[Candidate], recipe: Recipe, num_finalists: int) -> Candidate | None:
    """Return the settings to keep; None if no trial was completed.

    The finalists are compared by the mean over two seeds, if all of them have it: the first run of
    the best of many trials is partly luck. Otherwise the first run decides.
    """
    final = finalists(ranked, recipe, num_finalists)
    if final and all(len(candidate.runs) > 1 for candidate in final):
        return min(final, key=lambda candidate: candidate.mean_perplexity)
    return ranked[0] if ranked else None


def next_run(
    reports: Sequence[TrialReport],
    recipe: Recipe,
    *,
    limit: float,
    num_finalists: int,
    trainings_left: float,
) -> Literal["new"] | Candidate | None:
    """Return what to train next: new settings, a finalist with a second seed, or nothing more.

    The last trainings that there is time for are the second runs of the finalists.

    Args:
        limit: on the number of new settings.
        trainings_left: how many whole trainings there is time for.
    """
    if trainings_left < 1:
        return None
    repeated = {
        _without_seed(report)
        for report in reports
        if report.is_repetition and report.problem not in (OUT_OF_TIME, STOPPED)
    }
    final = finalists(candidates(reports), recipe, num_finalists)
    waiting = [each for each in final if _without_seed(each.first) not in repeated]
    num_begun = sum(
        not report.is_repetition and report.state != "waiting" and report.problem != STOPPED
        for report in reports
    )
    if num_begun < limit and trainings_left >= len(waiting) + 1:
        return "new"
    return waiting[0] if waiting else None
