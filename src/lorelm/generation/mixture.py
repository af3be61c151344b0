"""The network and the n-gram model of its training text, sampled from together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lorelm.bundle import Bundle
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.typing import Floats32


@dataclass(frozen=True)
class Mixture:
    """weight p + (1 - weight) q, of the network's probabilities p and the n-gram model's q."""

    ngram: KneserNey
    weight: float

    @classmethod
    def of_bundle(cls, bundle: Bundle, *, cache: bool = False) -> "Mixture":
        """The mixture with the n-gram model that a bundle carries.

        Args:
            cache: the network has the neural cache.

        Raises:
            BundleError: it carries none, or a damaged one.
        """
        return cls(*bundle.ngram(cache=cache))

    def __call__(self, logits_V: Floats32, ids: Sequence[int]) -> Floats32:
        """The logarithm of the mixture's probabilities, from the network's logits.

        Args:
            ids: all that came before, from the `<eos>` in front of the text on.
        """
        network_V = np.exp(logits_V.astype(np.float64) - float(logits_V.max()))
        network_V /= network_V.sum()
        length = self.ngram.order - 1
        context = ids[-length:] if length else []
        ngram_V = self.ngram.distribution(np.array(context, dtype=np.int64))
        logs: Floats32 = np.log(self.weight * network_V + (1 - self.weight) * ngram_V).astype(
            np.float32
        )
        return logs
