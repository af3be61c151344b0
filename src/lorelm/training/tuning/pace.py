"""How long trials take, and how many there is time for: :class:`Pace`."""

import math
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from lorelm.corpus.preparation import Corpus
from lorelm.training.recipe import Recipe
from lorelm.training.speed import Machine
from lorelm.training.time_budget import TimeBudget

_RESERVE_SECONDS: Final = 4.0
"""For the plots, beside the evaluation."""

TRAININGS_PER_FINALIST: Final = 8
"""Of this many trainings, one is a second run of one of the best settings."""

MAX_FINALISTS: Final = 3

FEW_TRAININGS: Final = 8
"""With fewer, the search hardly begins."""


@dataclass(kw_only=True)
class Pace:
    """The time of a tuning, in one of its processes.

    Attributes:
        budget: None if only the number of trials is limited.
        reserve: seconds for everything after the last trial.
        estimate: seconds that the recipe's own settings train, before a trial was completed.
        durations: of the completed trials of this process.
    """

    budget: TimeBudget | None = None
    reserve: float = 0.0
    estimate: float = 0.0
    durations: list[float] = field(default_factory=list)

    @property
    def seconds_left(self) -> float:
        """For trials."""
        return math.inf if self.budget is None else self.budget.left - self.reserve

    @property
    def trainings_left(self) -> float:
        """The number of trainings to the end that there is time for."""
        if self.budget is None:
            return math.inf
        return self.seconds_left / (median(self.durations) if self.durations else self.estimate)

    def has_time(self) -> bool:
        return self.seconds_left > 0


def measure_pace(
    budget: TimeBudget, machine: Machine, corpus: Corpus, *, recipe: Recipe, widest: Recipe
) -> Pace:
    """Measure how long the recipe trains, and how long the widest model is evaluated.

    Raises:
        CorpusError: the training part is shorter than a batch.
        RecipeError: there is no memory for a model, or no time for one trial.
    """
    speed = machine.training_speed(corpus, recipe)
    evaluation = machine.evaluation_speed(corpus, widest)
    pace = Pace(
        budget=budget,
        reserve=evaluation.seconds(corpus) + _RESERVE_SECONDS,
        estimate=recipe.epochs * speed.epoch_seconds(len(corpus.valid.stream)),
    )
    if pace.trainings_left < 1:
        raise budget.too_short(
            f"one trial takes about {pace.estimate:.0f} s here, evaluating and saving about "
            f"{pace.reserve:.0f} s",
            1.2 * (budget.seconds - pace.seconds_left + pace.estimate),
        )
    return pace


def num_finalists(num_trainings: float) -> int:
    """Return how many of the best settings get a second run."""
    if num_trainings == math.inf:
        return MAX_FINALISTS
    return min(MAX_FINALISTS, int(num_trainings // TRAININGS_PER_FINALIST))
