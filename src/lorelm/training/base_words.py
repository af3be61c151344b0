"""The words of the model to start from that a corpus does not have: :func:`with_base_words`.

They are left out of training, in which they would never be right, and take no time there. At the
end the model gets them back as they were, with one number added to the logits of all: the one that
predicts the validation part best.
"""

from dataclasses import replace
from typing import Final

import numpy as np
import torch

from lorelm.bundle import Bundle
from lorelm.corpus.preparation import Corpus
from lorelm.corpus.windows import TokenBatcher
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runtime.step_graph import Weights
from lorelm.training.callbacks import TrainedModel
from lorelm.training.initial_checkpoint import BY_WORD, initial_weights, numpy_weights, word_counts
from lorelm.typing import Ids

_WINDOW: Final = 200
_OFFSETS: Final = np.arange(-10.0, 6.0, 0.1)
"""Nats. One validation token that is such a word decides little, so a fine grid is enough."""


def has_base_words(bundle: Bundle) -> bool:
    """Return whether a finished run added words of the model that it started from."""
    return _num_seen(bundle) < len(bundle.vocabulary)


def weights_of_seen_words(bundle: Bundle) -> Weights:
    """Return the weights of a bundle without the words that its training part does not have."""
    num_seen = _num_seen(bundle)
    return {
        name: array[:num_seen] if name in BY_WORD else array
        for name, array in bundle.weights().items()
    }


def _num_seen(bundle: Bundle) -> int:
    corpus = bundle.manifest.corpus
    return (corpus and corpus.seen_words) or len(bundle.vocabulary)


def without_base_words(corpus: Corpus, initial: Bundle | None) -> tuple[Corpus, Weights | None]:
    """Return the corpus to train on, and the weights to begin with; None: random ones.

    Args:
        initial: the bundle to start from; None: training starts from scratch.
    """
    if initial is None:
        return corpus, None
    seen = corpus.with_seen_words()
    return seen, initial_weights(
        initial, seen.vocabulary, seen.tokenizer, counts_V=word_counts(seen)
    )


def with_base_words(trained: TrainedModel, corpus: Corpus, initial: Bundle | None) -> TrainedModel:
    """Return a model of all words of a corpus's vocabulary from one of those that it has seen.

    Args:
        corpus: of which the model was trained on what :func:`without_base_words` left.
        initial: the bundle that training started from.
    """
    num_seen = trained.model.config.vocabulary_size
    if initial is None or num_seen == len(corpus.vocabulary):
        return trained
    # A form that the text does not have, such as a straight quotation mark where it has curly ones,
    # shares its probability with the forms that the text has, and is left next to nothing.
    counts_V = word_counts(corpus)
    weights = dict(initial_weights(initial, corpus.vocabulary, corpus.tokenizer, counts_V=counts_V))
    for name, array in numpy_weights(trained.model).items():
        if name in BY_WORD:
            weights[name][:num_seen] = array
        else:
            weights[name] = array
    config = replace(trained.model.config, vocabulary_size=len(corpus.vocabulary))
    model = LSTMLanguageModel(config).eval()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    with torch.no_grad():
        model.fc.bias[num_seen:] += best_offset(model, corpus.valid.stream, num_seen)
    return replace(trained, model=model)


@torch.inference_mode()
def best_offset(model: LSTMLanguageModel, stream: Ids, num_seen: int) -> float:
    """Return what to add to the logits of the words from `num_seen` on, in nats.

    One half is added to how often the stream has such a word. Otherwise they would lose all
    probability where it has none.
    """
    state = model.initial_state(1)
    log_odds, is_unseen = [], []
    for inputs_T1, targets_T1 in TokenBatcher(stream, batch_size=1).windows(bptt=_WINDOW):
        logits_T1V, state = model(torch.from_numpy(inputs_T1), state)
        seen_TV, unseen_TV = logits_T1V[:, 0].split([num_seen, logits_T1V.shape[2] - num_seen], 1)
        log_odds.append((unseen_TV.logsumexp(1) - seen_TV.logsumexp(1)).numpy())
        is_unseen.append(targets_T1[:, 0] >= num_seen)
    odds_N, is_unseen_N = np.concatenate(log_odds), np.concatenate(is_unseen)
    typical = np.median(odds_N)
    # Of the loss, only this depends on the offset: the probability of all unseen words together.
    losses = [
        np.logaddexp(0, np.where(is_unseen_N, -1, 1) * (odds_N + offset)).sum()
        + np.logaddexp(0, -typical - offset) / 2
        for offset in _OFFSETS
    ]
    return float(_OFFSETS[int(np.argmin(losses))])
