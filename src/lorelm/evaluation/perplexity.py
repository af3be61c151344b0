"""Predict a text with a model, and score the predictions."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from lorelm.corpus.vocabulary import EOS_ID, unknown_rate
from lorelm.runtime.base import Runtime, State
from lorelm.runtime.mixture import log_softmax
from lorelm.typing import Floats, Floats32, Ids


@dataclass(frozen=True, kw_only=True)
class StreamScore:
    """Score of a stream of documents.

    The target tokens are every token and the `<eos>` of every document, in order. The state is
    carried from one document to the next, as in training; the first token is predicted from an
    `<eos>`.

    Attributes:
        num_tokens: number of target tokens.
        loss_nats_per_token: mean of -ln p over the target tokens.
        unknown_rate: share of the words (without `<eos>`) that are not in the vocabulary.
    """

    num_tokens: int
    loss_nats_per_token: float
    unknown_rate: float

    @classmethod
    def of(cls, log_probabilities: Floats, stream: Ids) -> Self:
        """Score a stream from the natural logarithm of the probability of each target token.

        Raises:
            ValueError: the stream is empty.
        """
        if len(stream) == 0:
            raise ValueError("an empty stream has no score")
        return cls(
            num_tokens=len(stream),
            loss_nats_per_token=-float(log_probabilities.sum()) / len(stream),
            unknown_rate=unknown_rate(stream),
        )

    @property
    def perplexity(self) -> float:
        return perplexity(self.loss_nats_per_token)


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions of a model for the target tokens of a stream; one value per target.

    Attributes:
        log_probabilities: natural logarithm of the probability of the target.
        confidence: probability of the likeliest id, the top prediction.
        is_correct: whether the top prediction is the target.
    """

    log_probabilities: Floats
    confidence: Floats
    is_correct: npt.NDArray[np.bool_]


def perplexity(loss_nats_per_token: float) -> float:
    """Return the exponential of the loss: the number of equally likely tokens to choose from.

    Infinity if it exceeds a float: a diverged model must not end in a traceback.
    """
    return math.exp(loss_nats_per_token) if loss_nats_per_token < 700 else math.inf


def score_stream(runtime: Runtime, stream: Ids) -> StreamScore:
    """Score a stream of ids that has an `<eos>` after each document.

    Raises:
        ValueError: the stream is empty.
    """
    return StreamScore.of(predict(runtime, stream).log_probabilities, stream)


def predict(runtime: Runtime, stream: Ids) -> Predictions:
    """Predict the target tokens of :class:`StreamScore` one by one."""
    logs = np.empty(len(stream))
    confidence = np.empty(len(stream))
    top_ids = np.empty(len(stream), np.int64)
    for i, (id_, logits_V, _) in enumerate(iterate_targets(runtime, stream)):
        top_id = int(logits_V.argmax())
        logs[i], confidence[i] = log_softmax(logits_V)[[id_, top_id]]
        top_ids[i] = top_id
    return Predictions(
        log_probabilities=logs,
        confidence=np.exp(confidence),
        is_correct=top_ids == stream,
    )


def iterate_targets(runtime: Runtime, stream: Ids) -> Iterator[tuple[int, Floats32, State]]:
    """Yield the id of each target, and the logits `[V]` and the state that predict it."""
    state = State.zeros(runtime.config, 1)
    previous_id = EOS_ID
    for id_ in stream.tolist():
        logits_BV, state = runtime.step(np.array([previous_id]), state)
        yield id_, logits_BV[0], state
        previous_id = id_
