"""Logits to the next id: greedy or at random, for many rows at once.

What acts on a row's logits acts in this order, each on what the one before has left: penalties
(:class:`Penalties`), temperature, top-k, top-p, min-p. What is left are weights, and one uniform
number picks from them by the inverse of the cumulative distribution. All of it is arithmetic within
the row, so what a row gets does not depend on the rows beside it.

An id whose logit is minus infinity is never picked, as long as there is another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from lorelm.errors import SamplingError
from lorelm.typing import Floats, Floats32, Ids

_LARGEST_SHARE: Final = float(np.nextafter(1, 0))


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
        repetition_penalty: the logit of an id that the prompt or the sample already has is divided
            by it where it is positive and multiplied where it is negative
            (Keskar et al. 2019, https://arxiv.org/abs/1909.05858); 1 does nothing.
        frequency_penalty: is taken off an id's logit once for each time the sample has it (as in
            OpenAI's API); below 0 it is added.
        presence_penalty: is taken off the logit of an id that the sample has.

    Raises:
        SamplingError: a value is out of its range.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0

    def __post_init__(self) -> None:
        for field, allowed, is_allowed in _RANGES:
            value = getattr(self, field)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (is_number and is_allowed(value)):
                raise SamplingError(field, f"must be a number {allowed}, not {value!r}")
        require_whole(self.top_k, "top_k", at_least=0, at_most=10**9)

    @cached_property
    def is_selective(self) -> bool:
        """Whether some ids are left out for being unlikely."""
        return self.temperature == 0 or self.top_k > 0 or self.top_p < 1 or self.min_p > 0

    @property
    def has_penalties(self) -> bool:
        """Whether what the text already has counts."""
        penalties = self.repetition_penalty, self.frequency_penalty, self.presence_penalty
        return penalties != (1, 0, 0)


_RANGES: Final[Sequence[tuple[str, str, Callable[[float], bool]]]] = (
    ("temperature", "from 0.001 to 100, or 0", lambda v: v == 0 or 0.001 <= v <= 100),
    ("top_p", "above 0 and at most 1", lambda v: 0 < v <= 1),
    ("min_p", "from 0 to 1", lambda v: 0 <= v <= 1),
    ("repetition_penalty", "from 0.01 to 100", lambda v: 0.01 <= v <= 100),
    ("frequency_penalty", "from -2 to 2", lambda v: -2 <= v <= 2),
    ("presence_penalty", "from -2 to 2", lambda v: -2 <= v <= 2),
)


def require_whole(value: Any, field: str, *, at_least: int, at_most: int | None = None) -> None:
    """Refuses what is not a whole number in a range.

    Raises:
        SamplingError: it is not.
    """
    if type(value) is not int or value < at_least or (at_most is not None and value > at_most):
        allowed = f"of at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"
        raise SamplingError(field, f"must be a whole number {allowed}, not {value!r}")


class Penalties:
    """Makes the ids that a text already has less likely, by the penalties of its settings."""

    def __init__(
        self, settings: SamplingSettings, prompt_ids: Sequence[int], vocabulary_size: int
    ) -> None:
        self._settings = settings
        self._is_seen_V = np.zeros(vocabulary_size, dtype=np.bool_)
        self._is_seen_V[prompt_ids] = True
        self._counts_V = np.zeros(vocabulary_size, dtype=np.float32)

    def add(self, id_: int) -> None:
        """Counts an id that the sample now has."""
        self._is_seen_V[id_] = True
        self._counts_V[id_] += 1

    def applied(self, logits_V: Floats32) -> Floats32:
        """The logits with the penalties taken off."""
        factor = np.float32(self._settings.repetition_penalty)
        penalized_V = np.where(logits_V > 0, logits_V / factor, logits_V * factor)
        penalized_V = np.where(self._is_seen_V, penalized_V, logits_V)
        penalized_V -= np.float32(self._settings.frequency_penalty) * self._counts_V
        penalized_V -= np.float32(self._settings.presence_penalty) * (self._counts_V > 0)
        return penalized_V


def sample(logits_BV: Floats32, settings: Sequence[SamplingSettings], *, uniforms_B: Floats) -> Ids:
    """The next id of each row.

    Args:
        logits_BV: is overwritten (64 rows of 911 take 30 µs less that way).
        settings: one a row; its penalties are not looked at.
        uniforms_B: one number a row, uniform in [0, 1); a row at temperature 0 does not use it.
    """
    return _pick(_blocks(_weights(logits_BV, settings, out_BV=logits_BV)), uniforms_B)


def weights(logits_BV: Floats32, settings: Sequence[SamplingSettings]) -> Floats32:
    """What :func:`sample` picks from: `[B, V]`, in proportion to the probabilities.

    The likeliest id of a row has the weight 1.
    """
    return _weights(logits_BV, settings, out_BV=np.empty_like(logits_BV))


def _weights(
    logits_BV: Floats32, settings: Sequence[SamplingSettings], *, out_BV: Floats32
) -> Floats32:
    temperatures = [row.temperature or 1 for row in settings]
    # One number where all agree: 64 rows are divided in 3 µs in place of 10.
    divisor = temperatures[:1] if len(set(temperatures)) == 1 else [[t] for t in temperatures]
    weights_BV = np.divide(logits_BV, np.array(divisor, dtype=np.float32), out=out_BV)
    weights_BV -= np.maximum.reduce(weights_BV, axis=1, keepdims=True)
    np.exp(weights_BV, out=weights_BV)
    for place, row in enumerate(settings):
        if row.is_selective:
            _select(weights_BV[place], row)
    return weights_BV


def _blocks(weights_BV: Floats32) -> Floats32:
    """The weights in blocks, `[B, N, W]`; those of ids beyond the vocabulary are zero."""
    num_rows, vocabulary_size = weights_BV.shape
    width = _block_width(vocabulary_size)
    if vocabulary_size % width:
        whole_BV = np.zeros((num_rows, -(-vocabulary_size // width) * width), dtype=np.float32)
        whole_BV[:, :vocabulary_size] = weights_BV
        weights_BV = whole_BV
    return weights_BV.reshape(num_rows, -1, width)


def _block_width(vocabulary_size: int) -> int:
    """About the square root, so that both stages of picking have as much to do."""
    return max(8, 1 << (vocabulary_size.bit_length() // 2))


def _select(weights_V: Floats32, settings: SamplingSettings) -> None:
    """Sets to zero what the settings leave out."""
    if settings.temperature == 0:
        likeliest = weights_V.argmax()
        weights_V[:] = 0
        weights_V[likeliest] = 1
        return
    if settings.top_k:
        _keep_largest(weights_V, settings.top_k)
    if settings.top_p < 1:
        largest_first_V = np.sort(weights_V)[::-1]
        mass_V = largest_first_V.cumsum(dtype=np.float64)
        # The id that reaches p stays, and so the likeliest, however small p is.
        _keep_largest(weights_V, int((mass_V < settings.top_p * mass_V[-1]).sum()) + 1)
    if settings.min_p > 0:
        weights_V[weights_V < np.float32(settings.min_p)] = 0


def _keep_largest(weights_V: Floats32, count: int) -> None:
    """Sets to zero what is not among the largest so many; of equal ones the first ids stay."""
    if count >= len(weights_V):
        return
    place = len(weights_V) - count
    smallest_kept = np.partition(weights_V, place)[place]
    equal = np.flatnonzero(weights_V == smallest_kept)
    num_larger = np.count_nonzero(weights_V > smallest_kept)
    weights_V[weights_V < smallest_kept] = 0
    weights_V[equal[count - num_larger :]] = 0


def _pick(blocks_BNW: Floats32, uniforms_B: Floats) -> Ids:
    """The id of each row at which the cumulative weight passes the uniform number's share.

    In two stages, first among blocks of ids and then within one, since a cumulative sum over the
    whole vocabulary would be the slowest part of all (64 rows of 911: 120 µs of 230).
    """
    rows_B = np.arange(len(blocks_BNW))
    # einsum, not sum: a quarter of the time for blocks as short as these.
    sums_BN = np.einsum("bnw->bn", blocks_BNW)
    block_B, missing_B = _passing(sums_BN, uniforms_B)
    share_B = 1 - missing_B / sums_BN[rows_B, block_B]  # rounded, it may be below 0, or 1
    share_B = np.minimum(np.maximum(share_B, 0), _LARGEST_SHARE)
    place_B, _ = _passing(blocks_BNW[rows_B, block_B], share_B)
    picked_B: Ids = block_B * blocks_BNW.shape[2] + place_B
    return picked_B


def _passing(weights_BN: Floats32, shares_B: Floats) -> tuple[Ids, Floats]:
    """Where each row's cumulative weight passes a share, and what it has there beyond it.

    What is picked has a weight above zero, since the cumulative weight rises there.
    """
    cumulative_BN = np.add.accumulate(weights_BN, axis=1, dtype=np.float64)
    target_B = shares_B * cumulative_BN[:, -1]  # below the total, since the share is below 1
    place_B: Ids = (cumulative_BN > target_B[:, None]).argmax(axis=1)
    beyond_B: Floats = cumulative_BN[np.arange(len(place_B)), place_B] - target_B
    return place_B, beyond_B
