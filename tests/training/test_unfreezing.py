import dataclasses

import pytest
import torch

from lorelm.corpus.preparation import Corpus
from lorelm.training.recipe import Recipe

from .fitting import new_trainer


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


WORDS = {"embedding.weight", "fc.weight", "fc.bias"}
PROJECTION = {"projection.weight", "projection.bias"}


def layer(number: int) -> set[str]:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return {f"lstm.{name}_l{number}" for name in names}


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_words_train_first_then_the_projection_and_the_layers_from_the_last_to_the_first(
    corpus: Corpus, tiny_recipe: Recipe, share: float
) -> None:
    recipe = dataclasses.replace(
        tiny_recipe,
        **{"tied": True, "embedding_size": 8, "hidden_size": 12, "num_layers": 2, "epochs": 4},
        unfreezing=share,
        weight_average=0.0,
    )
    trainer = new_trainer(corpus, recipe)
    trainer.start_clock()
    begins = {0.0: WORDS, 0.2: PROJECTION, 0.4: layer(1), 0.6: layer(0)}
    while not trainer.is_over:
        progress = trainer.progress
        before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        trainer.step()
        expected = {name for begin, names in begins.items() if progress >= begin for name in names}
        everything = set().union(*begins.values())
        assert changed(before, trainer.model.state_dict()) == (expected if share else everything)
