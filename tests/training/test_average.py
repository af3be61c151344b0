import pytest
import torch

from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.average import WeightAverage


def model(*, value: float, tied: bool = False) -> LSTMLanguageModel:
    """A small model all of whose weights are this value."""
    config = ModelConfig(
        vocabulary_size=5, embedding_size=2, hidden_size=2, num_layers=1, tied=tied
    )
    made = LSTMLanguageModel(config)
    fill(made, value)
    return made


def fill(model: LSTMLanguageModel, value: float) -> None:
    for parameter in model.parameters():
        parameter.data.fill_(value)


@pytest.mark.parametrize("tied", [True, False])
def test_the_average_is_the_one_worked_by_hand(tied: bool) -> None:
    trained = model(value=1.0, tied=tied)
    average = WeightAverage(trained, decay=0.2)
    fill(trained, 12.0)
    average.update(1)  # a share of (1 + 1) / (10 + 1) of the old one: 1 * 2/11 + 12 * 9/11
    assert average.model.fc.weight[0, 0].item() == pytest.approx(10.0)
    fill(trained, 20.0)
    average.update(2)  # (1 + 2) / (10 + 2) would be more than 0.2: 10 * 0.2 + 20 * 0.8
    for weights in average.model.parameters():
        torch.testing.assert_close(weights, torch.full_like(weights, 18.0))
    assert trained.fc.weight[0, 0].item() == 20.0
    assert (average.model.fc.weight is average.model.embedding.weight) is tied


def test_a_decay_of_0_is_the_model_itself() -> None:
    trained = model(value=1.0)
    average = WeightAverage(trained, decay=0)
    average.update(1)
    assert average.model is trained
    assert trained.fc.weight.requires_grad


def test_the_average_is_not_trained() -> None:
    average = WeightAverage(model(value=1.0), decay=0.9)
    assert not any(weights.requires_grad for weights in average.model.parameters())
