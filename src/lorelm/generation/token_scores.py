"""How likely the model held tokens: :func:`score_tokens`."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lorelm.corpus.vocabulary import UNK_ID
from lorelm.typing import Floats32, Ids


class TokenScore(NamedTuple):
    """How likely the model held a token.

    Attributes:
        log_probability: natural logarithm of the model's own probability, over its whole
            vocabulary, before any sampling setting.
        alternatives: the likeliest ids and theirs, the likeliest first, `<unk>` left out.
    """

    log_probability: float
    alternatives: Sequence[tuple[int, float]]


def score_tokens(
    logits_BV: Floats32, ids_B: Sequence[int] | Ids, nums_alternatives: Sequence[int]
) -> list[TokenScore]:
    """The score of one id a row.

    All rows at once: 64 rows of 911 take 0.8 ms with three alternatives each, and one by one 3 ms.
    """
    logs_BV = logits_BV.astype(np.float64)
    logs_BV -= logs_BV.max(axis=1, keepdims=True)
    logs_BV -= np.log(np.exp(logs_BV).sum(axis=1, keepdims=True))
    log_B = logs_BV[np.arange(len(ids_B)), ids_B].tolist()
    most = min(max(nums_alternatives), logs_BV.shape[1] - 1)
    if most == 0:
        return [TokenScore(log, ()) for log in log_B]
    logs_BV[:, UNK_ID] = -np.inf
    ids_BN = np.argpartition(-logs_BV, most - 1, axis=1)[:, :most]
    logs_BN = np.take_along_axis(logs_BV, ids_BN, axis=1)
    order_BN = np.lexsort((ids_BN, -logs_BN), axis=1)
    ids_BN = np.take_along_axis(ids_BN, order_BN, axis=1)
    logs_BN = np.take_along_axis(logs_BN, order_BN, axis=1)
    rows = zip(log_B, ids_BN.tolist(), logs_BN.tolist(), nums_alternatives, strict=True)
    return [
        TokenScore(log, tuple(zip(ids[:num], logs[:num], strict=True)))
        for log, ids, logs, num in rows
    ]
