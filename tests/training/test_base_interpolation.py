"""The mean of a trained model and the one it started from: never worse in validation."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from lorelm.bundle import Bundle
from lorelm.corpus.preparation import Corpus
from lorelm.runtime.step_graph import Weights
from lorelm.training.base_interpolation import interpolate_with_base
from lorelm.training.callbacks import TrainedModel
from lorelm.training.initial_checkpoint import initial_model, numpy_weights
from lorelm.training.losses import validation_loss
from lorelm.training.recipe import Recipe


@pytest.fixture
def trained(corpus: Corpus, tiny_recipe: Recipe) -> TrainedModel:
    model = initial_model(corpus, tiny_recipe, torch.device("cpu"))
    return TrainedModel(model=model, epochs=(), ended="schedule")


@pytest.fixture
def good(tiny_bundle: str, corpus: Corpus) -> Weights:
    bundle = Bundle.load(tiny_bundle)
    assert bundle.vocabulary == corpus.vocabulary
    return bundle.weights()


def loss(found: TrainedModel, corpus: Corpus) -> float:
    return validation_loss(found.model, corpus.valid.stream)


def test_what_predicts_best_is_taken(trained: TrainedModel, corpus: Corpus, good: Weights) -> None:
    begun = copy.deepcopy(numpy_weights(trained.model))
    untrained = loss(trained, corpus)
    found = interpolate_with_base(trained, corpus, good)
    assert found.base_share == 0.5
    assert loss(found, corpus) < untrained
    for name, array in numpy_weights(found.model).items():
        np.testing.assert_allclose(array, (begun[name] + good[name]) / 2, atol=1e-6)


def test_a_useless_base_changes_little(
    trained: TrainedModel, corpus: Corpus, good: Weights
) -> None:
    bad = {name: -array for name, array in good.items()}
    trained.model.load_state_dict({name: torch.from_numpy(a) for name, a in good.items()})
    before = loss(trained, corpus)
    found = interpolate_with_base(trained, corpus, bad)
    assert found.base_share < 0.5
    assert loss(found, corpus) <= before


def test_a_model_from_scratch_has_no_base(trained: TrainedModel, corpus: Corpus) -> None:
    assert interpolate_with_base(trained, corpus, None) is trained


def test_the_best_of_several_shares_is_taken(
    trained: TrainedModel, corpus: Corpus, good: Weights
) -> None:
    """Good weights lie between: a fifth of the way from the trained ones to those of the start."""
    random = np.random.default_rng(0)
    noise = {name: random.normal(0, 0.3, array.shape) for name, array in good.items()}
    begun = {name: np.float32(array - 4 * noise[name]) for name, array in good.items()}
    trained.model.load_state_dict(
        {name: torch.from_numpy(np.float32(array + noise[name])) for name, array in good.items()}
    )
    found = interpolate_with_base(trained, corpus, begun)
    assert found.base_share == 0.2
    for name, array in numpy_weights(found.model).items():
        np.testing.assert_allclose(array, good[name], atol=1e-5)


def test_the_validation_part_decides(trained: TrainedModel, corpus: Corpus, good: Weights) -> None:
    empty = dataclasses.replace(corpus.train, stream=corpus.train.stream[:0])
    blind = dataclasses.replace(corpus, train=empty)
    assert interpolate_with_base(trained, blind, good).base_share == 0.5
