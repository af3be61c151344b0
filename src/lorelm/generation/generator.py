"""The plain generator: one sequence alone.

It is the reference: the engine must give the same tokens, whatever else it serves meanwhile.
"""

from collections.abc import Iterator

import numpy as np

from lorelm.generation.logits import ban_special_tokens, score_tokens
from lorelm.generation.sequence import Sequence
from lorelm.runtime.base import Runtime
from lorelm.sampling import sample
from lorelm.typing import Floats32


def generate(runtime: Runtime, sequence: Sequence) -> None:
    """Read the prompt of a sequence and write until it is finished."""
    for _ in stream(runtime, sequence):
        pass


def stream(runtime: Runtime, sequence: Sequence) -> Iterator[str]:
    """Do the same, and yield the text in chunks as it is written."""
    num_sent = 0
    sequence.status = "running"
    state = runtime.initial_state(1)
    while not sequence.is_finished:
        input_id = sequence.token_ids[sequence.num_read]
        logits_1V, state = runtime.step(np.array([input_id]), state)
        if sequence.is_reading:
            sequence.read(logits_1V[0])
        else:
            _append_next(sequence, logits_1V)
        num_chunks = sequence.detokenize()
        yield from sequence.detokenizer.chunks[num_sent:num_chunks]
        num_sent = num_chunks


def _append_next(sequence: Sequence, logits_1V: Floats32) -> None:
    if sequence.mixture is not None:
        logits_1V = sequence.mixture(logits_1V[0], sequence)[None]
    model_logits_1V = logits_1V.copy()
    if sequence.speaker_rules is not None:
        sequence.speaker_rules(logits_1V, [0], [sequence])
    for processor in sequence.processors:
        logits_1V = processor(logits_1V[0], sequence)[None]
    ban_special_tokens(logits_1V, [0] if sequence.is_early else [])
    settings = [sequence.settings]
    [id_] = sample(logits_1V, settings, uniforms_B=sequence.random.random(1)).tolist()
    score, num_alternatives = None, sequence.settings.num_alternatives
    if num_alternatives is not None:
        [score] = score_tokens(model_logits_1V, [id_], [num_alternatives])
    sequence.append(id_, score)
