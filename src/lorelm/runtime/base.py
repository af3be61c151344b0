"""What every runtime offers: one step of the model."""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lorelm.model.config import ModelConfig

FloatArray = npt.NDArray[np.float32]
IdArray = npt.NDArray[np.int64]


class State(NamedTuple):
    """What an LSTM remembers of B texts: hidden state and cell state of each layer."""

    h_LBH: FloatArray
    c_LBH: FloatArray

    @classmethod
    def zeros(cls, config: ModelConfig, batch_size: int) -> "State":
        """The state before anything was read."""
        shape = (config.num_layers, batch_size, config.hidden_size)
        return cls(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def repeated(self, num_rows: int) -> "State":
        """The state of one text, for each of `num_rows` texts that begin alike."""
        return State(
            np.repeat(self.h_LBH, num_rows, axis=1), np.repeat(self.c_LBH, num_rows, axis=1)
        )

    def rows(self, rows: IdArray) -> "State":
        """The state of some of the texts, in the order of `rows`."""
        return State(self.h_LBH[:, rows], self.c_LBH[:, rows])


class Runtime(Protocol):
    """Executes one step for B texts at once. It keeps nothing between two calls."""

    @property
    def config(self) -> ModelConfig: ...

    def step(self, ids_B: IdArray, state: State) -> tuple[FloatArray, State]:
        """Reads one id a row; returns `logits_BV` of the next id, and the state after it."""
        ...
