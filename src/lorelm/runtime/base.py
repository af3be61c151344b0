"""Interface of the runtimes: one step of the model for a batch of texts."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

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
        h_BH: the hidden state of each layer.
        c_BH: the cell state of each layer.
        past: contents of the neural cache for each text, None for a text of which nothing was read;
            None without a cache.
    """

    # One array a layer, not one `h_LBH` for all: the graph need not cut and join it (7 % more
    # tokens/s at one row).
    h_BH: Sequence[Floats32]
    c_BH: Sequence[Floats32]
    past: list[PastStates | None] | None = None

    @classmethod
    def zeros(cls, config: ModelConfig, batch_size: int) -> "State":
        """Return the state before the first id."""
        zeros_BH = np.zeros((batch_size, config.hidden_size), np.float32)
        return cls([zeros_BH] * config.num_layers, [zeros_BH] * config.num_layers)

    @property
    def num_bytes(self) -> int:
        """Size in memory."""
        arrays = [*self.h_BH, *self.c_BH]
        arrays += [past.h_NH for past in self.past or () if past is not None]
        return sum(array.nbytes for array in arrays)

    def rows(self, rows: Ids) -> "State":
        """Return the state of some texts, in the order of `rows`."""
        return State(
            [h[rows] for h in self.h_BH],
            [c[rows] for c in self.c_BH],
            None if self.past is None else [self.past[row] for row in rows],
        )


class Batch(Protocol):
    """States of several texts, advanced in place step by step."""

    def step(self, ids_B: Ids) -> Floats32:
        """Read one id of each of the first B texts; return `logits_BV` of the next ids.

        The states of the other texts are lost. The caller may write to the array; the next step
        overwrites it.
        """
        ...

    def state(self, place: int) -> State:
        """Return a copy of the state of one text."""
        ...

    def put(self, place: int, state: State) -> None:
        """Set the state of one text."""
        ...

    def move(self, source: int, target: int) -> None:
        """Copy the state of one text to another."""
        ...


class Runtime(Protocol):
    """Execute one step for B texts at once. Stateless."""

    @property
    def config(self) -> ModelConfig: ...

    def step(self, ids_B: Ids, state: State) -> tuple[Floats32, State]:
        """Read one id per row; return `logits_BV` of the next id, and the state after it."""
        ...

    def batch(self, num_texts: int) -> Batch:
        """Return a batch for the states of `num_texts` texts."""
        ...


class StateBatch:
    """Batch for any runtime; copies what its steps return."""

    def __init__(self, runtime: Runtime, num_texts: int) -> None:
        zeros = State.zeros(runtime.config, num_texts)
        self._runtime = runtime
        self._h_BH = [array.copy() for array in zeros.h_BH]
        self._c_BH = [array.copy() for array in zeros.c_BH]
        self._past: list[PastStates | None] = [None] * num_texts

    def step(self, ids_B: Ids) -> Floats32:
        num = len(ids_B)
        logits_BV, state = self._runtime.step(ids_B, self._first(num))
        for ours, theirs in zip(self._arrays, (*state.h_BH, *state.c_BH), strict=True):
            ours[:num] = theirs
        if state.past is not None:
            self._past[:num] = state.past
        return logits_BV

    def state(self, place: int) -> State:
        return self._first(place + 1).rows(np.array([place]))

    def put(self, place: int, state: State) -> None:
        for ours, theirs in zip(self._arrays, (*state.h_BH, *state.c_BH), strict=True):
            ours[place] = theirs[0]
        self._past[place] = None if state.past is None else state.past[0]

    def move(self, source: int, target: int) -> None:
        for array in self._arrays:
            array[target] = array[source]
        self._past[target] = self._past[source]

    @property
    def _arrays(self) -> list[Floats32]:
        return [*self._h_BH, *self._c_BH]

    def _first(self, num: int) -> State:
        return State([h[:num] for h in self._h_BH], [c[:num] for c in self._c_BH], self._past[:num])


def input_names(num_layers: int) -> list[str]:
    """Return the inputs of a step graph, in order."""
    return ["ids_B", *(f"{s}_{layer}_BH" for layer in range(num_layers) for s in "hc")]


def output_names(num_layers: int) -> list[str]:
    """Return the outputs of a step graph, in order."""
    return ["logits_BV", *(f"next_{s}_{layer}_BH" for layer in range(num_layers) for s in "hc")]
