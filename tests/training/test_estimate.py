import dataclasses

import torch

from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import prepare_corpus
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.training.estimate import estimate_training_seconds
from lorelm.training.recipe import Recipe


def test_ten_times_the_epochs_take_about_ten_times_as_long(
    tales: Documents, tiny_recipe: Recipe
) -> None:
    corpus = prepare_corpus(
        tales, tokenizer=make_tokenizer("words"), min_frequency=2, split_seed=42
    )
    few, many = (
        estimate_training_seconds(
            corpus, dataclasses.replace(tiny_recipe, epochs=epochs), device=torch.device("cpu")
        )
        for epochs in (1000, 10_000)
    )
    assert 2 < many / few < 50  # the machine is shared
