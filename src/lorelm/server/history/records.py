"""Generations as records of the history, and records as what is to be generated again."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lorelm.corpus.vocabulary import EOS_ID
from lorelm.generation.settings import GenerationSettings
from lorelm.generation.task import Prompt, Task
from lorelm.history.record import Record
from lorelm.version import VERSION

if TYPE_CHECKING:
    from lorelm.server.history.log import Asker
    from lorelm.server.served_model import ServedModel

_NOT_OF_THE_TEXT: Final = ("seed", "num_samples", "num_alternatives")
"""The seed has a field of its own; the others change nothing in the text of a sample."""

_CUT_SHORT: Final = ("timeout", "cancelled")


def records_of(
    task: Task,
    served: "ServedModel",
    asker: "Asker",
    *,
    created_at: datetime,
    duration_seconds: float,
) -> Iterator[Record]:
    """A record of each sample of a task that is over, even where only a part of it was written."""
    settings = _as_json(task.settings)
    for draft in task.drafts:
        ids = list(draft.ids)  # the engine may be at one more, of a sample that is given up
        if draft.error is not None or not ids:
            continue
        yield Record(
            created_at=created_at,
            browser=asker.browser,
            source=asker.source,
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


def is_served_by(record: Record, served: "ServedModel") -> bool:
    """Whether a model is the very one that wrote a record."""
    return (record.fingerprint, record.has_mixture, record.has_cache) == (
        served.fingerprint,
        served.settings.mixture,
        served.settings.cache,
    )


def task_again(record: Record, served: "ServedModel", *, num_alternatives: int) -> Task:
    """What writes the text of a record once more.

    Raises:
        SamplingError: a setting is unknown to this version, or out of its range.
    """
    given = record.settings | {"seed": record.seed, "num_alternatives": num_alternatives}
    given["logit_bias"] = dict(given.get("logit_bias", ()))
    if record.finish_reason in _CUT_SHORT:  # so many tokens of a text that would have gone on
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
        if field.name not in _NOT_OF_THE_TEXT
    }
    # In pairs: as keys of a JSON object, ids would become texts.
    pairs = [[word, bias] for word, bias in settings.logit_bias.items()]
    texts = {name: list(values[name]) for name in ("stop", "banned_words")}
    return values | texts | {"logit_bias": pairs}


def _given_ids(prompt: Prompt) -> list[int] | None:
    if not prompt.is_in_ids:
        return None
    return [*([EOS_ID] if prompt.has_eos else []), *prompt.ids.tolist()]
