"""Requests and sequences for tests, from ids."""

from collections import abc
from typing import Any

from lorelm.generation.generator import generate
from lorelm.generation.language_model import LanguageModel
from lorelm.generation.sequence import GenerationRequest, Sequence
from lorelm.generation.settings import GenerationSettings


def request_of(
    model: LanguageModel,
    prompt: abc.Sequence[int] = (),
    *,
    score_prompt: bool = False,
    deadline: float = float("inf"),
    **settings: Any,
) -> GenerationRequest:
    """Make a request of a prompt in ids; with `max_len=0`, one that only reads and scores it."""
    made = model.prompts.of_ids(prompt)
    if settings.get("max_len") == 0:
        return model.scoring_request(
            made,
            num_alternatives=settings.get("num_alternatives") or 0,
            num_samples=settings.get("num_samples", 1),
            deadline=deadline,
        )
    checked = GenerationSettings(**({"seed": 0} | settings))
    return model.request(made, checked, score_prompt=score_prompt, deadline=deadline)


def generated(model: LanguageModel, prompt: abc.Sequence[int] = (), **settings: Any) -> Sequence:
    """Return the sequence that the plain generator writes."""
    [sequence] = request_of(model, prompt, **settings).sequences
    generate(model.runtime, sequence)
    return sequence
