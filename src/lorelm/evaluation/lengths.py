"""How the length of a document matters to how well it is foretold."""

from dataclasses import dataclass

import numpy as np

from lorelm.bundle.manifest import Interval
from lorelm.evaluation.perplexity import perplexity
from lorelm.evaluation.scores import ratio_interval
from lorelm.evaluation.text import HeldOutText
from lorelm.typing import Floats, Ids


@dataclass(frozen=True, kw_only=True)
class LengthClass:
    """The documents of similar length, and how well they are foretold.

    Attributes:
        shortest, longest: the bounds of the class in tokens, `<eos>` not counted.
        interval: of 95 %, of the perplexity; None where there is only one document.
    """

    shortest: int
    longest: int
    num_documents: int
    perplexity: float
    interval: Interval | None

    @property
    def name(self) -> str:
        """The bounds in words: "1", "2–3", "4–7"."""
        if self.shortest == self.longest:
            return f"{self.shortest:,}"
        return f"{self.shortest:,}–{self.longest:,}"


def length_classes(text: HeldOutText, log_probabilities: Floats) -> list[LengthClass]:
    """The documents in classes of doubling length, the shortest first; an empty one is left out."""
    nats = -text.by_document(log_probabilities)
    doublings = np.floor(np.log2(text.num_targets - 1)).astype(int)
    return [
        _length_class(
            doubling, nats[doublings == doubling], text.num_targets[doublings == doubling]
        )
        for doubling in np.unique(doublings).tolist()
    ]


def _length_class(doubling: int, nats: Floats, num_targets: Ids) -> LengthClass:
    interval = None
    if len(nats) > 1:
        low, high = ratio_interval(nats, num_targets)
        interval = (perplexity(low), perplexity(high))
    return LengthClass(
        shortest=2**doubling,
        longest=2 ** (doubling + 1) - 1,
        num_documents=len(nats),
        perplexity=perplexity(nats.sum() / num_targets.sum()),
        interval=interval,
    )
