"""Interface of the runtimes: one step of the model for a batch of texts."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lorelm.model.config import ModelConfig
from lorelm.typing import Floats32, Ids


class PastStates(NamedTuple):
    """Contents of the neural cache for one text.

    Attributes:
        h_NH: hidden states of the last layer, the latest last.
        next_N: the id that followed each.
    """

    h_NH: Floats32
    next_N: Ids


class State(NamedTuple):
    """LSTM state of B texts.

    Attributes:
        arrays: h_BH and c_BH of the first layer, then of the next one, as a step graph has them.
        past: contents of the neural cache for each text, None for a text of which nothing was read;
            empty without a cache.
    """

    # One array a layer, not one `h_LBH` for all: the graph need not cut and join it (7 % more
    # tokens/s at one row).
    arrays: Sequence[Floats32]
    past: Sequence[PastStates | None] = ()

    @classmethod
    def zeros(cls, config: ModelConfig, batch_size: int) -> "State":
        """Return the state before the first id."""
        zeros_BH = np.zeros((batch_size, config.hidden_size), np.float32)
        return cls([zeros_BH] * (2 * config.num_layers))

    @property
    def hidden(self) -> Sequence[Floats32]:
        """The hidden states `[B, H]` of each layer."""
        return self.arrays[0::2]

    @property
    def cell(self) -> Sequence[Floats32]:
        """The cell states `[B, H]` of each layer."""
        return self.arrays[1::2]

    @property
    def num_bytes(self) -> int:
        """Size in memory."""
        past = [each.h_NH for each in self.past if each is not None]
        return sum(array.nbytes for array in (*self.arrays, *past))


class Runtime(ABC):
    """Execute one step for B texts at once. Stateless."""

    config: ModelConfig

    def initial_state(self, num_texts: int) -> State:
        """Return the state before the first id of texts."""
        return State.zeros(self.config, num_texts)

    @abstractmethod
    def step(self, ids_B: Ids, state: State) -> tuple[Floats32, State]:
        """Read one id per row; return `logits_BV` of the next id, and the state after it."""

    def read(self, ids: Iterable[int], state: State | None = None) -> tuple[Floats32, State]:
        """Read ids of one text, at least one; return `logits_V` of the next id, and the state.

        Args:
            state: before the first of them; None begins a text.
        """
        state = self.initial_state(1) if state is None else state
        for id_ in ids:
            logits_BV, state = self.step(np.array([id_]), state)
        logits_V: Floats32 = logits_BV[0]
        return logits_V, state

    def batch(self, num_texts: int) -> "Batch":
        """Return a batch for the states of `num_texts` texts."""
        return Batch(self, num_texts)


class Batch:
    """States of several texts, advanced in place by the steps of a runtime."""

    def __init__(self, runtime: Runtime, num_texts: int) -> None:
        self._runtime = runtime
        self._states = [array.copy() for array in runtime.initial_state(num_texts).arrays]
        self._past: list[PastStates | None] = [None] * num_texts

    def step(self, ids_B: Ids) -> Floats32:
        """Read one id of each of the first B texts; return `logits_BV` of the next ids.

        The states of the other texts are lost. The caller may write to the array; the next step
        overwrites it.
        """
        num = len(ids_B)
        state = State([array[:num] for array in self._states], self._past[:num])
        logits_BV, state = self._runtime.step(ids_B, state)
        for ours, theirs in zip(self._states, state.arrays, strict=True):
            ours[:num] = theirs
        self._past[:num] = state.past or [None] * num
        return logits_BV

    def state(self, place: int) -> State:
        """Return a copy of the state of one text."""
        arrays = [array[place : place + 1].copy() for array in self._states]
        return State(arrays, [self._past[place]])

    def put(self, place: int, state: State) -> None:
        """Set the state of one text."""
        for ours, theirs in zip(self._states, state.arrays, strict=True):
            ours[place] = theirs[0]
        self._past[place] = state.past[0] if state.past else None

    def move(self, source: int, target: int) -> None:
        """Copy the state of one text to another."""
        for array in self._states:
            array[target] = array[source]
        self._past[target] = self._past[source]


def input_names(num_layers: int) -> list[str]:
    """Return the inputs of a step graph, in order."""
    return ["ids_B", *(f"{s}_{layer}_BH" for layer in range(num_layers) for s in "hc")]


def output_names(num_layers: int) -> list[str]:
    """Return the outputs of a step graph, in order."""
    return ["logits_BV", *(f"next_{s}_{layer}_BH" for layer in range(num_layers) for s in "hc")]
