"""The settings that are tuned, and how far from those of the recipe: :func:`search_space`."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lorelm.parameters import parameters_of
from lorelm.training.recipe import Recipe

if TYPE_CHECKING:
    from optuna.trial import Trial

_DIGITS: Final = 2
"""Significant digits of a proposed value: more mean nothing, and two are easy to read."""


@dataclass(frozen=True)
class _Factors:
    """From `low` to `high` times the recipe's value, by its logarithm; 0 stays 0, which is off."""

    low: float
    high: float


@dataclass(frozen=True)
class _Reach:
    """A share, up to this much below or above the recipe's."""

    reach: float


@dataclass(frozen=True)
class _Complement:
    """A share near 1, which is as far from 1 as the recipe's times a factor; 0 stays 0."""

    low: float
    high: float


# All is relative to the recipe, so that a recipe for more text, or a better one, has its own space.
# Not tuned: what has little effect beside these (warm-up, Adam's beta 2, gradient norm), what
# changes the text or the parts (tokenizer, min_frequency, seeds), and the number of layers.
_TUNED: Final[Mapping[str, _Factors | _Reach | _Complement]] = {
    "learning_rate": _Factors(0.5, 2.0),
    "learning_rate_decay": _Factors(0.5, 1.6),
    "batch_size": _Factors(0.5, 2.0),
    "bptt": _Factors(0.5, 2.0),
    "epochs": _Factors(0.7, 1.6),
    "embedding_size": _Factors(0.6, 1.6),
    "hidden_size": _Factors(0.6, 1.6),
    "dropout": _Reach(0.15),
    "recurrent_dropout": _Reach(0.15),
    "word_dropout": _Reach(0.1),
    "activation_penalty": _Factors(0.3, 3.0),
    "temporal_penalty": _Factors(0.3, 3.0),
    "weight_average": _Complement(0.4, 2.0),
}

MAX_SHARE: Final = 0.9
"""Of dropout: with more, hardly anything is learned."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """The values that a setting may have in a trial."""

    low: float
    high: float
    is_whole: bool = False
    is_log: bool = False

    def suggest(self, trial: "Trial", name: str) -> float:
        if self.is_whole:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.is_log)
        return trial.suggest_float(name, self.low, self.high, log=self.is_log)


def search_space(recipe: Recipe, *, fixed: Collection[str] = ()) -> dict[str, Range]:
    """Return the settings that trials may change, with their values.

    Args:
        recipe: fitted to the corpus.
        fixed: settings that stay as they are.
    """
    without = set(fixed)
    if recipe.schedule != "plateau":
        without.add("learning_rate_decay")
    if recipe.tied:  # the hidden size stands for both
        without.add("embedding_size")
        if "embedding_size" in fixed:
            without.add("hidden_size")
    ranges = {name: _range(name, getattr(recipe, name)) for name in _TUNED.keys() - without}
    return {name: each for name in _TUNED if (each := ranges.get(name)) and each.low < each.high}


def _range(name: str, value: float) -> Range:
    """Return the values around that of the recipe, which is always among them."""
    by, parameter = _TUNED[name], parameters_of(Recipe)[name]
    if isinstance(by, _Reach):
        return Range(
            low=max(0.0, value - by.reach), high=max(value, min(MAX_SHARE, value + by.reach))
        )
    if isinstance(by, _Complement):
        ends = [
            max(0.0, 1 - (1 - value) * factor) if value else 0.0 for factor in (by.high, by.low)
        ]
        return Range(low=ends[0], high=ends[1])
    low, high = value * by.low, value * by.high
    if parameter.is_whole:
        low, high = max(1, round(low)), max(1, round(high))
    highest = min(end for end in (parameter.max, parameter.below, high) if end is not None)
    if parameter.below is not None and highest >= parameter.below:
        highest = value
    return Range(low=low, high=highest, is_whole=parameter.is_whole, is_log=True)


def suggested_recipe(recipe: Recipe, space: Mapping[str, Range], trial: "Trial") -> Recipe:
    """Return the recipe with the values that Optuna suggests for a trial."""
    return changed_recipe(recipe, {name: each.suggest(trial, name) for name, each in space.items()})


def changed_recipe(recipe: Recipe, parameters: Mapping[str, Any]) -> Recipe:
    """Return the recipe with the values of a trial, in few digits where they are not its own."""
    changes: dict[str, Any] = {
        name: value if value == getattr(recipe, name) else _rounded(value)
        for name, value in parameters.items()
    }
    sized = recipe
    if recipe.tied and "hidden_size" in changes:
        sized = recipe.at_width(changes.pop("hidden_size"))
    changed = dataclasses.replace(sized, **changes)
    same = (name for name in recipe.fitted if getattr(changed, name) == getattr(recipe, name))
    return dataclasses.replace(changed, fitted=tuple(same))


def widest_recipe(recipe: Recipe, space: Mapping[str, Range]) -> Recipe:
    """Return the recipe with the largest model of the space."""
    sizes = [name for name in ("embedding_size", "hidden_size") if name in space]
    return changed_recipe(recipe, {name: int(space[name].high) for name in sizes})


def own_parameters(recipe: Recipe, space: Mapping[str, Range]) -> dict[str, Any]:
    """Return the recipe's own values of the settings that are tuned."""
    return {name: getattr(recipe, name) for name in space}


def _rounded(value: float) -> float:
    """Round to two digits; a share near 1 by its distance to 1."""
    if isinstance(value, int):
        return int(float(f"{value:.{_DIGITS}g}"))
    if MAX_SHARE < value < 1:
        return round(1 - float(f"{1 - value:.{_DIGITS}g}"), 10)
    return float(f"{value:.{_DIGITS}g}")
