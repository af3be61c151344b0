import dataclasses
from pathlib import Path

import pytest
import torch

from lorelm.bundle import Bundle
from lorelm.corpus.preparation import Corpus
from lorelm.training.initial_checkpoint import sized_for
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import Trainer

from .fitting import new_trainer


def changed_by_step(trainer: Trainer) -> set[str]:
    """Make a step, and return the names of the weights that it changes."""
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.step()
    after = trainer.model.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


WORDS = {"embedding.weight", "fc.weight", "fc.bias"}
PROJECTION = {"projection.weight", "projection.bias"}


def layer(number: int) -> set[str]:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return {f"lstm.{name}_l{number}" for name in names}


EVERYTHING = WORDS | PROJECTION | layer(0) | layer(1)
SIZES = {"tied": True, "embedding_size": 8, "hidden_size": 12, "num_layers": 2, "epochs": 4}


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_words_train_first_then_the_projection_and_the_layers_from_the_last_to_the_first(
    corpus: Corpus, tiny_recipe: Recipe, share: float
) -> None:
    recipe = dataclasses.replace(tiny_recipe, **SIZES, unfreezing=share)
    trainer = new_trainer(corpus, recipe)
    trainer.start_clock()
    begins = {0.0: WORDS, 0.2: PROJECTION, 0.4: layer(1), 0.6: layer(0)}
    while not trainer.is_over:
        progress = trainer.progress
        expected = {name for begin, names in begins.items() if progress >= begin for name in names}
        assert changed_by_step(trainer) == (expected if share else EVERYTHING)


def test_a_run_that_is_extended_trains_all_that_it_has_trained_before(
    corpus: Corpus, tiny_recipe: Recipe
) -> None:
    recipe = dataclasses.replace(tiny_recipe, **SIZES, unfreezing=0.9)
    trainer = new_trainer(corpus, recipe)
    trainer.start_clock()
    while not trainer.is_over:
        trainer.step()
    snapshot = trainer.snapshot()
    begun = {"num_epochs": 4, "num_updates": trainer.num_updates, "seconds": trainer.seconds}
    longer = new_trainer(corpus, dataclasses.replace(recipe, epochs=40))
    longer.restore(dataclasses.replace(snapshot, metadata=snapshot.metadata | {"begun": begun}))
    assert longer.progress < 0.2
    assert changed_by_step(longer) == EVERYTHING


def test_no_layer_of_random_weights_waits(tiny_bundle: Path, tiny_recipe: Recipe) -> None:
    recipe = dataclasses.replace(tiny_recipe, unfreezing=0.5, vocabulary="base")
    assert sized_for(recipe, 1000, None).unfreezing == 0
    assert sized_for(recipe, 1000, None).vocabulary == "own"
    assert sized_for(recipe, 1000, Bundle.load(tiny_bundle)).unfreezing == 0.5
