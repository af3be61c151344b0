"""Two models that read the same text, and the mixture of what they predict.

Both have their own words. The mixture is over those of the first model, where the second one
predicts in their terms (`q`, with its own probabilities `p_2` and those of the first model `p_1`)::

    a word of both                q(w) = p_2(w)
    a word of the second alone    counts as <unk>
    a word of the first alone     q(w) = p_2(<unk>) p_1(w) / sum of p_1 over these and <unk>

So if the second model expects a word that it does not know, the first says which. `q` sums to 1,
and for models of the same words it is `p_2`. The same holds for speakers, with `<other speaker>` in
the place of `<unk>`. The mixture is `(1 - share) p_1 + share q`.

Worked by hand: words the, orc, <unk> with p_1 = 0.5, 0.3, 0.2; the second model knows the, elf and
<unk>, with 0.4, 0.1, 0.5. Then q(the) = 0.4, q(orc) = 0.5 * 0.3 / 0.5 = 0.3, and
q(<unk>) = 0.5 * 0.2 / 0.5 + 0.1 = 0.3.
"""

from typing import Final

import numpy as np

from lorelm.runtime.base import Batch, Runtime, State
from lorelm.typing import Bools, Floats32, Ids

_SMALLEST: Final = np.finfo(np.float32).tiny


class WordMap:
    """How the V words of a first model and the W words of a second one correspond.

    Args:
        to_second_V: the id by which the second model reads each word of the first.
        to_first_W: the reverse.
    """

    def __init__(self, to_second_V: Ids, to_first_W: Ids) -> None:
        self.to_second_V = to_second_V
        self._is_shared_V: Bools = to_first_W[to_second_V] == np.arange(len(to_second_V))
        # Ids of the second model such as <unk>, and the words of the first that they stand for:
        # all that it reads so, their own word among them.
        self._groups = [
            (id_, np.flatnonzero(to_second_V == id_))
            for id_ in np.unique(to_second_V[~self._is_shared_V]).tolist()
        ]
        is_alone_W = to_second_V[to_first_W] != np.arange(len(to_first_W))
        self._alone = [
            (id_, np.flatnonzero(is_alone_W & (to_first_W == id_)))
            for id_ in np.unique(to_first_W[is_alone_W]).tolist()
        ]

    @property
    def num_shared(self) -> int:
        """How many words both models have."""
        return int(self._is_shared_V.sum())

    def mixed(self, logits_V: Floats32, logits_W: Floats32, share: float) -> Floats32:
        """Return the log-probabilities `[V]` of the mixture.

        Args:
            share: of the second model, from 0 to 1.
        """
        p_V, p_W = _softmax(logits_V), _softmax(logits_W)
        q_V = p_W[self.to_second_V]
        for id_, words in self._groups:
            shares = p_V[words]
            q_V[words] = p_W[id_] * (shares / max(shares.sum(), _SMALLEST))
        for id_, words in self._alone:
            q_V[id_] += p_W[words].sum()
        p_V *= 1 - share
        p_V += np.float32(share) * q_V
        logs_V: Floats32 = np.log(np.maximum(p_V, _SMALLEST, out=p_V), out=p_V)
        return logs_V


class PairRuntime(Runtime):
    """Two models that read the same texts, in the ids of the first one.

    The logits of a step are `[B, V + W]`: those of the first model, then those of the second one.
    `config` is that of the first.
    """

    def __init__(self, first: Runtime, second: Runtime, words: WordMap) -> None:
        self.config = first.config
        self.first = first
        self.second = second
        self.words = words

    def initial_state(self, num_texts: int) -> State:
        first, second = (each.initial_state(num_texts) for each in (self.first, self.second))
        return State([*first.arrays, *second.arrays])

    def step(self, ids_B: Ids, state: State) -> tuple[Floats32, State]:
        num_arrays = 2 * self.config.num_layers
        logits_BV, first = self.first.step(ids_B, State(state.arrays[:num_arrays]))
        second_ids_B = self.words.to_second_V[ids_B]
        logits_BW, second = self.second.step(second_ids_B, State(state.arrays[num_arrays:]))
        logits_BX = np.concatenate((logits_BV, logits_BW), axis=1)
        return logits_BX, State([*first.arrays, *second.arrays])

    def batch(self, num_texts: int) -> "PairBatch":
        return PairBatch(self, num_texts)


class PairBatch(Batch):
    """A batch of each model."""

    def __init__(self, runtime: PairRuntime, num_texts: int) -> None:
        self._pair = runtime
        self._first, self._second = (r.batch(num_texts) for r in (runtime.first, runtime.second))
        self._num_arrays = 2 * runtime.config.num_layers

    def step(self, ids_B: Ids) -> Floats32:
        logits_BV = self._first.step(ids_B)
        logits_BW = self._second.step(self._pair.words.to_second_V[ids_B])
        logits_BX: Floats32 = np.concatenate((logits_BV, logits_BW), axis=1)
        return logits_BX

    def state(self, place: int) -> State:
        first, second = self._first.state(place), self._second.state(place)
        return State([*first.arrays, *second.arrays])

    def put(self, place: int, state: State) -> None:
        self._first.put(place, State(state.arrays[: self._num_arrays]))
        self._second.put(place, State(state.arrays[self._num_arrays :]))

    def move(self, source: int, target: int) -> None:
        self._first.move(source, target)
        self._second.move(source, target)


class BlendedRuntime(Runtime):
    """A pair with a fixed share of the second model; its logits are `[B, V]`."""

    def __init__(self, pair: PairRuntime, share: float) -> None:
        self.config = pair.config
        self._pair = pair
        self._share = share

    def initial_state(self, num_texts: int) -> State:
        return self._pair.initial_state(num_texts)

    def step(self, ids_B: Ids, state: State) -> tuple[Floats32, State]:
        logits_BX, state = self._pair.step(ids_B, state)
        num_words = self.config.vocabulary_size
        rows = [
            self._pair.words.mixed(logits_X[:num_words], logits_X[num_words:], self._share)
            for logits_X in logits_BX
        ]
        return np.stack(rows), state


def _softmax(logits_N: Floats32) -> Floats32:
    shares_N: Floats32 = np.exp(logits_N - logits_N.max())
    shares_N /= shares_N.sum()
    return shares_N
