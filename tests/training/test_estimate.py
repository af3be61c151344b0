import dataclasses
import time

import pytest
import torch

from lorelm.corpus.preparation import Corpus
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training import estimate, trainer
from lorelm.training.estimate import estimate_training_seconds
from lorelm.training.listener import TrainingListener
from lorelm.training.loop import fit
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import LossExplodedError, Trainer
from lorelm.training.validation import validation_loss
from lorelm.typing import Ids

CPU = torch.device("cpu")


@pytest.mark.parametrize("settings", [{}, {"epochs": 3, "batch_size": 8}, {"batch_size": 99}])
def test_the_first_steps_say_how_long_all_epochs_take(
    corpus: Corpus,
    tiny_recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, int],
) -> None:
    """By a clock that steps move by a second each, the first by ten, and validations by three."""
    step = Trainer._update
    now = 0.0

    def slow_step(own: Trainer, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        nonlocal now
        now += 10 if own._num_updates == 0 else 1
        step(own, inputs, targets)

    def slow_validation(model: LSTMLanguageModel, stream: Ids) -> float:
        nonlocal now
        now += 3
        return validation_loss(model, stream)

    monkeypatch.setattr(Trainer, "_update", slow_step)
    monkeypatch.setattr(estimate, "validation_loss", slow_validation)
    monkeypatch.setattr(trainer, "validation_loss", slow_validation)
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    recipe = dataclasses.replace(tiny_recipe, **settings)
    estimated = estimate_training_seconds(corpus, recipe, device=CPU, measured_seconds=35.0)
    assert now < 45
    now = -9.0
    fit(corpus, recipe, device=CPU, listener=TrainingListener())
    assert estimated == pytest.approx(now)


def test_an_explosion_ends_the_measurement_and_nothing_else(
    corpus: Corpus, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(trainer: Trainer) -> None:
        raise LossExplodedError

    monkeypatch.setattr(Trainer, "_check_loss", explode)
    assert estimate_training_seconds(corpus, tiny_recipe, device=CPU) > 0
