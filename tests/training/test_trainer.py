import dataclasses
import itertools
import time

import pytest
import torch

from lorelm.corpus.preparation import Corpus
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.callbacks import EpochReport, TrainingCallback
from lorelm.training.initial_checkpoint import initial_model
from lorelm.training.losses import LossDivergedError
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import Trainer

from .fitting import CPU, fit_recipe, new_trainer


class RuinAt(TrainingCallback):
    """Spoils the weights after these numbers of epochs, those that come again counted."""

    def __init__(self, *counts: int) -> None:
        self.counts = counts
        self.num_epochs = self.num_problems = 0

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        self.num_epochs += 1
        if self.num_epochs in self.counts:
            model.fc.bias.data.fill_(float("nan"))

    def on_problem(self, message: str) -> None:
        self.num_problems += 1


@pytest.mark.parametrize("counts", [(), (2, 5, 7), (1,)])
def test_a_run_by_the_clock_ends_on_time_with_its_schedule_after_any_divergence(
    corpus: Corpus, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch, counts: tuple[int, ...]
) -> None:
    """By a clock that goes on by a hundredth of a second whenever it is looked at."""
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 100)
    recipe = dataclasses.replace(tiny_recipe, schedule="cosine", warm_up=0.1)
    callback = RuinAt(*counts)
    result = fit_recipe(corpus, recipe, callback=callback, seconds=4.0)
    assert callback.num_problems == len(counts)
    assert result.epochs[-1].seconds == pytest.approx(4.0, abs=0.3)
    assert result.epochs[-1].learning_rate < 0.02 * recipe.learning_rate
    assert next(ticks) / 100 < 4.5


def test_a_run_by_the_clock_has_one_epoch_even_if_a_divergence_took_all_its_time(
    corpus: Corpus, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 100)
    trainer = new_trainer(corpus, tiny_recipe, seconds=0.1)
    trainer.start_clock()
    beginning = trainer.snapshot()
    next(trainer.model.parameters()).data.fill_(float("nan"))
    with pytest.raises(LossDivergedError):
        [trainer.step() for _ in range(99)]
    trainer.restore(beginning, seconds=trainer.seconds)
    assert not trainer.is_over
    trainer.step()
    assert trainer.is_over
    assert trainer.best_epoch.epoch == 1


def test_a_new_trainer_changes_nothing_outside_of_itself(
    corpus: Corpus, tiny_recipe: Recipe
) -> None:
    model = initial_model(corpus, tiny_recipe, CPU)
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    random_state = torch.get_rng_state()
    trainer = Trainer(model, corpus, tiny_recipe)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(model.state_dict()[name], weights[name]) for name in weights)
    assert trainer.seconds == 0
