"""Fits a training run to a time: :func:`plan`."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch

from lorelm.corpus.preparation import Corpus
from lorelm.training.estimate import estimate_training_seconds
from lorelm.training.recipe import Recipe

_WIDTHS: Final = (100, 150, 200, 300, 400, 500, 650, 800)

_MOST_EPOCHS: Final = 3
"""So many times the epochs of the recipe: more would learn by heart, and validation says no."""

_FEWEST_EPOCHS: Final = 0.6
"""So many times the epochs of the recipe are better than a narrower model."""

_JUDGED_TOKENS_PER_SECOND: Final = 2_000
"""Of the held-out parts, after training: int8 steps one by one, several times over."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What fits into a time.

    Attributes:
        recipe: with the width and the epochs that fit.
        training_seconds: how long to train; None where the recipe ends before the time does.
    """

    recipe: Recipe
    training_seconds: float | None


def plan(
    corpus: Corpus,
    recipe: Recipe,
    budget_seconds: float,
    *,
    device: torch.device,
    may_change_width: bool,
    seconds_of: Callable[..., float] | None = None,
) -> Plan:
    """The run that makes most of a time, judging the model in the end included.

    The first steps of the recipe are measured. Where time is left, the model becomes wider as long
    as the recipe's epochs fit, and then they become more; where it is short, narrower and fewer.

    Args:
        may_change_width: not where the width was given, or comes with the weights to begin with.
        seconds_of: measures how long a recipe takes; by its first steps where it is None.
    """
    started = time.perf_counter()
    seconds_of = seconds_of or partial(
        estimate_training_seconds, measured_seconds=min(2.0, budget_seconds / 200)
    )
    judged_tokens = len(corpus.valid.stream) + len(corpus.test.stream)
    seconds = max(budget_seconds - judged_tokens / _JUDGED_TOKENS_PER_SECOND, budget_seconds / 2)

    def share_that_fits(candidate: Recipe) -> float:
        return seconds / max(seconds_of(corpus, candidate, device=device), 1e-3)

    share = share_that_fits(recipe)
    wider = [width for width in _WIDTHS if width > recipe.hidden_size]
    narrower = [width for width in reversed(_WIDTHS) if width < recipe.hidden_size]
    if may_change_width and share < _FEWEST_EPOCHS:
        for width in narrower:
            recipe = _of_width(recipe, width)
            share = share_that_fits(recipe)
            if share >= _FEWEST_EPOCHS:
                break
    elif may_change_width:
        for width in wider:
            candidate = _of_width(recipe, width)
            candidate_share = share_that_fits(candidate)
            if candidate_share < 1:
                break
            recipe, share = candidate, candidate_share
    epochs = max(1, round(recipe.epochs * min(share, _MOST_EPOCHS)))
    return Plan(
        recipe=dataclasses.replace(recipe, epochs=epochs),
        training_seconds=(
            None if share >= _MOST_EPOCHS else seconds - (time.perf_counter() - started)
        ),
    )


def _of_width(recipe: Recipe, width: int) -> Recipe:
    embedding_size = width if recipe.tied else recipe.embedding_size
    return dataclasses.replace(recipe, hidden_size=width, embedding_size=embedding_size)
