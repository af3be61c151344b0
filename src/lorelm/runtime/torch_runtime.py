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
        logits_1BV, next_state = self._model(
            torch.from_numpy(ids_B).to(device)[None],
            (torch.from_numpy(state.h_LBH).to(device), torch.from_numpy(state.c_LBH).to(device)),
        )
        self._model.train(was_training)
        h_LBH, c_LBH = (tensor.cpu().numpy() for tensor in next_state)
        return np.asarray(logits_1BV[0].cpu().numpy()), State(h_LBH, c_LBH)
