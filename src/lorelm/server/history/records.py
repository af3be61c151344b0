"""Convert finished tasks to records of the history, and records to tasks that repeat them."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from lorelm.corpus.vocabulary import EOS_ID
from lorelm.generation.settings import GenerationSettings
from lorelm.generation.task import Prompt, Task
from lorelm.history.record import Record
from lorelm.server.history.browser_ids import Client
from lorelm.server.served_model import ServedModel
from lorelm.version import VERSION

_UNRECORDED: Final = ("seed", "num_samples", "num_alternatives")
"""The seed has a field of its own; the others do not change the text of a sample."""

_CUT_SHORT: Final = ("timeout", "cancelled")


def records_of(
    task: Task,
    served: ServedModel,
    client: Client,
    *,
    created_at: datetime,
    duration_seconds: float,
) -> Iterator[Record]:
    """Yield a record of each sample of an ended task that has text, also of a partial one."""
    settings = _as_json(task.settings)
    for draft in task.drafts:
        ids = list(draft.ids)  # the engine may still append one to a cancelled sample
        if draft.error is not None or not ids:
            continue
        yield Record(
            created_at=created_at,
            browser=client.browser,
            source=client.source,
            model=served.name,
            fingerprint=served.fingerprint,
            has_mixture=served.settings.mixture,
            has_cache=served.settings.cache,
            prompt=task.prompt.text,
            prompt_ids=_given_ids(task.prompt),
            settings=settings,
            seed=draft.seed,
            text=served.model.wording.text(task, ids),
            finish_reason=draft.finish_reason or "cancelled",
            num_tokens=len(ids),
            duration_seconds=duration_seconds,
            version=VERSION,
        )


def is_served_by(record: Record, served: ServedModel) -> bool:
    """Return whether a model would generate the same text as the one that wrote a record."""
    return (record.fingerprint, record.has_mixture, record.has_cache) == (
        served.fingerprint,
        served.settings.mixture,
        served.settings.cache,
    )


def task_again(record: Record, served: ServedModel, *, num_alternatives: int) -> Task:
    """Return a task that generates the text of a record again.

    Raises:
        SamplingError: a setting is unknown to this version, or out of its range.
    """
    given = record.settings | {"seed": record.seed, "num_alternatives": num_alternatives}
    given["logit_bias"] = dict(given.get("logit_bias", ()))
    if record.finish_reason in _CUT_SHORT:  # stop where the record stops
        given["max_len"] = record.num_tokens
        given["min_len"] = min(given["min_len"], record.num_tokens)
    settings = GenerationSettings.of(**given)
    model = served.model
    prompt = (
        model.read_prompt(record.prompt)
        if record.prompt_ids is None
        else model.prompt_of_ids(record.prompt_ids)
    )
    return model.task(prompt, settings, deadline=served.deadline(None))


def _as_json(settings: GenerationSettings) -> dict[str, Any]:
    values = {
        field.name: getattr(settings, field.name)
        for field in fields(settings)
        if field.name not in _UNRECORDED
    }
    # As keys of a JSON object, ids would become strings.
    pairs = [[word, bias] for word, bias in settings.logit_bias.items()]
    texts = {name: list(values[name]) for name in ("stop", "banned_words")}
    return values | texts | {"logit_bias": pairs}


def _given_ids(prompt: Prompt) -> list[int] | None:
    if not prompt.is_in_ids:
        return None
    return [*([EOS_ID] if prompt.has_eos else []), *prompt.ids.tolist()]
