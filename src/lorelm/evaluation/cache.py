"""Tune the neural cache on the validation part."""

from typing import Final

import numpy as np

from lorelm.bundle.manifest import CacheMetadata
from lorelm.evaluation.baseline import NgramBaseline, best_weight, ngram_log_probabilities
from lorelm.evaluation.perplexity import Predictions
from lorelm.runtime.mixture import mix_logs
from lorelm.typing import Floats, Floats32, Ids

SIZES: Final = (100, 500, 2000)
THETAS: Final = (0.3, 0.5, 0.8, 1.2, 2.0, 3.0)

MAX_TARGETS: Final = 20_000
"""More of the validation part would not change the result, and take minutes."""

TARGETS_AT_ONCE: Final = 1_000


def tune_cache(
    network: Predictions, stream: Ids, baseline: NgramBaseline | None = None
) -> CacheMetadata:
    """Return the size, theta and weight that predict a stream best.

    If no cache helps, the weight is near 0.

    Args:
        network: its predictions of the stream, with the states of the first `MAX_TARGETS`.
        baseline: the n-gram baseline for the mixture of all three.
    """
    stream = stream[:MAX_TARGETS]
    h_NH, logs = network.h_NH[:MAX_TARGETS], network.log_probabilities[:MAX_TARGETS]
    choices = []
    for size in SIZES:
        for theta, cache in _cache_probabilities(h_NH, stream, size).items():
            with np.errstate(divide="ignore"):
                cache_logs = np.log(cache)
            network_weight = best_weight(logs, cache_logs)
            together = mix_logs(logs, cache_logs, network_weight)
            choices.append((together.sum(), size, theta, 1 - network_weight, together))
    _, size, theta, weight, together = max(choices, key=lambda choice: choice[0])
    return CacheMetadata(
        size=size,
        theta=theta,
        weight=weight,
        mixture_weight=(
            best_weight(together, ngram_log_probabilities(baseline.model, stream))
            if baseline
            else None
        ),
    )


def _cache_probabilities(h_NH: Floats32, stream: Ids, size: int) -> dict[float, Floats]:
    """Return the probability of each target under a cache of this size, for each theta."""
    found = {theta: np.zeros(len(stream)) for theta in THETAS}
    for start in range(0, len(stream), TARGETS_AT_ONCE):
        end = min(start + TARGETS_AT_ONCE, len(stream))
        first = max(0, start - size)
        products_EN = h_NH[start:end] @ h_NH[first:end].T
        targets_E1 = np.arange(start, end)[:, None]
        held_N = np.arange(first, end)
        is_held_EN = (held_N < targets_E1) & (held_N >= targets_E1 - size)
        is_hit_EN = stream[first:end] == stream[start:end, None]
        for theta, probabilities in found.items():
            # Subtract the largest, so that exp cannot overflow.
            scores_EN = np.where(is_held_EN, theta * products_EN, -np.inf)
            scores_EN -= np.maximum(scores_EN.max(axis=1, keepdims=True), -1e9)
            share_EN = np.exp(scores_EN)
            totals_E = np.maximum(share_EN.sum(axis=1), 1e-30)
            probabilities[start:end] = (share_EN * is_hit_EN).sum(axis=1) / totals_E
    return found
