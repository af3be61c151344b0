"""The language model in PyTorch."""

from typing import Final

import torch
from torch import Tensor, nn

from lorelm.model.config import ModelConfig

LSTMState = tuple[Tensor, Tensor]
"""Hidden state `h_LBH` and cell state `c_LBH`."""

_TIED_EMBEDDING_RANGE: Final = 0.1


class LSTMLanguageModel(nn.Module):
    """Embedding, LSTM, linear layer: ids in, logits of the next id out.

    Dropout and penalties in training are in :mod:`lorelm.training.regularisation`.
    """

    # PyTorch's initial values are kept: the embeddings of the literature, uniform in ±0.1, are so
    # small that a small corpus trains slowly (lotr_scripts.csv, recipe classic, validation
    # perplexity after 20 epochs: 156 against 101). In a tied model they are the output layer's too,
    # where values around 1 would give extreme logits at the start.
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size)
        self.lstm = nn.LSTM(config.embedding_size, config.hidden_size, config.num_layers)
        self.projection = (
            nn.Linear(config.hidden_size, config.output_size) if config.is_projected else None
        )
        self.fc = nn.Linear(config.output_size, config.vocabulary_size)
        if config.tied:
            nn.init.uniform_(self.embedding.weight, -_TIED_EMBEDDING_RANGE, _TIED_EMBEDDING_RANGE)
            nn.init.zeros_(self.fc.bias)
            self.fc.weight = self.embedding.weight

    def initial_state(self, batch_size: int) -> LSTMState:
        """Return the state before the first token: zeros `h_LBH` and `c_LBH`."""
        shape = (self.config.num_layers, batch_size, self.config.hidden_size)
        return self.fc.weight.new_zeros(shape), self.fc.weight.new_zeros(shape)

    def forward(self, ids_TB: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """Run T steps of B texts; return `logits_TBV` and the state after the last step."""
        outputs_TBH, state = self.lstm(self.embedding(ids_TB), state)
        return self.fc(self.project(outputs_TBH)), state

    def project(self, outputs_TBH: Tensor) -> Tensor:
        """Return the input of the output layer, from the outputs of the last LSTM layer.

        Numbers in (-1, 1), as those of the hidden state: int8 needs a fixed scale.
        """
        return outputs_TBH if self.projection is None else self.projection(outputs_TBH).tanh()

    def lstm_weights(self, layer: int) -> list[Tensor]:
        """Return the tensors of one layer: input and recurrent weights, and their biases."""
        return [
            self.lstm.get_parameter(f"{name}_l{layer}")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]

    def run_layer(
        self, inputs_TBI: Tensor, state: LSTMState, weights: list[Tensor]
    ) -> tuple[Tensor, LSTMState]:
        """Run one layer of the LSTM with the given weights and the state of this layer."""
        outputs_TBH, h_1BH, c_1BH = torch.lstm(
            inputs_TBI, state, weights, True, 1, 0.0, self.training, False, False
        )
        return outputs_TBH, (h_1BH, c_1BH)
