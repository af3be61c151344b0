"""Fits a training run into a time budget: :func:`plan_run`."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from lorelm.corpus.preparation import Corpus
from lorelm.training.budget import TimeBudget
from lorelm.training.recipe import Recipe
from lorelm.training.schedule import TrainingHorizon
from lorelm.training.speed import EvaluationSpeed, Machine, TrainingSpeed

_WIDTHS: Final = (100, 150, 200, 300, 400, 500, 650, 800)

_MAX_EPOCHS_FACTOR: Final = 3
"""More than this many times the recipe's epochs overfits: the best epoch is an earlier one."""

_MIN_EPOCHS_SHARE: Final = 0.6
"""This share of the recipe's epochs is better than a narrower model."""

_MIN_UPDATES: Final = 50
"""With fewer a model learns only word frequencies (width 100 reaches the perplexity of a unigram
model after 50 updates on the films, after 70 on tiny Shakespeare)."""

_FEW_UPDATES: Final = 400
"""With fewer a bigram model is better, on corpora of any size."""

_MIN_LEFT_SHARE: Final = 0.1
"""Share of the time that must be left after preparation, since measuring takes some of it."""

_EVALUATION_SHARE: Final = 0.25
"""Reserve for evaluation, as a share of the time left; if it takes more, samples are used."""

_COUNTING_SHARE: Final = 0.1
"""The same for counting n-grams and the index of the training text."""

_MIN_EVALUATED_TOKENS: Final = 1_000
"""Of each held-out part: the interval of a perplexity is then about ±10 %."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained, for how long, and how it is evaluated.

    Attributes:
        recipe: with the width and the epochs that fit.
        horizon: when training ends.
        evaluated_tokens: of each held-out part, about; None evaluates on all of them.
        is_counted: whether n-gram models and indexes of the training part are made.
        notes: sentences about the plan for the user.
        warnings: what the user asked for and does not get.
    """

    recipe: Recipe
    horizon: TrainingHorizon
    evaluated_tokens: int | None = None
    is_counted: bool = True
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()

    def fitted(self, corpus: Corpus) -> Corpus:
        """Return the corpus with the held-out samples that the run uses."""
        notes = [*corpus.notes, *self.notes]
        if self.evaluated_tokens is not None:
            corpus = corpus.with_samples(self.evaluated_tokens)
        if corpus.is_sampled:
            notes.append(
                "To stay within the time, it is validated and evaluated on samples: "
                f"{len(corpus.valid.stream):,} and {len(corpus.test.stream):,} tokens. lorelm "
                "evaluate uses the whole test part."
            )
        if corpus.is_countable and not self.is_counted:
            notes.append(
                "To stay within the time, there are no n-gram model to compare with and no index "
                "of the training text: copies cannot be detected or forbidden."
            )
        may_be_counted = corpus.may_be_counted and self.is_counted
        return dataclasses.replace(corpus, notes=notes, may_be_counted=may_be_counted)

    @property
    def metadata(self) -> dict[str, Any]:
        """The plan in a checkpoint, under the names of its format."""
        return {
            "recipe": self.recipe.to_dict(),
            "training_seconds": self.horizon.seconds,
            "max_epochs": self.horizon.epochs,
            "judged_tokens": self.evaluated_tokens,
            "is_counted": self.is_counted,
        }

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any]) -> Self:
        recipe = Recipe.from_dict(metadata["recipe"])
        seconds, epochs = metadata["training_seconds"], metadata.get("max_epochs")
        if seconds is None:
            epochs = recipe.epochs
        return cls(
            recipe=recipe,
            horizon=TrainingHorizon(epochs=epochs, seconds=seconds),
            evaluated_tokens=metadata.get("judged_tokens"),
            is_counted=metadata.get("is_counted", True),
        )


def plan_run(
    corpus: Corpus,
    recipe: Recipe,
    budget: TimeBudget,
    machine: Machine,
    *,
    may_change_width: bool,
    may_change_epochs: bool,
    must_count: bool = False,
) -> Plan:
    """Return the run that makes the best use of a time budget.

    1. A width is chosen with which the recipe's epochs fit into three quarters of the time left.
    2. Evaluation of a model of that width is measured. It gets a quarter of the time at most.
    3. Training gets the rest, by the clock: up to three times the recipe's epochs.

    Args:
        may_change_width: False where the user or the initial checkpoint determines it.
        may_change_epochs: whether there may be more than the recipe's. Fewer are made anyway if
            they do not fit.
        must_count: make the n-gram model, however long it takes.

    Raises:
        RecipeError: no useful run fits.
    """
    left = _require_time(corpus, budget, machine.seconds_left(budget))
    sized, speed = _choose_width(
        corpus,
        recipe,
        machine,
        seconds=(1 - _EVALUATION_SHARE) * left,
        may_change_width=may_change_width,
        may_change_epochs=may_change_epochs,
    )
    # Before evaluation is measured, so that a budget far too short is refused early.
    _require_updates(budget, machine.seconds_left(budget), speed)
    evaluation = machine.evaluation_speed(corpus, sized)
    plan = _fit_evaluation(sized, corpus, evaluation, left, must_count)
    fitted = plan.fitted(corpus)
    reserve = evaluation.seconds(fitted)
    left = machine.seconds_left(budget)
    num_updates = _require_updates(budget, left, speed, reserve)
    # The last update begins before the time is over and ends after it.
    seconds = left - reserve - speed.seconds_per_update
    max_epochs = recipe.epochs * (_MAX_EPOCHS_FACTOR if may_change_epochs else 1)
    epochs = min(seconds / speed.epoch_seconds(len(fitted.valid.stream)), max_epochs)
    return dataclasses.replace(
        plan,
        recipe=dataclasses.replace(sized, epochs=max(1, round(epochs))),
        horizon=TrainingHorizon(epochs=max_epochs, seconds=seconds),
        notes=[_note(budget, left, reserve, sized.hidden_size, epochs)],
        warnings=_warnings(recipe, epochs, num_updates, may_change_epochs=may_change_epochs),
    )


