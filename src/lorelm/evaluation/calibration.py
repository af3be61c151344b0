"""Whether a model is as sure as it may be."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lorelm.evaluation.perplexity import Predictions
from lorelm.typing import Floats

NUM_CLASSES: Final = 10


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """First guesses in classes of confidence, 0 to 10 % first; an empty class is left out.

    Attributes:
        confidence: the mean probability that the model gave its first guess, in each class.
        right: the share of first guesses that came true.
        count: how many guesses.
        error: the expected calibration error, mean distance of `confidence` and `right` over all
            guesses (Guo et al. 2017, https://arxiv.org/abs/1706.04599).
    """

    confidence: Floats
    right: Floats
    count: Floats
    error: float


def calibration(foretold: Predictions) -> Calibration:
    """How sure a model was of its first guesses, and how often they came true."""
    classes = np.minimum((foretold.confidence * NUM_CLASSES).astype(int), NUM_CLASSES - 1)
    count = np.bincount(classes, minlength=NUM_CLASSES)
    confidence = np.bincount(classes, weights=foretold.confidence, minlength=NUM_CLASSES)
    right = np.bincount(classes, weights=foretold.is_correct, minlength=NUM_CLASSES)
    some = count > 0
    return Calibration(
        confidence=confidence[some] / count[some],
        right=right[some] / count[some],
        count=count[some].astype(np.float64),
        error=float(np.abs(confidence - right).sum() / count.sum()),
    )
