"""The n-gram model beside the network, and the mixture: a weighted mean of their probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from lorelm.bundle import Bundle
from lorelm.bundle.manifest import CacheMetadata, NGramMetadata
from lorelm.corpus.preparation import Corpus
from lorelm.corpus.vocabulary import EOS_ID
from lorelm.evaluation.perplexity import predict
from lorelm.ngrams.kneser_ney import MAX_ORDER, KneserNey
from lorelm.runtime.base import Runtime
from lorelm.runtime.mixture import mix_logs
from lorelm.typing import Floats, Ids


@dataclass(frozen=True, kw_only=True)
class NgramBaseline:
    """The n-gram model that stands beside a network: same training part, ids and events.

    Attributes:
        model: of the order that foretold the validation part best.
        mixture_weight: the weight of the network in the mixture that foretold the validation part
            best.
        cache_mixture_weight: the same of the network with the neural cache, where that was tuned.
        by_order: the models of order 1, 2, and so on, where the training part was at hand.
    """

    model: KneserNey
    mixture_weight: float
    cache_mixture_weight: float | None = None
    by_order: Sequence[KneserNey] = ()

    @classmethod
    def fit(cls, corpus: Corpus, network: Runtime) -> Self:
        """Counts the training part; order and weight are chosen on the validation part."""
        by_order = fit_orders(corpus)
        valid = corpus.valid.stream
        logs = [ngram_log_probabilities(model, valid) for model in by_order]
        best = max(range(len(logs)), key=lambda n: logs[n].sum())
        weight = best_weight(predict(network, valid).log_probabilities, logs[best])
        return cls(model=by_order[best], mixture_weight=weight, by_order=by_order)

    @classmethod
    def fit_as_recorded(
        cls, corpus: Corpus, facts: NGramMetadata, cache: CacheMetadata | None = None
    ) -> Self:
        """Counts the training part again; order and weight are those that training found."""
        by_order = fit_orders(corpus)
        return cls(
            model=by_order[facts.order - 1],
            mixture_weight=facts.mixture_weight,
            cache_mixture_weight=cache.mixture_weight if cache else None,
            by_order=by_order,
        )

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Self:
        """The n-gram model that a bundle carries.

        Raises:
            BundleError: it carries none, or a damaged one.
        """
        model, mixture_weight = bundle.ngram()
        cache = bundle.manifest.cache
        return cls(
            model=model,
            mixture_weight=mixture_weight,
            cache_mixture_weight=cache.mixture_weight if cache else None,
        )

    @property
    def facts(self) -> NGramMetadata:
        return NGramMetadata(order=self.model.order, mixture_weight=self.mixture_weight)

    def log_probabilities(self, stream: Ids) -> Floats:
        """What the n-gram model alone gives every event of a stream."""
        return ngram_log_probabilities(self.model, stream)

    def mixed(self, network: Floats, stream: Ids, *, cache: bool = False) -> Floats:
        """What the mixture gives every event, from what the network gives it.

        Args:
            cache: the network is with the neural cache.
        """
        weight = self.cache_mixture_weight if cache else None
        if weight is None:
            weight = self.mixture_weight
        return mix_logs(network, self.log_probabilities(stream), weight)


def ngram_log_probabilities(model: KneserNey, stream: Ids) -> Floats:
    """The natural logarithm of the probability of every event of a stream."""
    logs: Floats = np.log(model.probabilities(_with_context(stream)))
    return logs


def best_weight(network: Floats, ngram: Floats) -> float:
    """The weight of the network at which the sum of :func:`mix_logs` is largest.

    The sum is concave in the weight, so its slope falls; where it is zero is found by halving.
    """
    p, q = np.exp(network), np.exp(ngram)
    low, high = 0.0, 1.0
    for _ in range(40):
        weight = (low + high) / 2
        slope = ((p - q) / (weight * p + (1 - weight) * q)).sum()
        low, high = (weight, high) if slope > 0 else (low, weight)
    return (low + high) / 2


def fit_orders(corpus: Corpus) -> Sequence[KneserNey]:
    """The n-gram models of order 1, 2, and so on, of a training part."""
    return KneserNey.fit_orders(
        _with_context(corpus.train.stream),
        max_order=MAX_ORDER,
        vocabulary_size=len(corpus.vocabulary),
    )


def _with_context(stream: Ids) -> Ids:
    """The stream after the `<eos>` from which its first id is foretold."""
    return np.concatenate(([EOS_ID], stream))
