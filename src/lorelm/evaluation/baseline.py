"""The n-gram baseline, and its mixture with the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from lorelm.bundle import Bundle
from lorelm.bundle.manifest import NGramMetadata
from lorelm.corpus.preparation import Corpus
from lorelm.corpus.vocabulary import EOS_ID
from lorelm.evaluation.perplexity import Predictions
from lorelm.ngrams.kneser_ney import MAX_ORDER, KneserNey
from lorelm.runtime.mixture import mix_logs
from lorelm.typing import Floats, Ids


@dataclass(frozen=True, kw_only=True)
class NgramBaseline:
    """The n-gram model to compare a network with: same training part, ids and target tokens.

    Attributes:
        model: of the order that is the best on the validation part.
        mixture_weight: of the network in the mixture, the best on the validation part.
        cache_mixture_weight: the same for the network with the neural cache; None if not tuned.
        by_order: the models of order 1, 2, and so on; empty without the training part.
    """

    model: KneserNey
    mixture_weight: float
    cache_mixture_weight: float | None = None
    by_order: Sequence[KneserNey] = ()

    @classmethod
    def fit(cls, corpus: Corpus, network: Predictions) -> Self:
        """Fit to the training part; choose order and weight on the validation part.

        Args:
            network: its predictions of the validation part.
        """
        by_order = fit_orders(corpus)
        logs = [ngram_log_probabilities(model, corpus.valid.stream) for model in by_order]
        best = max(range(len(logs)), key=lambda n: logs[n].sum())
        weight = best_weight(network.log_probabilities, logs[best])
        return cls(model=by_order[best], mixture_weight=weight, by_order=by_order)

    @classmethod
    def of_bundle(cls, bundle: Bundle, corpus: Corpus | None = None) -> Self:
        """Return the n-gram baseline that training found.

        Args:
            corpus: that of the bundle, to fit all orders again; None takes the model that the
                bundle carries.

        Raises:
            BundleError: it carries none, or a damaged one.
        """
        ngram, cache = bundle.manifest.ngram, bundle.manifest.cache
        by_order = () if corpus is None else fit_orders(corpus)
        model = by_order[ngram.order - 1] if by_order and ngram else bundle.ngram()[0]
        assert ngram is not None  # Bundle.ngram refuses that.
        return cls(
            model=model,
            mixture_weight=ngram.mixture_weight,
            cache_mixture_weight=cache.mixture_weight if cache else None,
            by_order=by_order,
        )

    @property
    def metadata(self) -> NGramMetadata:
        return NGramMetadata(order=self.model.order, mixture_weight=self.mixture_weight)

    def beats(self, network: Floats, stream: Ids) -> bool:
        """Return whether counting alone predicts a stream better than the network.

        Args:
            network: log-probabilities under the network.
        """
        return bool(ngram_log_probabilities(self.model, stream).sum() > network.sum())

    def mixed(self, network: Floats, stream: Ids, *, cache: bool = False) -> Floats:
        """Return the log-probability of every target under the mixture.

        Args:
            network: log-probabilities under the network.
            cache: whether that is the network with the neural cache.
        """
        weight = self.cache_mixture_weight if cache else None
        if weight is None:
            weight = self.mixture_weight
        return mix_logs(network, ngram_log_probabilities(self.model, stream), weight)


def ngram_log_probabilities(model: KneserNey, stream: Ids) -> Floats:
    """Return the natural logarithm of the probability of every target of a stream."""
    logs: Floats = np.log(model.probabilities(_with_context(stream)))
    return logs


def best_weight(network: Floats, ngram: Floats) -> float:
    """The weight of the network at which the sum of :func:`mix_logs` is largest.

    The sum is concave in the weight, so its slope falls; bisection finds its zero.
    """
    p, q = np.exp(network), np.exp(ngram)
    low, high = 0.0, 1.0
    for _ in range(40):
        weight = (low + high) / 2
        slope = ((p - q) / (weight * p + (1 - weight) * q)).sum()
        low, high = (weight, high) if slope > 0 else (low, weight)
    return (low + high) / 2


def fit_orders(corpus: Corpus) -> Sequence[KneserNey]:
    """Fit n-gram models of order 1, 2, and so on to the training part."""
    return KneserNey.fit_orders(
        _with_context(corpus.train.stream),
        max_order=MAX_ORDER,
        vocabulary_size=len(corpus.vocabulary),
    )


def _with_context(stream: Ids) -> Ids:
    """Return the stream after the `<eos>` that predicts its first id."""
    return np.concatenate(([EOS_ID], stream))
