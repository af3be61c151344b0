"""The plain generator: one prompt, any number of samples, nothing else going on.

It is the reference: whatever serves many requests at once must give the texts that this gives.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Ids
from lorelm.runtime.base import FloatArray, Runtime, State
from lorelm.sampling import SamplingSettings, sample

FinishReason = Literal["eos", "length", "stop"]

Adjustment = Callable[[FloatArray, Sequence[int]], FloatArray]
"""Changes the logits `[V]` of one row, given the ids that it has generated."""


@dataclass(kw_only=True)
class GeneratedIds:
    """One sample in the making.

    Attributes:
        ids: what was generated, without the `<eos>` that may have ended it.
        finish_reason: "eos", the model ended the document; "stop", a stop text came up; "length",
            neither did within the length asked for.
    """

    seed: int
    ids: list[int] = field(default_factory=list)
    finish_reason: FinishReason = "length"


def generate_ids(
    runtime: Runtime,
    prompt_ids: Ids,
    *,
    settings: SamplingSettings,
    seeds: Sequence[int],
    max_len: int,
    is_stopped: Callable[[list[int]], bool],
    adjustments: Sequence[Adjustment] = (),
) -> list[GeneratedIds]:
    """Continues a prompt once for each seed.

    The prompt is read as the beginning of a document, that is, after an `<eos>`. `<unk>` is never
    generated, and `<eos>` not as the first token (but where the adjustments leave no word): who
    asks a model to go on wants a word of it.
    Each token takes one number from its sample's own generator (Philox, which counts),
    so the sample of a seed is the same whatever other seeds stand beside it.

    Args:
        is_stopped: told a sample's ids after each token; True ends it.
        adjustments: applied to the logits in this order.
    """
    samples = [GeneratedIds(seed=seed) for seed in seeds]
    random = [np.random.Generator(np.random.Philox(seed)) for seed in seeds]
    seen_BV = np.zeros((len(seeds), runtime.config.vocabulary_size), dtype=np.bool_)
    seen_BV[:, prompt_ids] = True
    logits_1V, state = _read(runtime, prompt_ids)
    logits_BV, state = logits_1V.repeat(len(seeds), axis=0), state.repeated(len(seeds))
    live = list(range(len(seeds)))
    for position in range(max_len):
        ids_B = sample(
            _adjusted(logits_BV, [samples[i].ids for i in live], adjustments),
            [settings] * len(live),
            uniforms_B=np.array([random[i].random() for i in live]),
            seen_BV=seen_BV[live],
            banned_ids=[UNK_ID],
        )
        going_on = []
        for row, (i, id_) in enumerate(zip(live, ids_B.tolist(), strict=True)):
            if id_ == EOS_ID:
                samples[i].finish_reason = "eos"
                continue
            samples[i].ids.append(id_)
            seen_BV[i, id_] = True
            if is_stopped(samples[i].ids):
                samples[i].finish_reason = "stop"
            else:
                going_on.append(row)
        if not going_on or position == max_len - 1:
            break
        live = [live[row] for row in going_on]
        rows = np.array(going_on)
        logits_BV, state = runtime.step(ids_B[rows], state.rows(rows))
    return samples


def _adjusted(
    logits_BV: FloatArray, texts: Sequence[Sequence[int]], adjustments: Sequence[Adjustment]
) -> FloatArray:
    """The logits from which each row samples, given the ids that it has generated."""
    for adjust in adjustments:
        rows = zip(logits_BV, texts, strict=True)
        logits_BV = np.stack([adjust(logits_V, ids) for logits_V, ids in rows])
    return logits_BV if texts[0] else _without_empty_texts(logits_BV)


def _without_empty_texts(logits_BV: FloatArray) -> FloatArray:
    """Forbids `<eos>` in each row in which another word is left."""
    forbidden_BV = logits_BV.copy()
    forbidden_BV[:, [UNK_ID, EOS_ID]] = -np.inf
    is_word_left_B1 = np.isfinite(forbidden_BV).any(axis=1, keepdims=True)
    allowed_BV: FloatArray = np.where(is_word_left_B1, forbidden_BV, logits_BV)
    return allowed_BV


def _read(runtime: Runtime, prompt_ids: Ids) -> tuple[FloatArray, State]:
    """Reads a prompt; returns the logits `[1, V]` of what comes next, and the state."""
    logits_1V, state = runtime.step(np.array([EOS_ID]), State.zeros(runtime.config, 1))
    for id_ in prompt_ids:
        logits_1V, state = runtime.step(np.array([id_]), state)
    return logits_1V, state
