"""What every runtime offers: one step of the model."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lorelm.model.config import ModelConfig

FloatArray = npt.NDArray[np.float32]
IdArray = npt.NDArray[np.int64]


class PastStates(NamedTuple):
    """What a neural cache holds of one text.

    Attributes:
        h_NH: hidden states of the last layer, the latest last.
        next_N: the id that followed each.
    """

    h_NH: FloatArray
    next_N: IdArray


class State(NamedTuple):
    """What a runtime remembers of B texts.

    Attributes:
        h_BH: the hidden state of each layer.
        c_BH: the cell state of each layer.
        past: what a neural cache holds of each text; None without one, and before the first id.
    """

    # One array a layer, not one `h_LBH` for all: the graph need not cut and join it (7 % more
    # tokens/s at one row).
    h_BH: Sequence[FloatArray]
    c_BH: Sequence[FloatArray]
    past: Sequence[PastStates] | None = None

    @classmethod
    def zeros(cls, config: ModelConfig, batch_size: int) -> "State":
        """The state before anything was read."""
        zeros_BH = np.zeros((batch_size, config.hidden_size), np.float32)
        return cls([zeros_BH] * config.num_layers, [zeros_BH] * config.num_layers)

    def repeated(self, num_rows: int) -> "State":
        """The state of one text, for each of `num_rows` texts that begin alike."""
        return self.rows(np.zeros(num_rows, dtype=np.int64))

    def rows(self, rows: IdArray) -> "State":
        """The state of some of the texts, in the order of `rows`."""
        return State(
            [h[rows] for h in self.h_BH],
            [c[rows] for c in self.c_BH],
            None if self.past is None else [self.past[row] for row in rows],
        )


class Runtime(Protocol):
    """Executes one step for B texts at once. It keeps nothing between two calls."""

    @property
    def config(self) -> ModelConfig: ...

    def step(self, ids_B: IdArray, state: State) -> tuple[FloatArray, State]:
        """Reads one id a row; returns `logits_BV` of the next id, and the state after it."""
        ...


def input_names(num_layers: int) -> list[str]:
    """The inputs of a step graph, in their order."""
    return ["ids_B", *(f"{s}_{layer}_BH" for layer in range(num_layers) for s in "hc")]


def output_names(num_layers: int) -> list[str]:
    """The outputs of a step graph, in their order."""
    return ["logits_BV", *(f"next_{s}_{layer}_BH" for layer in range(num_layers) for s in "hc")]
