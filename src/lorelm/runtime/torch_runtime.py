"""The model itself as a runtime: for a look at a model that is still in training."""

import numpy as np
import torch

from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runtime.base import FloatArray, IdArray, State


class TorchRuntime:
    """Runs one step of an :class:`LSTMLanguageModel`, dropout off, on the model's device."""

    def __init__(self, model: LSTMLanguageModel) -> None:
        self._model = model

    @property
    def config(self) -> ModelConfig:
        return self._model.config

    @torch.inference_mode()
    def step(self, ids_B: IdArray, state: State) -> tuple[FloatArray, State]:
        device = self._model.fc.weight.device
        was_training = self._model.training
        self._model.eval()
        try:
            logits_1BV, (h_LBH, c_LBH) = self._model(
                torch.from_numpy(ids_B).to(device)[None],
                tuple(
                    torch.from_numpy(np.stack(arrays)).to(device)
                    for arrays in (state.h_BH, state.c_BH)
                ),
            )
        finally:
            self._model.train(was_training)
        return logits_1BV[0].cpu().numpy(), State(
            list(h_LBH.cpu().numpy()), list(c_LBH.cpu().numpy())
        )
