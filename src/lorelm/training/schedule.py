"""The end of a training run, and the learning rate on the way there."""

import math
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Self

from lorelm.bundle.manifest import TrainingEnd
from lorelm.training.recipe import Recipe

_LAST_FACTOR: Final = 0.01
"""The end of the cosine schedule, as a share of its top."""

_MIN_IMPROVEMENT: Final = 1e-4
"""A validation loss that falls by less than one in ten thousand has not improved."""


BEGINNING: Final = MappingProxyType({"num_epochs": 0, "num_updates": 0, "seconds": 0.0})
"""Where a run is when its schedule begins, unless it is extended."""


@dataclass(frozen=True, kw_only=True)
class TrainingHorizon:
    """When a run ends: after some epochs, some seconds, or whichever comes first.

    By the clock, progress is the share of the time that has passed. On a machine that becomes
    slower, or after training went back to a checkpoint, each remaining update is a larger part of
    the run, so that the learning rate has come down when the time is over.

    Attributes:
        epochs: None trains as many as there is time for.
        seconds: since training began; None trains as long as the epochs take.
        moved_at: the seconds and the progress at which `seconds` was changed. Progress goes on from
            there, so that the learning rate does not jump.
        patience: epochs in a row without a better one that end the run too; 0: none do.
    """

    epochs: int | None = None
    seconds: float | None = None
    moved_at: tuple[float, float] = (0.0, 0.0)
    patience: int = 0

    def progress(self, *, num_updates: int, updates_per_epoch: int, seconds: float) -> float:
        """Return the share of the run that is over, from 0 to 1."""
        whole = None if self.epochs is None else self.epochs * updates_per_epoch
        return max(_share(num_updates, whole), self._share_of_time(seconds))

    def moved(self, end: float, *, now: float) -> Self:
        """Return the same with another end by the clock; both in seconds since the start."""
        return replace(self, seconds=end, moved_at=(now, self._share_of_time(now)))

    def _share_of_time(self, seconds: float) -> float:
        if self.seconds is None:
            return 0.0
        moved_at, progress = self.moved_at
        if seconds < moved_at:
            return progress * seconds / moved_at
        return progress + (1 - progress) * _share(seconds - moved_at, self.seconds - moved_at)

    def end(self, progress: float, *, num_epochs_since_best: int) -> TrainingEnd | None:
        """Return what ends the run; None if nothing does yet."""
        if progress >= 1:
            return "schedule"
        return "early_stopping" if 0 < self.patience <= num_epochs_since_best else None


def _share(done: float, whole: float | None) -> float:
    """From 0 to 1; 0 where there is no end."""
    if whole is None:
        return 0.0
    return done / whole if done < whole else 1.0


def cosine(progress: float, *, warm_up: float, begun_at: float = 0.0) -> float:
    """The factor on the learning rate at a share of the run from 0 to 1 (Loshchilov, Hutter 2017).

    It rises linearly during the warm-up and falls along half a cosine to a hundredth.

    Args:
        warm_up: its share of the run.
        begun_at: where an extended run goes on, with a warm-up of this share of what is left.
    """
    length = warm_up * (1 - begun_at)
    rise = min(1.0, (progress - begun_at) / length) if length else 1.0
    wave = (1 + math.cos(math.pi * max(0.0, progress - warm_up) / (1 - warm_up))) / 2
    return rise * (_LAST_FACTOR + (1 - _LAST_FACTOR) * wave)


@dataclass
class LearningRate:
    """The learning rate of a recipe, and how often it has been lowered.

    Attributes:
        num_lowered: how often validation did not improve (schedule ``plateau``).
        best_loss: the validation loss to improve on.
        num_halved: how often it was halved because the loss diverged.
        begun_at: the share of the run at which its schedule began: 0, or where it was extended.
    """

    recipe: Recipe
    num_lowered: int = 0
    best_loss: float = math.inf
    num_halved: int = 0
    begun_at: float = 0.0

    def at(self, progress: float) -> float:
        """The learning rate at a share of the run from 0 to 1."""
        rate = self.recipe.learning_rate * 0.5**self.num_halved
        if self.recipe.schedule == "cosine":
            return rate * cosine(progress, warm_up=self.recipe.warm_up, begun_at=self.begun_at)
        return rate * self.recipe.learning_rate_decay**self.num_lowered

    def on_validation(self, loss: float) -> None:
        if loss < self.best_loss * (1 - _MIN_IMPROVEMENT):
            self.best_loss = loss
        else:
            self.num_lowered += 1

    @property
    def state(self) -> dict[str, Any]:
        """The state to save in a checkpoint."""
        derived = ("recipe", "begun_at")
        return {name: value for name, value in vars(self).items() if name not in derived}
