"""Gradual unfreezing: layers of a trained model begin to train one after the other.

Howard and Ruder 2018, https://arxiv.org/abs/1801.06146. While the words of a new corpus find their
places, the error that they cause does not yet change what the LSTM knows.
"""

from torch import Tensor

from lorelm.model.lstm import LSTMLanguageModel


def drop_frozen_gradients(model: LSTMLanguageModel, *, progress: float, share: float) -> None:
    """Drop the gradients of the layers that do not train yet, so that Adam passes over them.

    The embedding and the output layer train from the start, since a corpus has new words. Then come
    the projection, if there is one, and the layers of the LSTM from the last to the first, at even
    distances.

    Args:
        progress: the share of the run that is over.
        share: of the run after which all layers train; with 0, all do from the start.
    """
    stages: list[list[Tensor]] = []
    if model.projection is not None:
        stages.append([*model.projection.parameters()])
    stages += [model.lstm_weights(layer) for layer in reversed(range(model.config.num_layers))]
    for place, parameters in enumerate(stages, start=1):
        if progress < share * place / len(stages):
            for parameter in parameters:
                parameter.grad = None
