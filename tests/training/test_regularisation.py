import dataclasses
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel, LSTMState
from lorelm.training.recipe import Recipe
from lorelm.training.regularisation import RegularisedModel, WeightAverage

SHARES = ("dropout", "word_dropout", "recurrent_dropout")
PENALTIES = ("activation_penalty", "temporal_penalty")
OFF = dict.fromkeys((*SHARES, *PENALTIES), 0.0) | {"locked_dropout": True}


class Output(NamedTuple):
    outputs_TBH: Tensor
    state: LSTMState
    penalty: Tensor


def small_model(*, num_layers: int = 2, tied: bool = False) -> LSTMLanguageModel:
    torch.manual_seed(0)
    sizes = {"vocabulary_size": 9, "embedding_size": 50, "hidden_size": 40}
    return LSTMLanguageModel(ModelConfig(**sizes, num_layers=num_layers, tied=tied)).train()


def run(model: LSTMLanguageModel, *, columns: slice = slice(None), **settings: object) -> Output:
    recipe = dataclasses.replace(Recipe.load("classic"), batch_size=4, **(OFF | settings))
    torch.manual_seed(1)
    state = model.initial_state(4)
    passed = RegularisedModel(model, recipe, columns=columns)(
        some_ids()[:, columns],
        (state[0][:, columns].contiguous(), state[1][:, columns].contiguous()),
    )
    return Output(*passed)


def some_ids() -> Tensor:
    return torch.randint(9, (12, 4), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("num_layers", "tied"), [(1, False), (2, False), (1, True)])
def test_without_settings_it_is_the_model(num_layers: int, tied: bool) -> None:
    model = small_model(num_layers=num_layers, tied=tied)
    passed = run(model)
    logits_TBV, state = model(some_ids(), model.initial_state(4))
    torch.testing.assert_close(model.fc(passed.outputs_TBH), logits_TBV)
    torch.testing.assert_close(passed.state, state)
    assert passed.penalty == 0


@pytest.mark.parametrize("setting", SHARES)
def test_each_share_changes_the_outputs_and_keeps_their_scale(setting: str) -> None:
    model = small_model()
    without, dropped = run(model).outputs_TBH, run(model, **{setting: 0.5}).outputs_TBH
    assert not torch.allclose(dropped, without)
    assert 0.5 < dropped.std() / without.std() < 2.5


def test_locked_dropout_drops_the_same_at_every_step() -> None:
    dropped_TBH = run(small_model(), dropout=0.4).outputs_TBH == 0
    assert 0.3 < dropped_TBH.float().mean() < 0.5
    assert (dropped_TBH == dropped_TBH[:1]).all()
    assert not (dropped_TBH == dropped_TBH[:, :1]).all()


def test_dropout_that_is_not_locked_drops_anew_at_every_step() -> None:
    dropped_TBH = run(small_model(), dropout=0.4, locked_dropout=False).outputs_TBH == 0
    assert 0.3 < dropped_TBH.float().mean() < 0.5
    assert not (dropped_TBH == dropped_TBH[:1]).all()


@pytest.mark.parametrize("locked_dropout", [True, False])
def test_columns_of_a_batch_are_trained_as_in_the_whole_batch(locked_dropout: bool) -> None:
    model = small_model()
    settings = dict.fromkeys(SHARES, 0.3) | {"locked_dropout": locked_dropout}
    whole = run(model, **settings)
    part = run(model, columns=slice(1, 3), **settings)
    torch.testing.assert_close(part.outputs_TBH, whole.outputs_TBH[:, 1:3])


def test_the_penalties_are_the_mean_squares_of_outputs_and_changes() -> None:
    model = small_model()
    outputs_TBH = run(model).outputs_TBH
    activation = run(model, activation_penalty=2.0).penalty
    temporal = run(model, temporal_penalty=3.0).penalty
    torch.testing.assert_close(activation, 2 * (outputs_TBH**2).mean())
    torch.testing.assert_close(temporal, 3 * (outputs_TBH.diff(dim=0) ** 2).mean())


def constant_model(*, value: float, tied: bool = False) -> LSTMLanguageModel:
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
    trained = constant_model(value=1.0, tied=tied)
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
    trained = constant_model(value=1.0)
    average = WeightAverage(trained, decay=0)
    average.update(1)
    assert average.model is trained
    assert trained.fc.weight.requires_grad


def test_the_average_is_not_trained() -> None:
    average = WeightAverage(constant_model(value=1.0), decay=0.9)
    assert not any(weights.requires_grad for weights in average.model.parameters())
