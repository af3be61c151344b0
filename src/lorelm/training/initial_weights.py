"""Weights to begin with from a model that was trained on another text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from lorelm.bundle import Bundle
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Vocabulary
from lorelm.errors import BundleError
from lorelm.runtime.step_graph import Weights
from lorelm.typing import Floats32

KNOWN_SIZES: Final = ("embedding_size", "hidden_size", "num_layers", "tied")
"""The settings of a recipe that come with the weights."""


def known_model(path: str | Path) -> Bundle:
    """The bundle of a model to begin with.

    Raises:
        BundleError: it is missing or damaged, has no weights, or some that are no numbers.
        MissingExtraError: the package ``safetensors`` is not installed.
    """
    bundle = Bundle.load(path)
    for name, array in bundle.weights().items():  # now, and not after the corpus was read
        if not np.isfinite(array).all():
            raise BundleError(
                f"{path} cannot be trained on: {name} in its weights holds values that are no "
                "numbers (NaN or infinite)"
            )
    return bundle


def initial_weights(bundle: Bundle, vocabulary: Vocabulary, tokenizer: Tokenizer) -> Weights:
    """The weights of a trained model for another vocabulary.

    A word that the model knows keeps its vector and its bias, a word that it knows in small
    letters or capitals takes those, and a new word the mean of the words that are known. An
    imported model may never have seen `<unk>` or `<eos>`: they are new to it.

    Raises:
        BundleError: the bundle has no weights, or damaged ones.
        MissingExtraError: the package ``safetensors`` is not installed.
    """
    weights = dict(bundle.weights())
    sources = word_sources(vocabulary, tokenizer, bundle.vocabulary, bundle.tokenizer)
    imported = bundle.manifest.imported
    for token in () if imported is None else imported.never_seen:
        sources[vocabulary.words.index(token)] = -1
    for name in ("embedding.weight", "fc.weight", "fc.bias"):
        weights[name] = _mapped(weights[name], sources)
    return weights


def word_sources(
    vocabulary: Vocabulary, tokenizer: Tokenizer, known: Vocabulary, known_tokenizer: Tokenizer
) -> list[int]:
    """For each word, the id of the known word whose vector it takes; -1 for a new word."""
    by_spelling: dict[str, int] = {}
    by_letters: dict[str, int] = {}
    for id_, word in enumerate(known.words):
        spelling = known_tokenizer.piece(word, None)
        by_spelling.setdefault(spelling, id_)  # the most frequent comes first
        by_letters.setdefault(spelling.casefold(), id_)
    exact = {word: id_ for id_, word in enumerate(known.words)}
    is_same_style = tokenizer.style == known_tokenizer.style
    sources = []
    for id_, word in enumerate(vocabulary.words):
        spelling = tokenizer.piece(word, None)
        source = exact.get(word, -1) if is_same_style else -1
        if source < 0:
            source = by_spelling.get(spelling, by_letters.get(spelling.casefold(), -1))
        sources.append(id_ if id_ in (UNK_ID, EOS_ID) else source)
    return sources


def _mapped(known: Floats32, sources: Sequence[int]) -> Floats32:
    """The rows of the sources, and their mean where there is none."""
    places = np.array(sources)
    mean = known[places[places >= 0]].mean(axis=0)
    is_new = (places < 0).reshape(-1, *[1] * (known.ndim - 1))
    mapped: Floats32 = np.where(is_new, mean, known[places]).astype(np.float32)
    return mapped
