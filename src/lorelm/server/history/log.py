"""The history of a server: :class:`HistoryLog`."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from lorelm.generation.handle import RequestHandle
from lorelm.history.writer import HistoryWriter
from lorelm.server.history.browser_ids import BrowserIds, Client
from lorelm.server.history.records import records_of
from lorelm.server.served_models import ServedModel

if TYPE_CHECKING:
    from lorelm.history.store import HistoryStore

_FLUSH_SECONDS: Final = 1.0


class HistoryLog:
    """A store of generations, the background thread that writes it, and the browsers' ids.

    Attributes:
        is_file: whether the database is a file on this machine.
    """

    def __init__(self, store: "HistoryStore", *, is_file: bool) -> None:
        self.store = store
        self.writer = HistoryWriter(store)
        self.browser_ids = BrowserIds(store.signing_key())
        self.is_file = is_file

    @classmethod
    def open(cls, url: str) -> Self:
        """Open a history, or create it.

        Raises:
            HistoryError: it cannot be opened.
            MissingExtraError: the driver for PostgreSQL is not installed.
        """
        from lorelm.history.store import HistoryStore  # importing SQLAlchemy takes 0.15 s

        return cls(HistoryStore(url), is_file=url.startswith("sqlite"))

    def recorder(self, served: ServedModel, client: Client) -> Callable[[RequestHandle], None]:
        """Return a function that adds requests, which start now, when they have ended."""
        created_at, began = datetime.now(UTC), time.perf_counter()

        def record(handle: RequestHandle) -> None:
            seconds = time.perf_counter() - began
            for request in handle.requests:
                for each in records_of(
                    request, served, client, created_at=created_at, duration_seconds=seconds
                ):
                    self.writer.add(each)

        return record

    def flush(self) -> bool:
        """Wait up to a second for queued records; return whether all of them are written."""
        return self.writer.flush(_FLUSH_SECONDS)

    def close(self, timeout_seconds: float) -> None:
        """Write the queued records and close the database."""
        self.writer.close(timeout_seconds)
        self.store.close()
