"""Training by a recipe on the CPU, in one call."""

import torch

from lorelm.corpus.preparation import Corpus
from lorelm.runtime.step_graph import Weights
from lorelm.training.callbacks import TrainedModel
from lorelm.training.initial_checkpoint import initial_model
from lorelm.training.loop import fit
from lorelm.training.recipe import Recipe
from lorelm.training.schedule import TrainingHorizon
from lorelm.training.trainer import Trainer

CPU = torch.device("cpu")


def new_trainer(
    corpus: Corpus, recipe: Recipe, *, weights: Weights | None = None, seconds: float | None = None
) -> Trainer:
    horizon = None if seconds is None else TrainingHorizon(seconds=seconds)
    return Trainer(initial_model(corpus, recipe, CPU, weights), corpus, recipe, horizon=horizon)


def fit_recipe(
    corpus: Corpus,
    recipe: Recipe,
    *,
    weights: Weights | None = None,
    seconds: float | None = None,
    **options: object,
) -> TrainedModel:
    return fit(new_trainer(corpus, recipe, weights=weights, seconds=seconds), **options)
