"""The learning rate over a training run."""

import math
from typing import Any, Final

from lorelm.training.recipe import Recipe

_LAST_FACTOR: Final = 0.01
"""The end of the half wave, as a share of its top."""

_LEAST_IMPROVEMENT: Final = 1e-4
"""An improvement of less than one in ten thousand is none."""


def cosine(progress: float, *, warm_up: float) -> float:
    """The factor on the learning rate at a share of the run from 0 to 1 (Loshchilov, Hutter 2017).

    It rises in a line during the warm-up and falls along half a cosine to a hundredth.
    """
    if progress < warm_up:
        return progress / warm_up
    wave = (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) / 2
    return _LAST_FACTOR + (1 - _LAST_FACTOR) * wave


class LearningRate:
    """The learning rate of a recipe, and how often it has been lowered.

    Attributes:
        num_lowered: how often validation made no progress (schedule ``plateau``).
        best_loss: what validation is measured by.
        num_halved: how often it was halved because the loss exploded.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe: Final = recipe
        self.num_lowered = 0
        self.best_loss = math.inf
        self.num_halved = 0

    def at(self, progress: float) -> float:
        """The learning rate at a share of the run from 0 to 1."""
        rate = self._recipe.learning_rate * 0.5**self.num_halved
        if self._recipe.schedule == "cosine":
            return rate * cosine(progress, warm_up=self._recipe.warm_up)
        return rate * self._recipe.learning_rate_decay**self.num_lowered

    def on_validation(self, loss: float) -> None:
        if loss < self.best_loss * (1 - _LEAST_IMPROVEMENT):
            self.best_loss = loss
        else:
            self.num_lowered += 1

    @property
    def state(self) -> dict[str, Any]:
        """What is needed to go on after an interruption."""
        return {
            "num_lowered": self.num_lowered,
            "best_loss": self.best_loss,
            "num_halved": self.num_halved,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.num_lowered = state["num_lowered"]
        self.best_loss = state["best_loss"]
        self.num_halved = state["num_halved"]
