"""The loss of a model on a held-out stream, in PyTorch."""

from typing import Final

import torch
from torch.nn.functional import cross_entropy

from lorelm.corpus.windows import TokenBatcher
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.typing import Ids

# One call of nn.LSTM reorders its weights; long windows spread that cost (10,000 tokens/s at 500
# steps against 550 at one). The logits of a window must fit: 500 x 50,000 words are 100 MB.
_WINDOW: Final = 500


@torch.inference_mode()
def validation_loss(model: LSTMLanguageModel, stream: Ids) -> float:
    """Nats per token over the events of :class:`lorelm.evaluation.perplexity.StreamScore`."""
    was_training = model.training
    model.eval()
    device = model.fc.weight.device
    state = model.initial_state(1)
    total_nats = 0.0
    for inputs_TB, targets_TB in TokenBatcher(stream, batch_size=1).windows(bptt=_WINDOW):
        inputs, targets = (torch.from_numpy(ids).to(device) for ids in (inputs_TB, targets_TB))
        logits_TBV, state = model(inputs, state)
        total_nats += cross_entropy(
            logits_TBV.flatten(0, 1), targets.flatten(), reduction="sum"
        ).item()
    model.train(was_training)
    return total_nats / len(stream)
