"""The PyTorch model as a runtime, to sample from a model that is still in training."""

import numpy as np
import torch

from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runtime.base import Runtime, State
from lorelm.typing import Floats32, Ids


class TorchRuntime(Runtime):
    """Run one step of an :class:`LSTMLanguageModel`, without dropout, on the model's device.

    Row by row: PyTorch picks its kernels by the size of the batch, and their sums differ in the
    last bits, so a text could depend on those beside it.
    """

    def __init__(self, model: LSTMLanguageModel) -> None:
        self._model = model
        self.config = model.config

    @torch.inference_mode()
    def step(self, ids_B: Ids, state: State) -> tuple[Floats32, State]:
        device = self._model.fc.weight.device
        ids_1B = torch.from_numpy(ids_B).to(device)[None]
        h_LBH, c_LBH = (
            torch.from_numpy(np.stack(arrays)).to(device) for arrays in (state.hidden, state.cell)
        )
        was_training = self._model.training
        self._model.eval()
        try:
            rows = [
                self._model(ids_1B[:, [row]], (h_LBH[:, [row]], c_LBH[:, [row]]))
                for row in range(len(ids_B))
            ]
        finally:
            self._model.train(was_training)
        logits_BV = torch.cat([logits_1BV[0] for logits_1BV, _ in rows])
        states = (torch.cat([state[i] for _, state in rows], dim=1).cpu().numpy() for i in (0, 1))
        arrays = [array_BH for layer in zip(*states, strict=True) for array_BH in layer]
        return logits_BV.cpu().numpy(), State(arrays)
