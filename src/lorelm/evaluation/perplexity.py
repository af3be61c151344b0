"""Predict a text with a model, and the perplexity of the predictions."""

import math
from dataclasses import dataclass

import numpy as np

from lorelm.corpus.vocabulary import EOS_ID
from lorelm.runtime.base import Runtime, State
from lorelm.runtime.mixture import log_softmax
from lorelm.typing import Bools, Floats, Floats32, Ids


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
    """Predict the target tokens of a stream one by one.

    The target tokens are every token and the `<eos>` of every document, in order. The state is
    carried from one document to the next, as in training; the first token is predicted from an
    `<eos>`.

    Args:
        num_states: the number of targets, from the first on, whose hidden states are kept.
    """
    logs = np.empty(len(stream))
    confidence = np.empty(len(stream))
    top_ids = np.empty(len(stream), np.int64)
    h_NH = np.empty((min(num_states, len(stream)), runtime.config.hidden_size), np.float32)
    state = State.zeros(runtime.config, 1)
    previous_id = EOS_ID
    for i, id_ in enumerate(stream.tolist()):
        logits_BV, state = runtime.step(np.array([previous_id]), state)
        top_ids[i] = logits_BV[0].argmax()
        logs[i], confidence[i] = log_softmax(logits_BV[0])[[id_, top_ids[i]]]
        if i < num_states:
            h_NH[i] = state.hidden[-1][0]
        previous_id = id_
    return Predictions(
        log_probabilities=logs,
        confidence=np.exp(confidence),
        is_correct=top_ids == stream,
        h_NH=h_NH,
    )
