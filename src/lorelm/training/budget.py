"""Fits a training run to a time: :func:`plan`."""

import bisect
import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch

from lorelm.corpus.preparation import Corpus
from lorelm.errors import RecipeError
from lorelm.training.estimate import TrainingSpeed, measure_training_speed
from lorelm.training.judging import JudgingSpeed, measure_judging_speed
from lorelm.training.processes import Processes
from lorelm.training.recipe import Recipe

_WIDTHS: Final = (100, 150, 200, 300, 400, 500, 650, 800)

_MOST_EPOCHS: Final = 3
"""So many times the epochs of the recipe: more would learn by heart, and validation says no."""

_FEWEST_EPOCHS: Final = 0.6
"""So many times the epochs of the recipe are better than a narrower model."""

_FEWEST_UPDATES: Final = 50
"""Until then a model learns how often each word comes, and no more (width 100, the perplexity of
counting single words: films after 50 updates, tiny Shakespeare after 70)."""

_FEW_UPDATES: Final = 400
"""Until then counting pairs of words is better, on corpora of any size."""

_LEAST_SHARE: Final = 0.1
"""Of the time must be left after preparing: trying out what fits takes some of it."""

_JUDGING_SHARE: Final = 0.25
"""Of what is left after preparing, judging may take; where all of it takes more, samples do."""

_COUNTING_SHARE: Final = 0.1
"""The same for counting n-grams and the index of the training text."""

_FEWEST_JUDGED_TOKENS: Final = 1_000
"""Of each held-out part: the interval of a perplexity is about a tenth of it to both sides."""


