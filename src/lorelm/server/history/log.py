"""The history of a server: :class:`HistoryLog`.

It also converts finished requests to records, and back to requests that repeat them.
"""

import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from lorelm.corpus.vocabulary import EOS_ID
from lorelm.generation.sequence import GenerationRequest, Prompt
from lorelm.generation.settings import GenerationSettings
from lorelm.history.journal import Journal, take_over
from lorelm.history.record import Record
from lorelm.history.writer import HistoryWriter
from lorelm.parameters import parameters_of
from lorelm.server.history.browser_ids import BrowserIds, Client
from lorelm.server.served_model import ServedModel
from lorelm.version import VERSION

_UNRECORDED: Final = ("seed", "num_samples", "num_alternatives")
"""The seed has a field of its own; the others do not change the text of a sample."""

_CUT_SHORT: Final = ("timeout", "cancelled")


class HistoryLog:
    """A store of generations, the background thread that writes it, and the browsers' ids.

    Attributes:
        is_file: whether the database is a file on this machine.
    """

    def __init__(self, url: str, shared_folder: Path | None = None) -> None:
        """Open a history, or create it; errors are those of a :class:`HistoryStore`.

        Args:
            shared_folder: of the workers of this server, where queued records are kept for the
                others if this process is killed.
        """
        # Importing SQLAlchemy takes 0.15 s.
        from lorelm.history.drafts import DraftStore
        from lorelm.history.links import LinkStore
        from lorelm.history.store import HistoryStore

        self.store = HistoryStore(url)
        self.drafts = DraftStore(self.store)
        self.links = LinkStore(self.store)
        self._shared_folder = shared_folder
        self._taking_over = threading.Lock()
        journal = Journal(shared_folder) if shared_folder is not None else None
        self.writer = HistoryWriter(self.store, journal=journal)
        self.browser_ids = BrowserIds(self.store.signing_key())
        self.is_file = url.startswith("sqlite")

    def take_over(self) -> None:
        """Queue what workers had queued that were killed."""
        with self._taking_over:
            if self._shared_folder is not None:
                for record in take_over(self._shared_folder):
                    self.writer.add(record)

    def flush(self) -> bool:
        """Wait up to a second for queued records; return whether all of them are written."""
        return self.writer.flush(timeout_seconds=1)

    def close(self) -> None:
        """Write the queued records, for at most five seconds, and close the database."""
        with self._taking_over:
            self._shared_folder = None
        self.writer.close(timeout_seconds=5)
        self.store.close()


def records_of(
    request: GenerationRequest,
    served: ServedModel,
    client: Client,
    *,
    created_at: datetime,
    duration_seconds: float,
) -> Iterator[Record]:
    """Yield a record of each sample of an ended request that has text, also of a partial one."""
    settings = _as_json(request.settings)
    for sequence in request.sequences:
        finish_reason = sequence.finish_reason or "cancelled"
        num_tokens = sequence.num_tokens  # the engine may still append one to a cancelled sample
        if sequence.error is not None or not num_tokens:
            continue
        yield Record(
            created_at=created_at,
            browser=client.browser,
            source=client.source,
            model=served.name,
            fingerprint=served.fingerprint,
            has_mixture=served.model.is_mixed,
            has_cache=served.settings.cache,
            prompt=request.prompt.text,
            prompt_ids=_given_ids(request.prompt),
            settings=settings,
            seed=sequence.seed,
            text=sequence.text(num_tokens),
            finish_reason=finish_reason,
            num_tokens=num_tokens,
            duration_seconds=duration_seconds,
            version=VERSION,
        )


def is_served_by(record: Record, served: ServedModel) -> bool:
    """Return whether a model would generate the same text as the one that wrote a record."""
    return (record.fingerprint, record.has_mixture, record.has_cache) == (
        served.fingerprint,
        served.model.is_mixed,
        served.settings.cache,
    )


def request_again(
    record: Record, served: ServedModel, *, num_alternatives: int
) -> GenerationRequest:
    """Return a request that generates the text of a record again.

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
        model.prompts.read(record.prompt)
        if record.prompt_ids is None
        else model.prompts.of_ids(record.prompt_ids)
    )
    return model.request(prompt, settings, deadline=served.deadline(None))


def _as_json(settings: GenerationSettings) -> dict[str, Any]:
    names = [name for name in parameters_of(GenerationSettings) if name not in _UNRECORDED]
    values = {name: getattr(settings, name) for name in names}
    # As keys of a JSON object, ids would become strings.
    return values | {"logit_bias": [*settings.logit_bias.items()]}


def _given_ids(prompt: Prompt) -> list[int] | None:
    if not prompt.is_in_ids:
        return None
    return [*([EOS_ID] if prompt.has_eos else []), *prompt.ids.tolist()]
