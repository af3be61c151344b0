"""How well a model foretells a text."""

import math
from dataclasses import dataclass

import numpy as np

from lorelm.corpus.vocabulary import EOS_ID, Ids, unknown_rate
from lorelm.runtime.base import FloatArray, Runtime, State


@dataclass(frozen=True, kw_only=True)
class StreamScore:
    """The score of a stream of documents.

    The events are every token and the `<eos>` of every document, in order; the state is carried
    from one document to the next, as in training, and the first token is foretold from an `<eos>`.

    Attributes:
        num_tokens: how many events there are.
        loss_nats_per_token: mean of -ln p over the events.
        unknown_rate: share of the words (`<eos>` is none) that the vocabulary does not hold.
    """

    num_tokens: int
    loss_nats_per_token: float
    unknown_rate: float

    @property
    def perplexity(self) -> float:
        return perplexity(self.loss_nats_per_token)


def perplexity(loss_nats_per_token: float) -> float:
    """The exponential of the loss: among how many equally likely tokens the model is left to guess.

    Infinity where that is beyond a float: a model in ruins has no traceback coming.
    """
    return math.exp(loss_nats_per_token) if loss_nats_per_token < 700 else math.inf


def score_stream(runtime: Runtime, stream: Ids) -> StreamScore:
    """Scores a stream of ids that has an `<eos>` after each document.

    Raises:
        ValueError: the stream is empty.
    """
    if len(stream) == 0:
        raise ValueError("an empty stream has no score")
    state = State.zeros(runtime.config, 1)
    total_nats = 0.0
    previous_id = EOS_ID
    for id_ in stream:
        logits_BV, state = runtime.step(np.array([previous_id]), state)
        total_nats -= log_probability(logits_BV[0], id_)
        previous_id = id_
    return StreamScore(
        num_tokens=len(stream),
        loss_nats_per_token=total_nats / len(stream),
        unknown_rate=unknown_rate(stream),
    )


def log_probability(logits_V: FloatArray, id_: int) -> float:
    """The natural logarithm of the probability of one id under the softmax of the logits."""
    shifted_V = logits_V - logits_V.max()
    return float(shifted_V[id_]) - math.log(float(np.exp(shifted_V).sum()))