@dataclass(frozen=True, kw_only=True)
class TimeBudget:
    """How long a run may take, from the beginning of the command to the saved and judged bundle.

    Attributes:
        started: by `time.perf_counter`.
    """

    seconds: float
    started: float

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self.seconds - (time.perf_counter() - self.started)

    def watch(self, what: str) -> Callable[[float], None]:
        """What to tell which share of a work is done, so that it ends where it would take too long.

        Args:
            what: the work, in words fit to be shown.
        """
        begun, left = time.perf_counter(), self.left

        def check(share: float) -> None:
            forecast = (time.perf_counter() - begun) / share
            if forecast > 2 * left:  # half of it may be a slow beginning
                raise self.too_short(f"{what} alone takes about {forecast:.0f} s", 2 * forecast)

        return check

    def too_short(
        self, reason: str, seconds_needed: float, *, or_else: str = "a part of the corpus"
    ) -> RecipeError:
        """The error that nothing sensible fits.

        Args:
            seconds_needed: would be enough.
            or_else: what else to give.
        """
        return RecipeError(
            f"a time budget of {_in_words(self.seconds)} is too short: {reason}; give "
            f"--time-budget {_rounded_up(seconds_needed)} or more, or {or_else}"
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained, for how long, and how it is judged.

    Attributes:
        recipe: with the width and the epochs that fit.
        training_seconds: how long to train; None trains the epochs of the recipe.
        max_epochs: to train in that time.
        judged_tokens: of each held-out part, about; None judges on all of them.
        is_counted: whether there are n-gram models and indexes of the training part.
        notes: what the plan is, a sentence each, to be shown to the user.
        warnings: what the user wanted and does not get.
    """

    recipe: Recipe
    training_seconds: float | None = None
    max_epochs: int | None = None
    judged_tokens: int | None = None
    is_counted: bool = True
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()

    def fitted(self, corpus: Corpus) -> Corpus:
        """The corpus with as much of its held-out parts as is to be judged on."""
        notes = [*corpus.notes, *self.notes]
        if self.judged_tokens is not None:
            corpus = corpus.with_samples(self.judged_tokens)
        if corpus.is_sampled:
            notes.append(
                "To keep to the time, it is validated and judged on samples: "
                f"{len(corpus.valid.stream):,} and {len(corpus.test.stream):,} tokens. lorelm "
                "evaluate judges it on the whole test part."
            )
        if corpus.is_countable and not self.is_counted:
            notes.append(
                "To keep to the time, there are no n-gram model to compare with and no index of "
                "the training text: copies cannot be told or forbidden."
            )
        may_be_counted = corpus.may_be_counted and self.is_counted
        return dataclasses.replace(corpus, notes=notes, may_be_counted=may_be_counted)

    @property
    def facts(self) -> dict[str, Any]:
        """What a checkpoint says of it: how the run goes on."""
        return {
            "recipe": self.recipe.to_dict(),
            "training_seconds": self.training_seconds,
            "max_epochs": self.max_epochs,
            "judged_tokens": self.judged_tokens,
            "is_counted": self.is_counted,
        }

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> "Plan":
        """The plan of which :attr:`facts` told."""
        names = ("training_seconds", "max_epochs", "judged_tokens", "is_counted")
        known = {name: facts[name] for name in names if name in facts}
        return cls(recipe=Recipe.from_dict(facts["recipe"]), **known)


class Machine(Protocol):
    """What a plan must know of the machine, or of all machines that train together."""

    def left(self, budget: TimeBudget, /) -> float:
        """The seconds that are left."""
        ...

    def training_speed(self, corpus: Corpus, recipe: Recipe, /) -> TrainingSpeed: ...

    def judging_speed(self, corpus: Corpus, recipe: Recipe, /) -> JudgingSpeed: ...


class ThisMachine:
    """The machine as it is now: what it is asked for is tried out.

    Where several processes train, all of them ask it in the same order; training is tried by all
    together, judging by the writer, and all get the same answer.

    Args:
        measured_seconds: how long to try a recipe.
    """

    def __init__(
        self, *, device: torch.device, processes: Processes, measured_seconds: float
    ) -> None:
        self._device = device
        self._processes = processes
        self._measured_seconds = measured_seconds

    def left(self, budget: TimeBudget) -> float:
        return self._processes.writers(budget.left)

    def training_speed(self, corpus: Corpus, recipe: Recipe) -> TrainingSpeed:
        return measure_training_speed(
            corpus,
            recipe,
            device=self._device,
            measured_seconds=self._measured_seconds,
            processes=self._processes,
        )

    def judging_speed(self, corpus: Corpus, recipe: Recipe) -> JudgingSpeed:
        return self._processes.by_writer(
            lambda: measure_judging_speed(corpus, recipe, device=self._device)
        )


def plan(
    corpus: Corpus,
    recipe: Recipe,
    budget: TimeBudget,
    machine: Machine,
    *,
    may_change_width: bool,
    may_change_epochs: bool,
    must_be_counted: bool = False,
) -> Plan:
    """The run that makes most of a time.

    The first steps of the recipe, and a little of the judging, are tried out. Where time is left,
    the model becomes wider as long as the recipe's epochs fit, and then they become more; where it
    is short, narrower and fewer. Judging gets a quarter of the time at most, and what does not fit
    is done on samples or left out.

    Args:
        may_change_width: not where the width was given, or comes with the weights to begin with.
        may_change_epochs: whether there may be more than the recipe's; where they do not fit, there
            are fewer.
        must_be_counted: the n-gram model is asked for, however long it takes.

    Raises:
        RecipeError: nothing sensible fits.
    """
    or_else = "a part of the corpus" if may_change_width else "a smaller --hidden-size"
    left = _require_left(corpus, budget, machine)
    speed = machine.training_speed(corpus, recipe)
    if may_change_width:
        _require_left(corpus, budget, machine)
    else:
        _require_updates(budget, machine.left(budget), speed, or_else=or_else)
    judging = _fit_judging(corpus, machine.judging_speed(corpus, recipe), left, must_be_counted)
    fitting, speed = _fit_width(
        corpus,
        recipe,
        speed,
        machine,
        seconds=machine.left(budget) - judging.seconds,
        may_change=may_change_width,
        least_share=_FEWEST_EPOCHS if may_change_epochs else 1.0,
    )
    if fitting.hidden_size != recipe.hidden_size:
        of_width = machine.judging_speed(corpus, fitting)
        judging = _fit_judging(corpus, of_width, left, must_be_counted)
    left = machine.left(budget)
    num_updates = _require_updates(budget, left, speed, judging.seconds, or_else=or_else)
    # The last update begins before the time is over and ends after it.
    seconds = left - judging.seconds - speed.seconds_per_update
    share = seconds / speed.seconds(
        epochs=recipe.epochs, num_valid_tokens=len(judging.corpus.valid.stream)
    )
    most = _MOST_EPOCHS if may_change_epochs else 1
    epochs = recipe.epochs * min(share, most)
    return Plan(
        recipe=dataclasses.replace(fitting, epochs=max(1, round(epochs))),
        training_seconds=seconds,
        max_epochs=most * recipe.epochs,
        judged_tokens=judging.num_tokens,
        is_counted=judging.is_counted,
        notes=[
            f"Of the time budget of {_in_words(budget.seconds)}, {budget.seconds - left:.0f} s are "
            f"over, about {judging.seconds:.0f} s are for judging and saving, and the rest is for "
            f"training: hidden size {fitting.hidden_size}, about {_epochs_in_words(epochs)}."
        ],
        warnings=_warnings(recipe, epochs, num_updates, may_change_epochs=may_change_epochs),
    )


def _require_left(corpus: Corpus, budget: TimeBudget, machine: Machine) -> float:
    """The seconds that are left.

    Raises:
        RecipeError: hardly any.
    """
    left = machine.left(budget)
    if left >= _LEAST_SHARE * budget.seconds:
        return left
    over = budget.seconds - left
    raise budget.too_short(f"reading {corpus.source} and preparing took {over:.0f} s", 3 * over)


def _require_updates(
    budget: TimeBudget,
    left: float,
    speed: TrainingSpeed,
    judging_seconds: float | None = None,
    *,
    or_else: str,
) -> int:
    """How many updates of the weights fit into what is left after judging.

    Args:
        judging_seconds: None where they are not known yet.

    Raises:
        RecipeError: too few to learn anything.
    """
    over = budget.seconds - left
    reason = f"{over:.0f} s went into preparing"
    if judging_seconds is not None:
        reason += f", judging and saving take about {judging_seconds:.0f} s"
    rest = left - (judging_seconds or 0)
    count = max(0, int(rest / speed.seconds_per_update))
    if count >= _FEWEST_UPDATES:
        return count
    needed = budget.seconds - rest + _FEWEST_UPDATES * speed.seconds_per_update
    raise budget.too_short(
        f"{reason}, and the rest is enough for {count} updates of the weights: a model learns "
        f"nothing in fewer than {_FEWEST_UPDATES}",
        1.5 * needed,
        or_else=or_else,
    )


def _warnings(
    recipe: Recipe, epochs: float, num_updates: int, *, may_change_epochs: bool
) -> Sequence[str]:
    """What the user is to know where the time is what ends the training."""
    warnings = []
    if not may_change_epochs and epochs < 0.95 * recipe.epochs:
        warnings.append(
            f"of {recipe.epochs} epochs that are asked for, about {_epochs_in_words(epochs)} fit "
            "into the time budget, and training ends with them"
        )
    if num_updates < _FEW_UPDATES and epochs < recipe.epochs:
        warnings.append(
            f"only about {num_updates} updates of the weights fit into the time budget: expect a "
            "poor model, and give it more time for a better one"
        )
    return warnings


def _fit_width(
    corpus: Corpus,
    recipe: Recipe,
    speed: TrainingSpeed,
    machine: Machine,
    *,
    seconds: float,
    may_change: bool,
    least_share: float,
) -> tuple[Recipe, TrainingSpeed]:
    """The recipe with the width that makes most of a time, and how fast it trains.

    Args:
        speed: of the recipe as it is.
        least_share: of the recipe's epochs is better than a narrower model.
    """
    speeds = {recipe.hidden_size: speed}

    def share_that_fits(width: int) -> float:
        if width not in speeds:
            speeds[width] = machine.training_speed(corpus, _of_width(recipe, width))
        # Of the validation part there may be a sample only: it is left out of account here.
        return seconds / speeds[width].seconds(epochs=recipe.epochs, num_valid_tokens=0)

    width = recipe.hidden_size
    share = share_that_fits(width)
    if may_change and share < least_share:
        narrower = [other for other in _WIDTHS if other < width]
        place = bisect.bisect_left(
            narrower, True, key=lambda other: share_that_fits(other) < least_share
        )
        width = narrower[max(0, place - 1)] if narrower else width
    elif may_change and share >= 1:
        wider = [other for other in _WIDTHS if other > width]
        place = bisect.bisect_left(wider, True, key=lambda other: share_that_fits(other) < 1)
        width = wider[place - 1] if place else width
    share_that_fits(width)
    return _of_width(recipe, width), speeds[width]


@dataclass(frozen=True, kw_only=True)
class _Judging:
    """How a model is judged in the time that there is.

    Attributes:
        num_tokens: of each held-out part, about; None: all.
        corpus: with as much of its held-out parts.
        seconds: that it takes.
    """

    num_tokens: int | None
    is_counted: bool
    corpus: Corpus
    seconds: float


def _fit_judging(
    corpus: Corpus, speed: JudgingSpeed, left: float, must_be_counted: bool
) -> _Judging:
    """As much judging as fits into its share of what was left after preparing."""
    is_counted = must_be_counted or speed.counting_seconds <= _COUNTING_SHARE * left
    corpus = dataclasses.replace(corpus, may_be_counted=is_counted)
    num_tokens = None
    if speed.seconds(corpus) > _JUDGING_SHARE * left:
        longest = max(len(corpus.valid.stream), len(corpus.test.stream))
        choices = range(_FEWEST_JUDGED_TOKENS, max(longest, _FEWEST_JUDGED_TOKENS + 1), 100)
        place = bisect.bisect_right(
            choices,
            _JUDGING_SHARE * left,
            key=lambda num_tokens: speed.seconds(corpus.with_samples(num_tokens)),
        )
        num_tokens = choices[max(0, place - 1)]
        corpus = corpus.with_samples(num_tokens)
    return _Judging(
        num_tokens=num_tokens,
        is_counted=is_counted,
        corpus=corpus,
        seconds=speed.seconds(corpus),
    )


def _of_width(recipe: Recipe, width: int) -> Recipe:
    embedding_size = width if recipe.tied else recipe.embedding_size
    return dataclasses.replace(recipe, hidden_size=width, embedding_size=embedding_size)


def _epochs_in_words(epochs: float) -> str:
    """To two digits: 12 epochs, 1.5 epochs, 0.0058 epochs."""
    digits = 0 if epochs >= 10 else 1 - math.floor(math.log10(epochs))
    return f"{epochs:.{digits}f} epoch{'' if round(epochs, digits) == 1 else 's'}"


def _in_words(seconds: float) -> str:
    """As a person says it: 90 s, 30 min, 4 h."""
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:g} s"


def _rounded_up(seconds: float) -> str:
    """A time that is no shorter, as --time-budget takes it: 15s, 2m, 3h."""
    for unit, name in ((1, "s"), (60, "m"), (3600, "h")):
        for count in (1, 2, 3, 5, 10, 15, 20, 30, 45):
            if count * unit >= seconds:
                return f"{count}{name}"
    return f"{math.ceil(seconds / 3600)}h"
