"""Fits a training run into a time budget: :func:`plan_run`."""

import dataclasses
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self

from lorelm.corpus.preparation import Corpus
from lorelm.training.callbacks import TimeRange
from lorelm.training.recipe import Recipe
from lorelm.training.schedule import TrainingHorizon
from lorelm.training.speed import EvaluationSpeed, Machine, TrainingSpeed
from lorelm.training.time_budget import TimeBudget

_WIDTHS: Final = (100, 150, 200, 300, 400, 500, 650, 800)

_MAX_EPOCHS_FACTOR: Final = 2
"""Times the recipe's epochs: on the films, 27 end at validation perplexity 46.2, 42 at 47.0."""

_MAX_FINE_TUNING_EPOCHS: Final = 8
"""From a trained model, unless the recipe has more: 16 are not clearly better (decision 11)."""

_SMALL: Final = 500_000
"""Training tokens that a wider model than the recipe's learns by heart: on the films, widths of
300, 400 and 800 end at validation perplexity 47.0, 48.1 and 49.5."""

_MIN_EPOCHS_SHARE: Final = 0.6
"""This share of the recipe's epochs is better than a narrower model."""

_MIN_UPDATES: Final = 50
"""With fewer a model learns only word frequencies (width 100 reaches the perplexity of a unigram
model after 50 updates on the films, after 70 on tiny Shakespeare)."""

_FEW_UPDATES: Final = 400
"""With fewer a bigram model is better, on corpora of any size."""

_EVALUATION_SHARE: Final = 0.25
"""Reserve for evaluation, as a share of the time left; if it takes more, samples are used."""

_NGRAM_SHARE: Final = 0.1
"""The same for the n-gram model and the index of the training text."""

