"""Regularisation in training: dropout, penalties, and a moving average of the weights.

The methods are those of AWD-LSTM (Merity, Keskar, Socher 2017): dropout that is the same for all
steps of a window, dropout of whole words and of recurrent weights, and penalties on large and on
quickly changing outputs.
"""

import copy
from typing import Final

import torch
from torch import Tensor

from lorelm.model.lstm import LSTMLanguageModel, LSTMState
from lorelm.training.recipe import Recipe

_FIRST_DROPOUT: Final = 0.4
"""Share of the dropout at the start of a ramp: on the films, 0.2 was no better."""


class RegularisedModel:
    """A model with the dropout and the penalties of a recipe.

    Dropout masks are drawn for the whole batch, even where this process has only some columns, so
    that several processes that share a batch train as one process does.

    Args:
        columns: the columns of the batch that this process trains on.
    """

    def __init__(
        self, model: LSTMLanguageModel, recipe: Recipe, *, columns: slice = slice(None)
    ) -> None:
        self._model: Final = model
        self._recipe: Final = recipe
        self._columns: Final = columns

    def __call__(
        self, ids_TB: Tensor, state: LSTMState, *, progress: float = 1.0
    ) -> tuple[Tensor, LSTMState, Tensor]:
        """Return the input of the output layer, the state after it, and an addend of the loss.

        Args:
            progress: the share of the run that is over, for the ramp of the dropout.
        """
        model, recipe = self._model, self._recipe
        self._ramp = dropout_ramp(progress, recipe.dropout_ramp)
        outputs_TBH, states = self._embed(ids_TB), []
        for layer in range(model.config.num_layers):
            weight_ih, weight_hh, *biases = model.lstm_weights(layer)
            if recipe.recurrent_dropout:
                share = self._ramp * recipe.recurrent_dropout
                weight_hh = weight_hh * _mask(weight_hh, weight_hh.shape, share)
            outputs_TBH, layer_state = model.run_layer(
                self._dropout(outputs_TBH),
                (state[0][layer : layer + 1], state[1][layer : layer + 1]),
                [weight_ih, weight_hh, *biases],
            )
            states.append(layer_state)
        dropped_TBN = self._dropout(model.project(outputs_TBH))
        h_LBH, c_LBH = (torch.cat(tensors) for tensors in zip(*states, strict=True))
        return dropped_TBN, (h_LBH, c_LBH), self._penalty(outputs_TBH, dropped_TBN)

    def _embed(self, ids_TB: Tensor) -> Tensor:
        vectors_TBE: Tensor = self._model.embedding(ids_TB)
        if self._recipe.word_dropout == 0:
            return vectors_TBE
        mask_V1 = _mask(
            vectors_TBE, (self._model.config.vocabulary_size, 1), self._recipe.word_dropout
        )
        return vectors_TBE * mask_V1[ids_TB]

    def _dropout(self, values_TBN: Tensor) -> Tensor:
        share, (num_steps, _, width) = self._ramp * self._recipe.dropout, values_TBN.shape
        if share == 0:
            return values_TBN
        mask_steps = 1 if self._recipe.locked_dropout else num_steps
        mask_TBN = _mask(values_TBN, (mask_steps, self._recipe.batch_size, width), share)
        return values_TBN * mask_TBN[:, self._columns]

    def _penalty(self, outputs_TBH: Tensor, dropped_TBN: Tensor) -> Tensor:
        penalty = outputs_TBH.new_zeros((), dtype=torch.float32)
        if self._recipe.activation_penalty:
            penalty = (
                penalty + self._recipe.activation_penalty * dropped_TBN.float().square().mean()
            )
        if self._recipe.temporal_penalty and len(outputs_TBH) > 1:
            changes_TBH = outputs_TBH[1:].float() - outputs_TBH[:-1].float()
            penalty = penalty + self._recipe.temporal_penalty * changes_TBH.square().mean()
        return penalty


def dropout_ramp(progress: float, length: float) -> float:
    """Return the factor on dropout: it rises to 1 over the first share `length` of a run.

    Early on there is little to overfit with, and less noise learns faster (Morerio et al. 2017).
    """
    if progress >= length:
        return 1.0
    return _FIRST_DROPOUT + (1 - _FIRST_DROPOUT) * progress / length


def _mask(values: Tensor, shape: tuple[int, ...], share: float) -> Tensor:
    """Return a random dropout mask: 0 with probability `share`, otherwise 1 / (1 - share).

    Drawn from uniform numbers: for a recurrent matrix of 1200 x 300 they take 2.1 ms, the Bernoulli
    numbers of PyTorch's own dropout 4.8 (of 26 for the whole step, recipe ``default``).
    """
    mask = torch.rand(shape, device=values.device).ge_(share).div_(1 - share)
    return mask.to(values.dtype)


class WeightAverage:
    """Exponential moving average of the weights of a model (Polyak averaging).

    With a decay of 0, it is the model itself.

    Args:
        decay: the share of the old average in the new one; lower during a warm-up.
    """

    def __init__(self, model: LSTMLanguageModel, *, decay: float) -> None:
        self._decay: Final = decay
        self._current = [parameter.detach() for parameter in model.parameters()]
        self.model: Final = copy.deepcopy(model).requires_grad_(False) if decay else model
        self._averaged: list[torch.Tensor] = list(self.model.parameters())

    @torch.no_grad()
    def update(self, num_updates: int) -> None:
        """Add the weights after update number `num_updates` (from 1) to the average."""
        if self._decay:
            decay = min(self._decay, (1 + num_updates) / (10 + num_updates))
            torch._foreach_lerp_(self._averaged, self._current, 1 - decay)
