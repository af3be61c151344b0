"""A moving average of a model's weights: steadier than the weights themselves."""

import copy
from typing import Final

import torch

from lorelm.model.lstm import LSTMLanguageModel


class WeightAverage:
    """The exponential moving average of the weights of a model (Polyak averaging).

    With a decay of 0, it is the model itself.

    Args:
        decay: the share of the old average in the new one, after a warm-up in which it is less.
    """

    def __init__(self, model: LSTMLanguageModel, *, decay: float) -> None:
        self._decay: Final = decay
        self._current = [parameter.detach() for parameter in model.parameters()]
        self.model: Final = copy.deepcopy(model).requires_grad_(False) if decay else model
        self._averaged: list[torch.Tensor] = list(self.model.parameters())

    @torch.no_grad()
    def update(self, num_updates: int) -> None:
        """Takes the weights after their update number `num_updates` (from 1) into the average."""
        if self._decay:
            decay = min(self._decay, (1 + num_updates) / (10 + num_updates))
            torch._foreach_lerp_(self._averaged, self._current, 1 - decay)
