"""Settings that depend on how much text there is, and on how much time."""

import dataclasses
from typing import Any, Final, NamedTuple

from lorelm.training.recipe import Recipe


class _Size(NamedTuple):
    """What fits a training part of at most so many tokens.

    Attributes:
        size: of embedding and hidden state.
        shuffle: whether each epoch has another order of documents.
        fine_tuning_epochs: from a trained model.
    """

    max_tokens: float
    size: int
    dropout: float
    recurrent_dropout: float
    shuffle: bool
    epochs: int
    fine_tuning_epochs: int


# More text: a wider model with less dropout, fewer epochs, and the order of the corpus. That says
# what a document is about, and a small corpus is only learned by heart in it. Measured on
# lotr_scripts.csv (20,000 tokens), tiny Shakespeare and WikiText-2 (200,000 each):
# docs/results.md. The last rows are an estimate; the embedded model (900,000) has its own recipe.
_SIZES: Final = (
    _Size(60_000, 300, 0.6, 0.5, True, 36, 20),
    _Size(500_000, 400, 0.3, 0.3, False, 12, 7),
    _Size(2_000_000, 500, 0.25, 0.2, False, 7, 5),
    _Size(10_000_000, 500, 0.2, 0.1, False, 4, 3),
    _Size(float("inf"), 500, 0.1, 0.0, False, 1, 1),
)


def sized_to(recipe: Recipe, num_tokens: int, *, is_fine_tuning: bool = False) -> Recipe:
    """The recipe with the settings of its `by_corpus_size` fitted to a training part."""
    fitting = next(size for size in _SIZES if num_tokens <= size.max_tokens)
    fitted: dict[str, Any] = {
        "embedding_size": fitting.size,
        "hidden_size": fitting.size,
        "dropout": fitting.dropout,
        "recurrent_dropout": fitting.recurrent_dropout,
        "shuffle": fitting.shuffle,
        "epochs": fitting.fine_tuning_epochs if is_fine_tuning else fitting.epochs,
    }
    changes = {name: fitted[name] for name in recipe.by_corpus_size}
    return dataclasses.replace(recipe, **changes, by_corpus_size=())
