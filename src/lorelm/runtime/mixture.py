"""Mixtures of probability distributions, in logarithms.

The n-gram mixture while generating, the same while evaluating, and the neural cache use it.
"""

import math

import numpy as np

from lorelm.typing import Floats, Floats32


def log_softmax(logits_V: Floats32) -> Floats:
    """Return the natural logarithm of the softmax, in float64."""
    shifted_V = logits_V.astype(np.float64) - float(logits_V.max())
    logs_V: Floats = shifted_V - math.log(float(np.exp(shifted_V).sum()))
    return logs_V


def mix_logs(log_p: Floats, log_q: Floats, weight: float) -> Floats:
    """Return `log(weight p + (1 - weight) q)`, element by element."""
    with np.errstate(divide="ignore"):  # A weight of 0 or 1 leaves the other one alone.
        logs: Floats = np.logaddexp(np.log(weight) + log_p, np.log1p(-weight) + log_q)
    return logs
