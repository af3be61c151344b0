"""Tune the neural cache on the validation part."""

from typing import Final

import numpy as np

from lorelm.bundle.manifest import CacheMetadata
from lorelm.evaluation.baseline import NgramBaseline, best_weight
from lorelm.evaluation.perplexity import iterate_targets
from lorelm.runtime.base import Runtime
from lorelm.runtime.mixture import log_softmax, mix_logs
from lorelm.typing import Floats, Floats32, Ids

SIZES: Final = (100, 500, 2000)
THETAS: Final = (0.3, 0.5, 0.8, 1.2, 2.0, 3.0)

MAX_TARGETS: Final = 20_000
"""More of the validation part would not change the result, and take minutes."""

TARGETS_AT_ONCE: Final = 1_000


def tune_cache(
    network: Runtime, stream: Ids, baseline: NgramBaseline | None = None
) -> CacheMetadata:
    """Return the size, theta and weight that predict a stream best.

    If no cache helps, the weight is near 0.

    Args:
        baseline: the n-gram baseline for the mixture of all three.
    """
    stream = stream[:MAX_TARGETS]
    h_NH, logs = _read(network, stream)
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
            best_weight(together, baseline.log_probabilities(stream)) if baseline else None
        ),
    )


def _read(network: Runtime, stream: Ids) -> tuple[Floats32, Floats]:
    """Return the state that predicts each target, and the log-probability of the target."""
    h_NH = np.empty((len(stream), network.config.hidden_size), np.float32)
    logs = np.empty(len(stream))
    for i, (id_, logits_V, state) in enumerate(iterate_targets(network, stream)):
        h_NH[i] = state.h_BH[-1][0]
        logs[i] = log_softmax(logits_V)[id_]
    return h_NH, logs


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
