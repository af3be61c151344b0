"""How long training will take on this machine, from its first steps."""

import contextlib
import time
from typing import Final

import torch

from lorelm.corpus.preparation import Corpus
from lorelm.training.listener import TrainingListener
from lorelm.training.loop import fit
from lorelm.training.recipe import Recipe

_WARM_UP_STEPS: Final = 2


def estimate_training_seconds(
    corpus: Corpus, recipe: Recipe, *, device: torch.device, measured_seconds: float = 2.0
) -> float:
    """Trains for a moment and scales up to all epochs.

    Raises:
        CorpusError: the training part is shorter than a batch.
    """
    clock = _Clock(
        num_tokens=len(corpus.train.stream) * recipe.epochs, measured_seconds=measured_seconds
    )
    with contextlib.suppress(_TimeIsUp):
        fit(corpus, recipe, device=device, listener=clock)
    return clock.estimate()


class _TimeIsUp(Exception):  # noqa: N818 - a signal, not an error
    """Ends the measurement."""


class _Clock(TrainingListener):
    def __init__(self, *, num_tokens: int, measured_seconds: float) -> None:
        self._measured_seconds = measured_seconds
        self._num_tokens = num_tokens
        self._steps = 0
        self._measured_tokens = 0
        self._started = self._now = time.perf_counter()

    def on_step(self, *, num_tokens: int) -> None:
        self._now = time.perf_counter()
        self._steps += 1
        if self._steps <= _WARM_UP_STEPS:
            self._started = self._now
            return
        self._measured_tokens += num_tokens
        if self._now - self._started > self._measured_seconds:
            raise _TimeIsUp

    def estimate(self) -> float:
        seconds = self._now - self._started
        return seconds * self._num_tokens / self._measured_tokens if self._measured_tokens else 0.0