_MIN_EVALUATED_TOKENS: Final = 1_000
"""Of each held-out part: the interval of a perplexity is then about ±10 %."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is trained, for how long, and how it is evaluated.

    Attributes:
        recipe: with the width and the epochs that fit.
        speed, evaluation: how fast the machine is expected to train, and evaluates; None if that
            was not measured.
        evaluated_tokens: of each held-out part, about; None evaluates on all of them.
        has_ngrams: whether n-gram models and indexes of the training part are made.
        notes: sentences about the plan for the user.
        warnings: what the user asked for and does not get.
    """

    recipe: Recipe
    horizon: TrainingHorizon
    speed: TrainingSpeed | None = None
    evaluation: EvaluationSpeed | None = None
    evaluated_tokens: int | None = None
    has_ngrams: bool = True
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
        if corpus.is_countable and not self.has_ngrams:
            notes.append(
                "To stay within the time, there are no n-gram model to compare with and no index "
                "of the training text: copies cannot be detected or forbidden."
            )
        may_be_counted = corpus.may_be_counted and self.has_ngrams
        return dataclasses.replace(corpus, notes=notes, may_be_counted=may_be_counted)

    @property
    def is_timed(self) -> bool:
        """Whether the clock is expected to end the run, before its number of epochs does."""
        return self.horizon.epochs is None or self.recipe.epochs < self.horizon.epochs

    @property
    def metadata(self) -> dict[str, Any]:
        """The plan in a checkpoint, under the names of its format."""
        return {
            "recipe": self.recipe.to_dict(),
            "training_seconds": self.horizon.seconds,
            "end_moved_at": self.horizon.moved_at,
            "max_epochs": self.horizon.epochs,
            "judged_tokens": self.evaluated_tokens,
            "is_counted": self.has_ngrams,
        }

    @classmethod
    def of_run(cls, run: dict[str, Any], recipe: Recipe, warnings: Sequence[str] = ()) -> Self:
        """Return the plan that a checkpoint describes, with a recipe for this machine."""
        seconds, epochs = run.get("training_seconds"), run.get("max_epochs")
        if seconds is None:
            epochs = recipe.epochs
        return cls(
            recipe=recipe,
            horizon=TrainingHorizon(
                epochs=epochs, seconds=seconds, moved_at=tuple(run.get("end_moved_at", (0.0, 0.0)))
            ),
            evaluated_tokens=run.get("judged_tokens"),
            has_ngrams=run.get("is_counted", True),
            warnings=warnings,
        )


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What a plan may change, and what it must keep.

    Attributes:
        free: settings that neither the user nor the initial checkpoint determines. Without
            `hidden_size` the width stays; without `epochs` there may be fewer, but not more.
        is_fine_tuning: whether training starts from a trained model.
        with_ngram: make the n-gram model, however long it takes.
        as_busy: expect the machine to stay as busy as it is now.
    """

    free: Collection[str]
    is_fine_tuning: bool = False
    with_ngram: bool = False
    as_busy: bool = False

    def max_epochs(self, recipe: Recipe) -> int:
        """Return after how many epochs a run of a recipe ends, even if time is left."""
        if "epochs" not in self.free:
            return recipe.epochs
        max_epochs = recipe.epochs * _MAX_EPOCHS_FACTOR
        if self.is_fine_tuning:
            return max(recipe.epochs, min(max_epochs, _MAX_FINE_TUNING_EPOCHS))
        return max_epochs


def plan_run(
    corpus: Corpus, recipe: Recipe, budget: TimeBudget, machine: Machine, options: PlanOptions
) -> Plan:
    """Return the run that makes the best use of a time budget.

    1. A width is chosen with which the recipe's epochs fit into three quarters of the time left, at
       a speed halfway between that of the machine now and that of a free one.
    2. Evaluation of a model of that width is measured. It gets a quarter of the time at most.
    3. Training gets the rest, by the clock: up to twice the recipe's epochs, and from a trained
       model up to eight, or the recipe's if it has more.

    Raises:
        RecipeError: no useful run fits.
    """
    left, free = budget.left, options.free
    speed_of = partial(_expected_speed, corpus, machine, options.as_busy)
    widths = _widths(recipe, len(corpus.train.stream), free)
    sized, speed = _choose_width(recipe, widths, speed_of, (1 - _EVALUATION_SHARE) * left, free)
    # Before evaluation is measured, so that a budget far too short is refused early.
    _training_seconds(budget, speed)
    evaluation = machine.evaluation_speed(corpus, sized)
    plan = _fit_evaluation(sized, corpus, evaluation, left, options.with_ngram)
    fitted = plan.fitted(corpus)
    num_valid = len(fitted.valid.stream)
    reserve = evaluation.seconds(fitted) + num_valid * speed.seconds_per_valid_token
    seconds = _training_seconds(budget, speed, reserve)
    max_epochs = options.max_epochs(recipe)
    epochs = min(seconds / speed.epoch_seconds(num_valid), max_epochs)
    num_updates = int(seconds / speed.seconds_per_update) + 1
    is_enough = "epochs" in free and epochs == max_epochs
    return dataclasses.replace(
        plan,
        recipe=dataclasses.replace(sized, epochs=max(1, round(epochs))),
        horizon=TrainingHorizon(epochs=max_epochs, seconds=seconds),
        speed=speed,
        evaluation=evaluation,
        notes=[_note(budget, reserve, sized.hidden_size, epochs, is_enough=is_enough)],
        warnings=_warnings(recipe, epochs, num_updates, free),
    )


def estimate_run(corpus: Corpus, recipe: Recipe, machine: Machine) -> TimeRange:
    """Return how long a run of a recipe takes, from the prepared corpus to the saved bundle."""
    speed = machine.training_speed(corpus, recipe)
    busy = recipe.epochs * speed.epoch_seconds(len(corpus.valid.stream))
    training = TimeRange(busy * speed.processor_share, busy)
    return sum(machine.evaluation_speed(corpus, recipe).stages(corpus).values(), start=training)


def plan_extension(
    plan: Plan,
    corpus: Corpus,
    budget: TimeBudget,
    machine: Machine,
    *,
    num_epochs: int,
    seconds: float,
) -> Plan:
    """Return the plan of a run with as much more training as fits into a time budget.

    Width and held-out parts stay as they are, so that all its epochs can be compared.

    Args:
        num_epochs, seconds: how far the run is.

    Raises:
        RecipeError: too little time is left to learn anything in.
    """
    fitted = plan.fitted(corpus)
    speed = machine.training_speed(corpus, plan.recipe)
    evaluation = machine.evaluation_speed(corpus, plan.recipe)
    reserve = evaluation.seconds(fitted)
    left = _training_seconds(budget, speed, reserve)
    more_epochs = max(1, round(left / speed.epoch_seconds(len(fitted.valid.stream))))
    return dataclasses.replace(
        plan,
        recipe=dataclasses.replace(plan.recipe, epochs=num_epochs + more_epochs),
        horizon=TrainingHorizon(seconds=seconds + left),
        speed=speed,
        evaluation=evaluation,
        notes=[
            f"Of the time budget of {budget}, about {reserve:.0f} s are for evaluating and saving, "
            f"and the rest is for about {more_epochs} more epochs."
        ],
    )


def _note(
    budget: TimeBudget, reserve: float, hidden_size: int, epochs: float, *, is_enough: bool
) -> str:
    note = (
        f"Of the time budget of {budget}, {budget.seconds - budget.left:.0f} s are over, about "
        f"{reserve:.0f} s are for evaluating and saving, and the rest is for training: hidden size "
        f"{hidden_size}, epochs: about {_two_digits(epochs)}."
    )
    return (
        f"{note} It ends before the time is over, since more epochs make it no better."
        if is_enough
        else note
    )


def _warnings(
    recipe: Recipe, epochs: float, num_updates: int, free: Collection[str]
) -> Sequence[str]:
    """Return what the user must know if the time ends the training."""
    warnings = []
    if "epochs" not in free and epochs < 0.95 * recipe.epochs:
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


def _expected_speed(
    corpus: Corpus, machine: Machine, as_busy: bool, recipe: Recipe
) -> TrainingSpeed:
    speed = machine.training_speed(corpus, recipe)
    return speed if as_busy else speed.expected


def _widths(recipe: Recipe, num_tokens: int, free: Collection[str]) -> Sequence[int]:
    """Return the widths to choose from, ascending."""
    if "hidden_size" not in free:
        return (recipe.hidden_size,)
    return [width for width in _WIDTHS if width <= recipe.hidden_size or num_tokens > _SMALL]


def _choose_width(
    recipe: Recipe,
    widths: Sequence[int],
    speed_of: Callable[[Recipe], TrainingSpeed],
    seconds: float,
    free: Collection[str],
) -> tuple[Recipe, TrainingSpeed]:
    """Return the recipe with the widest model that fits into a time, and its speed.

    A model fits if 60 % of the recipe's epochs do; all of them, if the user wants them or the model
    is wider than the recipe's.
    """
    fitting: list[tuple[Recipe, TrainingSpeed]] = []
    for width in widths:
        sized = recipe.at_width(width)
        speed = speed_of(sized)
        # Validation is left out: it may be on a sample.
        share = seconds / (recipe.epochs * speed.epoch_seconds(0))
        may_be_fewer = "epochs" in free and width <= recipe.hidden_size
        if fitting and share < (_MIN_EPOCHS_SHARE if may_be_fewer else 1):
            break
        fitting.append((sized, speed))
    return fitting[-1]


def _fit_evaluation(
    recipe: Recipe, corpus: Corpus, speed: EvaluationSpeed, left: float, with_ngram: bool
) -> Plan:
    """Return a plan with as much evaluation as fits into its share of the time left."""
    plan = Plan(
        recipe=recipe,
        horizon=TrainingHorizon(epochs=recipe.epochs),
        has_ngrams=with_ngram or speed.ngram_seconds <= _NGRAM_SHARE * left,
    )
    limit = _EVALUATION_SHARE * left
    if speed.seconds(plan.fitted(corpus)) <= limit:
        return plan

    def seconds(evaluated_tokens: int) -> float:
        sampled = dataclasses.replace(plan, evaluated_tokens=evaluated_tokens)
        return speed.seconds(sampled.fitted(corpus))

    sizes = range(max(len(corpus.valid.stream), len(corpus.test.stream)))
    evaluated_tokens = bisect_right(sizes, limit, key=seconds) - 1
    return dataclasses.replace(plan, evaluated_tokens=max(_MIN_EVALUATED_TOKENS, evaluated_tokens))


def _training_seconds(budget: TimeBudget, speed: TrainingSpeed, reserve: float = 0.0) -> float:
    """Return how long training may take before a reserve; refuse a time too short to learn in."""
    left = budget.left
    num_updates = max(0, int((left - reserve) / speed.seconds_per_update))
    if num_updates >= _MIN_UPDATES:
        # The last update begins before the time is over and ends after it.
        return left - reserve - speed.seconds_per_update
    spent = budget.seconds - left
    evaluating = f", evaluating and saving take about {reserve:.0f} s" if reserve else ""
    raise budget.too_short(
        f"{spent:.0f} s went into preparing{evaluating}, and the rest is enough for {num_updates} "
        f"updates of the weights: a model learns nothing in fewer than {_MIN_UPDATES}",
        1.5 * (spent + reserve + _MIN_UPDATES * speed.seconds_per_update),
    )
