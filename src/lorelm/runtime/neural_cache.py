"""Neural cache: recent words become likelier (Grave, Joulin, Usunier 2017).

The cache holds the last hidden states of the last layer and, for each, the id that followed it. An
id that followed a state like the present one becomes likelier::

    p_cache(w)  ~  sum over the i with next_i = w of exp(theta * h . h_i)
    p(w)        =  (1 - weight) p_network(w) + weight p_cache(w)
"""

import numpy as np

from lorelm.runtime.base import PastStates, Runtime, State
from lorelm.runtime.mixture import log_softmax, mix_logs
from lorelm.typing import Floats32, Ids


class CachedRuntime(Runtime):
    """A runtime that mixes another one with the cache.

    The cache of a text is part of its :class:`State`, so rows still do not depend on each other.

    Args:
        size: how many of the last tokens it holds; tuned on the validation part, as are the others.
        theta: how much similarity counts; with 0 all states count alike.
        weight: of the cache in the mixture with the network, from 0 to 1.
    """

    def __init__(self, runtime: Runtime, *, size: int, theta: float, weight: float) -> None:
        self.config = runtime.config
        self._runtime = runtime
        self._size = size
        self._theta = theta
        self._weight = weight

    def step(self, ids_B: Ids, state: State) -> tuple[Floats32, State]:
        logits_BV, next_state = self._runtime.step(ids_B, state)
        texts = zip(state.past or [None] * len(ids_B), state.hidden[-1], ids_B, strict=True)
        past = [self._after(*text) for text in texts]
        rows = zip(logits_BV, past, next_state.hidden[-1], strict=True)
        mixed_BV = np.stack([self._mixed(*row) for row in rows])
        return mixed_BV, next_state._replace(past=past)

    def _after(self, past: PastStates | None, h_H: Floats32, id_: int) -> PastStates:
        """Append the state before a step, and the id that followed it, to the cache of a text."""
        if past is None:  # nothing was read before this
            return PastStates(np.zeros((0, self.config.hidden_size), np.float32), np.zeros(0, int))
        first = max(0, len(past.next_N) - self._size + 1)
        return PastStates(
            np.concatenate([past.h_NH[first:], h_H[None]]), np.append(past.next_N[first:], id_)
        )

    def _mixed(self, logits_V: Floats32, past: PastStates, h_H: Floats32) -> Floats32:
        if len(past.next_N) == 0:
            return logits_V
        similarity_N = self._theta * (past.h_NH @ h_H).astype(np.float64)
        share_N = np.exp(similarity_N - similarity_N.max())
        cache_V = np.bincount(past.next_N, share_N / share_N.sum(), minlength=len(logits_V))
        with np.errstate(divide="ignore"):  # Most words are not in the cache.
            log_cache_V = np.log(cache_V)
        return mix_logs(log_cache_V, log_softmax(logits_V), self._weight).astype(np.float32)
