"""The model that training starts with: random weights, or those of a trained model."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from lorelm.bundle import Bundle
from lorelm.corpus.preparation import Corpus
from lorelm.corpus.special_tokens import SOMEONE
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Vocabulary, letters, straight
from lorelm.errors import RecipeError
from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runtime.step_graph import Weights
from lorelm.training.corpus_size import sized_to
from lorelm.training.recipe import Recipe
from lorelm.training.start import ARCHITECTURE_FIELDS
from lorelm.typing import Floats32, Ints

_COUNTED_TOKENS: Final = 1_000_000
"""Of the training part, which may be larger than memory."""

_COUNTED_PIECE: Final = 10_000

BY_WORD: Final = ("embedding.weight", "fc.weight", "fc.bias")

_PRIOR_TURNS: Final = 30
"""With as many turns, a new speaker begins halfway between a new word and `<other speaker>`."""

_NO_MEMORY: Final = ("allocate memory", "not enough memory", "out of memory", "size calculation")
"""PyTorch's words on Linux, Windows and CUDA, and for sizes beyond 64 bits: it has no exception of
its own for a lack of memory."""


def initial_model(
    corpus: Corpus, recipe: Recipe, device: torch.device, weights: Weights | None = None
) -> LSTMLanguageModel:
    """Seed PyTorch by the recipe, and return the model that training starts with.

    A new model predicts each word as often as it occurs in the training part, whatever came before.
    From zeros, the biases take half the epochs of a small corpus to get there: on the films, 18
    epochs end where 36 did (validation perplexity 75.7 and 75.8).

    Args:
        weights: instead of random ones.

    Raises:
        RecipeError: there is no memory for the model.
    """
    config = ModelConfig(
        vocabulary_size=len(corpus.vocabulary),
        embedding_size=recipe.embedding_size,
        hidden_size=recipe.hidden_size,
        num_layers=recipe.num_layers,
        tied=recipe.tied,
    )
    torch.manual_seed(recipe.seed)
    try:
        model = LSTMLanguageModel(config).to(device)
    except RuntimeError as error:
        if not lacks_memory(error):
            raise
        raise RecipeError(
            f"there is no memory for {recipe.num_layers} layers of {recipe.hidden_size} and "
            f"{len(corpus.vocabulary):,} words: use a smaller hidden_size (--hidden-size)",
            code="recipe.no_memory",
        ) from error
    if weights is None:
        with torch.no_grad():
            model.fc.bias.copy_(_log_frequencies(corpus))
    else:
        model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return model


def word_counts(corpus: Corpus) -> Ints:
    """Return how often the training part has each word; of a long one, evenly spaced pieces."""
    stream, num_words = corpus.train.stream, len(corpus.vocabulary)
    step = max(_COUNTED_PIECE, len(stream) * _COUNTED_PIECE // _COUNTED_TOKENS)
    counts_V = np.zeros(num_words, dtype=np.int64)
    for start in range(0, len(stream), step):
        counts_V += np.bincount(stream[start : start + _COUNTED_PIECE], minlength=num_words)
    return counts_V


def _log_frequencies(corpus: Corpus) -> torch.Tensor:
    """Return the logarithm of each word's share of the training part, add-half smoothed."""
    counts_V = word_counts(corpus)
    shares_V = (counts_V + 0.5) / (counts_V + 0.5).sum()
    return torch.from_numpy(np.log(shares_V).astype(np.float32))


def lacks_memory(error: RuntimeError) -> bool:
    """Whether PyTorch failed to allocate memory."""
    return any(phrase in str(error) for phrase in _NO_MEMORY)


def numpy_weights(model: LSTMLanguageModel) -> Weights:
    """Return the tensors of a model by name, in float32."""
    return {
        name: np.asarray(tensor.detach().cpu().numpy(), dtype=np.float32)
        for name, tensor in model.state_dict().items()
    }


def sized_for(recipe: Recipe, num_tokens: int, initial: Bundle | None) -> Recipe:
    """Return the recipe fitted to a training part, with the sizes of the initial checkpoint.

    Without one, there are no words of its own, and no layer waits for others.
    """
    sized = sized_to(recipe, num_tokens, is_fine_tuning=initial is not None)
    if initial is None:
        return replace(sized, vocabulary="own", unfreezing=0.0)
    model = initial.manifest.model
    return replace(sized, **{name: getattr(model, name) for name in ARCHITECTURE_FIELDS})


