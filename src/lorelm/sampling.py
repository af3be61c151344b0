"""Logits to the next id: greedy or at random, for many rows at once.

A row's filters act in this order, each on what the one before has left: banned ids, repetition
penalty, temperature, top-k, top-p, min-p. What is left is scaled to a sum of one, and one uniform
number picks from it by the inverse of the cumulative distribution. All of it is arithmetic within
the row, so what a row gets does not depend on the rows beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lorelm.errors import SamplingError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """How one row picks its next id.

    Attributes:
        temperature: logits are divided by it: below 1 the likely becomes likelier, above 1 the
            unlikely does; 0 always takes the likeliest id.
        top_k: only the k likeliest ids remain; 0 keeps all.
        top_p: only the likeliest ids remain that together reach this probability
            (Holtzman et al. 2020, https://arxiv.org/abs/1904.09751); 1 keeps all.
        min_p: only ids with at least this share of the likeliest one's probability remain
            (Nguyen et al. 2024, https://arxiv.org/abs/2407.01082); 0 keeps all.
        repetition_penalty: the logit of an id that the text already has is divided by it where it
            is positive and multiplied where it is negative
            (Keskar et al. 2019, https://arxiv.org/abs/1909.05858); 1 does nothing.

    Raises:
        SamplingError: a value is out of its range.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        for field, allowed, is_allowed in _RANGES:
            value = getattr(self, field)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (is_number and is_allowed(value)):
                raise SamplingError(field, f"must be a number {allowed}, not {value!r}")
        require_whole(self.top_k, "top_k", at_least=0, at_most=10**9)


_RANGES: Final[Sequence[tuple[str, str, Callable[[float], bool]]]] = (
    ("temperature", "0, or from 0.001 to 100", lambda v: v == 0 or 0.001 <= v <= 100),
    ("top_p", "above 0 and at most 1", lambda v: 0 < v <= 1),
    ("min_p", "from 0 to 1", lambda v: 0 <= v <= 1),
    ("repetition_penalty", "from 0.01 to 100", lambda v: 0.01 <= v <= 100),
)


def require_whole(value: Any, field: str, *, at_least: int, at_most: int | None = None) -> None:
    """Refuses what is not a whole number in a range.

    Raises:
        SamplingError: it is not.
    """
    if type(value) is not int or value < at_least or (at_most is not None and value > at_most):
        allowed = f"of at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"
        raise SamplingError(field, f"must be a whole number {allowed}, not {value!r}")


def sample(
    logits_BV: npt.NDArray[np.float32],
    settings: Sequence[SamplingSettings],
    *,
    uniforms_B: Floats,
    seen_BV: Bools,
    banned_ids: Sequence[int] = (),
) -> npt.NDArray[np.int64]:
    """The next id of each row.

    Args:
        settings: one a row.
        uniforms_B: one number a row, uniform in [0, 1); a row at temperature 0 does not use it.
        seen_BV: which ids each row's text already has.
        banned_ids: never picked.
    """
    probabilities_BV = next_probabilities(
        logits_BV, settings, seen_BV=seen_BV, banned_ids=banned_ids
    )
    cumulative_BV = probabilities_BV.cumsum(axis=1)
    # The last column is the total, a hair off one; u < 1 keeps the target below it, so the id that
    # is picked has a probability above zero.
    targets_B1 = uniforms_B[:, None] * cumulative_BV[:, -1:]
    picked_B: npt.NDArray[np.int64] = (cumulative_BV <= targets_B1).sum(axis=1)
    return picked_B


def next_probabilities(
    logits_BV: npt.NDArray[np.float32],
    settings: Sequence[SamplingSettings],
    *,
    seen_BV: Bools,
    banned_ids: Sequence[int] = (),
) -> Floats:
    """The distribution that :func:`sample` picks from: `[B, V]`, each row with a sum of one."""
    scores_BV = logits_BV.astype(np.float64, order="C")  # sums depend on the order in memory
    scores_BV[:, list(banned_ids)] = -np.inf
    _penalize(scores_BV, _column(settings, "repetition_penalty"), seen_BV)
    temperature_B1 = _column(settings, "temperature")
    greedy_B1 = temperature_B1 == 0
    probabilities_BV = _softmax(scores_BV / np.where(greedy_B1, 1.0, temperature_B1))
    if any(row.top_k > 0 or row.top_p < 1 for row in settings):
        _keep_top(probabilities_BV, _column(settings, "top_k"), _column(settings, "top_p"))
    threshold_B1 = _column(settings, "min_p") * probabilities_BV.max(axis=1, keepdims=True)
    probabilities_BV[probabilities_BV < threshold_B1] = 0.0
    rows = np.flatnonzero(greedy_B1)
    probabilities_BV[rows] = 0.0
    probabilities_BV[rows, scores_BV[rows].argmax(axis=1)] = 1.0
    return _normalized(probabilities_BV)


def _column(settings: Sequence[SamplingSettings], field: str) -> Floats:
    return np.array([[getattr(row, field)] for row in settings], dtype=np.float64)


def _penalize(scores_BV: Floats, penalty_B1: Floats, seen_BV: Bools) -> None:
    if (penalty_B1 != 1).any():
        penalized_BV = np.where(scores_BV > 0, scores_BV / penalty_B1, scores_BV * penalty_B1)
        np.copyto(scores_BV, penalized_BV, where=seen_BV)


def _softmax(scores_BV: Floats) -> Floats:
    return _normalized(np.exp(scores_BV - scores_BV.max(axis=1, keepdims=True)))


def _normalized(weights_BV: Floats) -> Floats:
    normalized_BV: Floats = weights_BV / weights_BV.sum(axis=1, keepdims=True)
    return normalized_BV


def _keep_top(probabilities_BV: Floats, top_k_B1: Floats, top_p_B1: Floats) -> None:
    """Sets to zero what is beyond the k likeliest, or beyond the mass p of what those hold."""
    order_BV = np.argsort(-probabilities_BV, axis=1, kind="stable")
    sorted_BV = np.take_along_axis(probabilities_BV, order_BV, axis=1)
    ranks_V = np.arange(probabilities_BV.shape[1])
    sorted_BV[(top_k_B1 > 0) & (ranks_V >= top_k_B1)] = 0.0
    cumulative_BV = sorted_BV.cumsum(axis=1)
    mass_before_BV = cumulative_BV - sorted_BV
    beyond_BV = (top_p_B1 < 1) & (mass_before_BV >= top_p_B1 * cumulative_BV[:, -1:])
    sorted_BV[beyond_BV & (ranks_V > 0)] = 0.0  # the likeliest stays, however small p is
    np.put_along_axis(probabilities_BV, order_BV, sorted_BV, axis=1)
