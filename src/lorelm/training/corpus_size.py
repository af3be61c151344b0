"""The settings of a recipe that depend on how large the corpus is: :func:`sized_to`."""

import dataclasses
from typing import Final, NamedTuple

from lorelm.training.recipe import Recipe


class _Size(NamedTuple):
    """Settings for a training part of at most `max_tokens`.

    Attributes:
        hidden_size: and the size of the embedding.
        fine_tuning_epochs: when training starts from a trained model.
    """

    max_tokens: float
    hidden_size: int
    dropout: float
    recurrent_dropout: float
    batch_size: int
    shuffle: bool
    epochs: int
    fine_tuning_epochs: int


# More text: a wider model with less dropout, larger batches, fewer epochs, and the documents in
# their own order, which tells what each is about; with little text, a fixed order overfits.
# Measured on lotr_scripts.csv (20,000 tokens), tiny Shakespeare and a novel (200,000 each):
# decision 7. The last rows are an estimate; the embedded model has its own recipe.
_BY_CORPUS_SIZE: Final = (
    _Size(60_000, 300, 0.65, 0.5, 16, True, 14, 8),
    _Size(500_000, 400, 0.3, 0.3, 64, False, 5, 4),
    _Size(2_000_000, 500, 0.25, 0.2, 64, False, 4, 3),
    _Size(10_000_000, 500, 0.2, 0.1, 64, False, 3, 2),
    _Size(float("inf"), 500, 0.1, 0.0, 64, False, 1, 1),
)


def sized_to(recipe: Recipe, num_tokens: int, *, is_fine_tuning: bool = False) -> Recipe:
    """Return the recipe with the settings of its `by_corpus_size` fitted to a training part."""
    fitting = next(size for size in _BY_CORPUS_SIZE if num_tokens <= size.max_tokens)
    fitted = fitting._asdict() | {"embedding_size": fitting.hidden_size}
    if is_fine_tuning:
        fitted["epochs"] = fitting.fine_tuning_epochs
    changes = {name: fitted[name] for name in recipe.by_corpus_size}
    names = (*recipe.fitted, *recipe.by_corpus_size)
    return dataclasses.replace(recipe, **changes, by_corpus_size=(), fitted=names)