def initial_weights(
    bundle: Bundle, vocabulary: Vocabulary, tokenizer: Tokenizer, *, counts_V: Ints | None = None
) -> Weights:
    """Return the weights of a trained model for another vocabulary.

    A word of the model keeps its vector and its bias; a word that the model has in lower or upper
    case, or with other quotation marks, takes those; a new word takes the mean of the known words.
    An imported model may never have seen `<unk>` or `<eos>`, which are then new words.

    Args:
        counts_V: how often the new text has each word. Words that take the vector of one word share
            its probability by them, and new speakers with few turns begin near `<other speaker>`.

    Raises:
        BundleError: the bundle has no weights, or damaged ones.
        MissingExtraError: the package ``safetensors`` is not installed.
    """
    known = bundle.weights()
    sources = word_sources(vocabulary, tokenizer, bundle.vocabulary, bundle.tokenizer)
    imported = bundle.manifest.imported
    for token in () if imported is None else imported.never_seen:
        sources[vocabulary.words.index(token)] = -1
    weights = dict(known)
    for name in BY_WORD:
        weights[name] = _mapped(known[name], sources)
    if counts_V is not None:
        weights["fc.bias"] += _log_shares(np.array(sources), counts_V)
        new = [id_ for id_ in vocabulary.speakers.values() if sources[id_] < 0]
        other = bundle.vocabulary.speakers.get(SOMEONE)
        if new and other is not None:
            of_other = {name: known[name][other] for name in BY_WORD}
            _begin_near_other_speaker(weights, of_other, np.array(new), counts_V[new])
    return weights


def _begin_near_other_speaker(
    weights: dict[str, Floats32], of_other: Weights, new_S: Ints, turns_S: Ints
) -> None:
    """Move new speakers towards `<other speaker>`, most those with few turns, in place.

    New speakers begin as the mean of all words. From few turns, the model does not learn that lines
    begin with them, and writes prose. `<other speaker>` has that already. With many turns the mean
    is the better start, since the model then tells the speakers apart better (decision 12).
    """
    nearness_S = _PRIOR_TURNS / (_PRIOR_TURNS + turns_S)
    log_shares_S = np.log((turns_S + 1) / (turns_S + 1).sum())
    bias_S = of_other["fc.bias"] + log_shares_S
    weights["fc.bias"][new_S] += nearness_S * (bias_S - weights["fc.bias"][new_S])
    for name in ("embedding.weight", "fc.weight"):
        weights[name][new_S] += nearness_S[:, None] * (of_other[name] - weights[name][new_S])


def _log_shares(sources_V: Ints, counts_V: Ints) -> Floats32:
    """Return the logarithm of each word's share of the words that have its source, add-one
    smoothed; zero for words that have a source alone.
    """
    has_source_V = sources_V >= 0
    sums = np.bincount(sources_V[has_source_V], weights=counts_V[has_source_V] + 1)
    shares_V = np.ones(len(sources_V))
    shares_V[has_source_V] = (counts_V[has_source_V] + 1) / sums[sources_V[has_source_V]]
    log_shares: Floats32 = np.log(shares_V).astype(np.float32)
    return log_shares


def word_sources(
    vocabulary: Vocabulary, tokenizer: Tokenizer, known: Vocabulary, known_tokenizer: Tokenizer
) -> list[int]:
    """Return for each word the id of the known word whose vector it takes; -1 for a new word."""
    by_spelling: dict[str, int] = {}
    by_letters: dict[str, int] = {}
    for id_, word in enumerate(known.words):
        spelling = known_tokenizer.piece(word, None)
        by_spelling.setdefault(spelling, id_)  # the most frequent comes first
        by_letters.setdefault(letters(spelling), id_)
    exact: dict[str, int] = {}
    if tokenizer.style == known_tokenizer.style:
        for id_, word in enumerate(known.words):
            exact.setdefault(straight(word), id_)
        exact |= {word: id_ for id_, word in enumerate(known.words)}
    sources = []
    for id_, word in enumerate(vocabulary.words):
        spelling = tokenizer.piece(word, None)
        source = exact.get(word, exact.get(straight(word), -1))
        if source < 0:
            source = by_spelling.get(spelling, by_letters.get(letters(spelling), -1))
        sources.append(id_ if id_ in (UNK_ID, EOS_ID) else source)
    return sources


def _mapped(known: Floats32, sources: Sequence[int]) -> Floats32:
    """Return the rows of the sources; for -1, their mean."""
    places = np.array(sources)
    mean = known[places[places >= 0]].mean(axis=0)
    is_new = (places < 0).reshape(-1, *[1] * (known.ndim - 1))
    mapped: Floats32 = np.where(is_new, mean, known[places]).astype(np.float32)
    return mapped
