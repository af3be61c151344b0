"""Mixtures of probability distributions, in logarithms.

The n-gram mixture while generating, the same while evaluating, and the neural cache use it.
"""

import numpy as np

from lorelm.typing import Floats, Floats32


def log_softmax(logits_V: Floats32) -> Floats:
    """Return the natural logarithm of the softmax over the last axis, in float64."""
    shifted_V = logits_V.astype(np.float64) - logits_V.max(axis=-1, keepdims=True)
    logs_V: Floats = shifted_V - np.log(np.exp(shifted_V).sum(axis=-1, keepdims=True))
    return logs_V


def log_normaliser(logits_BV: Floats32) -> Floats:
    """Return for each row what to subtract from a logit for the log of its probability.

    Exponentials in float32 are four times as fast as in float64, which their sum is in.
    """
    tops_B1 = logits_BV.max(axis=1, keepdims=True)
    sums_B = np.exp(logits_BV - tops_B1).sum(axis=1, dtype=np.float64)
    logs_B: Floats = tops_B1[:, 0] + np.log(sums_B)
    return logs_B


def mix_logs(log_p: Floats, log_q: Floats, weight: float) -> Floats:
    """Return `log(weight p + (1 - weight) q)`, element by element."""
    with np.errstate(divide="ignore"):  # A weight of 0 or 1 leaves the other one alone.
        logs: Floats = np.logaddexp(np.log(weight) + log_p, np.log1p(-weight) + log_q)
    return logs
