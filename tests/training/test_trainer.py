import dataclasses

import pytest
import torch

from lorelm.corpus.preparation import Corpus
from lorelm.errors import RecipeError
from lorelm.training.listener import TrainingListener
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import Trainer

CPU = torch.device("cpu")


@pytest.mark.parametrize("hidden_size", [10**7, 10**10])
def test_a_model_too_large_for_memory_is_refused(
    corpus: Corpus, tiny_recipe: Recipe, hidden_size: int
) -> None:
    recipe = dataclasses.replace(tiny_recipe, hidden_size=hidden_size)
    with pytest.raises(RecipeError, match=r"no memory for 2 layers.*smaller --hidden-size"):
        Trainer(corpus, recipe, device=CPU, listener=TrainingListener())


def test_what_else_is_wrong_with_a_device_is_not_called_a_lack_of_memory(
    corpus: Corpus, tiny_recipe: Recipe
) -> None:
    with pytest.raises(RuntimeError, match="vulkan"):
        Trainer(corpus, tiny_recipe, device=torch.device("vulkan"), listener=TrainingListener())
