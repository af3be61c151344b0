"""How well a model foretells a text."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from lorelm.corpus.vocabulary import EOS_ID, unknown_rate
from lorelm.runtime.base import Runtime, State
from lorelm.typing import Floats, Floats32, Ids


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

    @classmethod
    def of(cls, log_probabilities: Floats, stream: Ids) -> Self:
        """The score of a stream from the logarithm of the probability of each event.

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
    """What a model gave the events of a stream; arrays of one value an event.

    Attributes:
        log_probabilities: natural logarithm of the probability of what came.
        confidence: the probability of the likeliest id, the first guess.
        is_correct: whether what came was the first guess.
    """

    log_probabilities: Floats
    confidence: Floats
    is_correct: npt.NDArray[np.bool_]


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
    return StreamScore.of(predict(runtime, stream).log_probabilities, stream)


def predict(runtime: Runtime, stream: Ids) -> Predictions:
    """Has a model predict the events of :class:`StreamScore` one after the other."""
    logs = np.empty(len(stream))
    confidence = np.empty(len(stream))
    first_guesses = np.empty(len(stream), np.int64)
    for i, (id_, logits_V, _) in enumerate(iterate_targets(runtime, stream)):
        first_guess = int(logits_V.argmax())
        logs[i], confidence[i] = log_probabilities(logits_V)[[id_, first_guess]]
        first_guesses[i] = first_guess
    return Predictions(
        log_probabilities=logs,
        confidence=np.exp(confidence),
        is_correct=first_guesses == stream,
    )


def iterate_targets(runtime: Runtime, stream: Ids) -> Iterator[tuple[int, Floats32, State]]:
    """For each event, its id, and the logits `[V]` and the state from which it is foretold."""
    state = State.zeros(runtime.config, 1)
    previous_id = EOS_ID
    for id_ in stream.tolist():
        logits_BV, state = runtime.step(np.array([previous_id]), state)
        yield id_, logits_BV[0], state
        previous_id = id_


def log_probabilities(logits_V: Floats32) -> Floats:
    """The natural logarithm of the softmax of logits, in float64."""
    shifted_V = logits_V.astype(np.float64) - float(logits_V.max())
    logs_V: Floats = shifted_V - math.log(float(np.exp(shifted_V).sum()))
    return logs_V
