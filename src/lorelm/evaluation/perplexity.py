"""Predict a text with a model, and the perplexity of the predictions."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from lorelm.corpus.vocabulary import EOS_ID
from lorelm.runtime.base import Runtime
from lorelm.runtime.mixture import log_normaliser
from lorelm.runtime.neural_cache import CachedRuntime
from lorelm.typing import Bools, Floats, Floats32, Ids

MAX_ROWS: Final = 16
_MIN_ROW: Final = 300
_WARM_UP: Final = 100
"""Ids before a row, after which its state has all but forgotten where it began."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions of a model for the target tokens of a stream; one value per target.

    Attributes:
        log_probabilities: natural logarithm of the probability of the target.
        confidence: probability of the likeliest id, the top prediction.
        is_correct: whether the top prediction is the target.
        h_NH: the hidden states of the last layer that predict the first targets; empty unless
            they were asked for.
    """

    log_probabilities: Floats
    confidence: Floats
    is_correct: Bools
    h_NH: Floats32


def perplexity(loss_nats_per_token: float) -> float:
    """Return the exponential of the loss: the number of equally likely tokens to choose from.

    Infinity if it exceeds a float: a diverged model must not end in a traceback.
    """
    return math.exp(loss_nats_per_token) if loss_nats_per_token < 700 else math.inf


def predict(runtime: Runtime, stream: Ids, *, num_states: int = 0) -> Predictions:
    """Predict the target tokens of a stream.

    The target tokens are every token and the `<eos>` of every document, in order. The state is
    carried from one document to the next, as in training; the first token is predicted from an
    `<eos>`. A long stream is read in rows side by side (:class:`_StreamRows`); with a neural cache,
    which remembers more than a row is warmed up with, in one.

    Args:
        num_states: the number of targets, from the first on, whose hidden states are kept.
    """
    logs = np.empty(len(stream))
    confidence = np.empty(len(stream))
    top_ids = np.empty(len(stream), np.int64)
    h_NH = np.empty((min(num_states, len(stream)), runtime.config.hidden_size), np.float32)
    rows = _rows_of(stream, most=1 if isinstance(runtime, CachedRuntime) else MAX_ROWS)
    state = runtime.initial_state(rows.inputs_TB.shape[1])
    for step, (inputs_B, places_B) in enumerate(zip(rows.inputs_TB, rows.places_TB, strict=True)):
        logits_BV, state = runtime.step(inputs_B, state)
        if step + 1 == rows.warm_up:
            for array in state.arrays:
                array[0] = 0  # nothing is before the first row
        (counted_N,) = np.where(places_B >= 0)
        places_N, logits_NV = places_B[counted_N], logits_BV[counted_N]
        numbers_N, tops_N = np.arange(len(places_N)), logits_NV.argmax(axis=1)
        normaliser_N = log_normaliser(logits_NV)
        logs[places_N] = logits_NV[numbers_N, stream[places_N]] - normaliser_N
        confidence[places_N] = np.exp(logits_NV[numbers_N, tops_N] - normaliser_N)
        top_ids[places_N] = tops_N
        is_kept_N = places_N < len(h_NH)
        if is_kept_N.any():
            h_NH[places_N[is_kept_N]] = state.hidden[-1][counted_N[is_kept_N]]
    return Predictions(
        log_probabilities=logs,
        confidence=confidence,
        is_correct=top_ids == stream,
        h_NH=h_NH,
    )


@dataclass(frozen=True, kw_only=True)
class _StreamRows:
    """A stream as rows to read side by side, three times as fast as one row.

    Each row but the first begins with the ids before it. After these, its predictions are those of
    a single row but for a trace: with 16 rows, the perplexity of 20,000 tokens differs by 0.002 %.

    Attributes:
        inputs_TB: what to read; `<eos>` before the first row and after the last one.
        places_TB: where the target of each input is in the stream; -1 where none counts.
        warm_up: steps after which the state of the first row is to be set to zeros.
    """

    inputs_TB: Ids
    places_TB: Ids
    warm_up: int


def _rows_of(stream: Ids, *, most: int = MAX_ROWS) -> _StreamRows:
    """Lay out a stream in at most `most` rows, in one if it is short."""
    num_rows = max(1, min(most, len(stream) // _MIN_ROW))
    warm_up = _WARM_UP if num_rows > 1 else 0
    num_steps = -(-len(stream) // num_rows)
    steps_T1 = np.arange(-warm_up, num_steps)[:, None]
    places_TB = np.arange(num_rows) * num_steps + steps_T1
    is_inside_TB = (places_TB > 0) & (places_TB < len(stream))
    inputs_TB = np.where(is_inside_TB, stream[(places_TB - 1).clip(0, len(stream) - 1)], EOS_ID)
    is_counted_TB = (steps_T1 >= 0) & (places_TB < len(stream))
    return _StreamRows(
        inputs_TB=inputs_TB, places_TB=np.where(is_counted_TB, places_TB, -1), warm_up=warm_up
    )