def _require_time(corpus: Corpus, budget: TimeBudget, left: float) -> float:
    """Return the seconds left.

    Raises:
        RecipeError: they are too few to measure anything.
    """
    if left >= _MIN_LEFT_SHARE * budget.seconds:
        return left
    spent = budget.seconds - left
    raise budget.too_short(f"reading {corpus.source} and preparing took {spent:.0f} s", 3 * spent)


def _note(budget: TimeBudget, left: float, reserve: float, hidden_size: int, epochs: float) -> str:
    return (
        f"Of the time budget of {budget}, {budget.seconds - left:.0f} s are over, about "
        f"{reserve:.0f} s are for evaluating and saving, and the rest is for training: hidden size "
        f"{hidden_size}, epochs: about {_two_digits(epochs)}."
    )


def _warnings(
    recipe: Recipe, epochs: float, num_updates: int, *, may_change_epochs: bool
) -> Sequence[str]:
    """Return what the user must know if the time ends the training."""
    warnings = []
    if not may_change_epochs and epochs < 0.95 * recipe.epochs:
        warnings.append(
            f"only about {_two_digits(epochs)} of the {recipe.epochs} requested epochs fit into "
            "the time budget, and training ends with them"
        )
    if num_updates < _FEW_UPDATES and epochs < recipe.epochs:
        warnings.append(
            f"only about {num_updates} updates of the weights fit into the time budget: expect a "
            "poor model, and give it more time for a better one"
        )
    return warnings


def _two_digits(epochs: float) -> str:
    return f"{float(f'{epochs:.2g}'):g}"


def _choose_width(
    corpus: Corpus,
    recipe: Recipe,
    machine: Machine,
    *,
    seconds: float,
    may_change_width: bool,
    may_change_epochs: bool,
) -> tuple[Recipe, TrainingSpeed]:
    """Return the recipe with the widest model that fits into a time, and its measured speed.

    A model fits if 60 % of the recipe's epochs do; all of them, if the user wants them or the model
    is wider than the recipe's.
    """
    fitting: list[tuple[Recipe, TrainingSpeed]] = []
    for width in _WIDTHS if may_change_width else (recipe.hidden_size,):
        embedding_size = width if recipe.tied else recipe.embedding_size
        sized = dataclasses.replace(recipe, hidden_size=width, embedding_size=embedding_size)
        speed = machine.training_speed(corpus, sized)
        # Validation is left out: it may be on a sample.
        share = seconds / (recipe.epochs * speed.epoch_seconds(0))
        may_be_fewer = may_change_epochs and width <= recipe.hidden_size
        if fitting and share < (_MIN_EPOCHS_SHARE if may_be_fewer else 1):
            break
        fitting.append((sized, speed))
    return fitting[-1]


def _fit_evaluation(
    recipe: Recipe, corpus: Corpus, speed: EvaluationSpeed, left: float, must_count: bool
) -> Plan:
    """Return a plan with as much evaluation as fits into its share of the time left."""
    is_counted = must_count or speed.counting_seconds <= _COUNTING_SHARE * left
    plan = Plan(recipe=recipe, horizon=TrainingHorizon(epochs=recipe.epochs), is_counted=is_counted)
    num_tokens = len(corpus.valid.stream) + len(corpus.test.stream)
    excess = speed.seconds(plan.fitted(corpus)) - _EVALUATION_SHARE * left
    if excess <= 0:
        return plan
    num_fitting = num_tokens - excess / speed.token_seconds if speed.token_seconds else 0
    return dataclasses.replace(
        plan, evaluated_tokens=max(_MIN_EVALUATED_TOKENS, int(num_fitting / 2))
    )


def _require_updates(
    budget: TimeBudget, left: float, speed: TrainingSpeed, reserve: float = 0.0
) -> int:
    """Return how many updates of the weights fit into the time left after evaluation.

    Raises:
        RecipeError: too few to learn anything.
    """
    count = max(0, int((left - reserve) / speed.seconds_per_update))
    if count >= _MIN_UPDATES:
        return count
    spent = budget.seconds - left
    evaluating = f", evaluating and saving take about {reserve:.0f} s" if reserve else ""
    raise budget.too_short(
        f"{spent:.0f} s went into preparing{evaluating}, and the rest is enough for {count} "
        f"updates of the weights: a model learns nothing in fewer than {_MIN_UPDATES}",
        1.5 * (spent + reserve + _MIN_UPDATES * speed.seconds_per_update),
    )
