"""The plain generator: one sample, nothing else going on.

It is the reference: whatever serves many requests at once must give the texts that this gives.
"""

import numpy as np

from lorelm.generation.draft import Draft
from lorelm.runtime.base import Runtime, State
from lorelm.sampling import sample


def write(runtime: Runtime, draft: Draft) -> None:
    """Reads a draft's prompt and writes until it is finished."""
    state = State.zeros(runtime.config, 1)
    while not draft.is_over:
        logits_1V, state = runtime.step(np.array([draft.next_input]), state)
        if draft.is_reading:
            draft.read(logits_1V[0])
        else:
            adjusted_1V = draft.adjusted(logits_1V[0])[None]
            draft.take(sample(adjusted_1V, [draft.settings], uniforms_B=draft.uniforms(1)).tolist())
