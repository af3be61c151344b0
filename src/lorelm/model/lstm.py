"""The language model in PyTorch."""

from torch import Tensor, nn

from lorelm.model.config import ModelConfig

LSTMState = tuple[Tensor, Tensor]
"""Hidden state `h_LBH` and cell state `c_LBH`."""


class LSTMLanguageModel(nn.Module):
    """Embedding, LSTM, linear layer: ids in, logits of the next id out.

    Dropout acts on the embeddings, between the layers and on the outputs, in training mode only.
    """

    # PyTorch's own initial values are kept: the embeddings of the literature, uniform in ±0.1,
    # are so small that a small corpus trains slowly (lotr_scripts.csv, recipe classic, validation
    # perplexity after 20 epochs: 156 against 101).
    def __init__(self, config: ModelConfig, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size)
        self.lstm = nn.LSTM(
            config.embedding_size,
            config.hidden_size,
            config.num_layers,
            dropout=dropout if config.num_layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(config.hidden_size, config.vocabulary_size)

    def initial_state(self, batch_size: int) -> LSTMState:
        """The state before anything was read: zeros `h_LBH` and `c_LBH`."""
        shape = (self.config.num_layers, batch_size, self.config.hidden_size)
        return self.fc.weight.new_zeros(shape), self.fc.weight.new_zeros(shape)

    def forward(self, ids_TB: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """Reads T steps of B texts; returns `logits_TBV` and the state after the last step."""
        inputs_TBE = self.dropout(self.embedding(ids_TB))
        outputs_TBH, state = self.lstm(inputs_TBE, state)
        return self.fc(self.dropout(outputs_TBH)), state
