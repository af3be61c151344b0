"""Logs what is generated: :class:`HistoryLog`."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from flask import request

from lorelm.generation.generation import Generation
from lorelm.history.writer import HistoryWriter
from lorelm.server.history.browsers import Browsers
from lorelm.server.history.records import records_of

if TYPE_CHECKING:
    from lorelm.history.store import HistoryStore
    from lorelm.server.served_model import ServedModel

PAGE_HEADER: Final = "Lorelm-Page"
"""Our page sends it along when it asks the API. Pages of other sites cannot send headers."""

_SECONDS_TO_WRITE: Final = 1.0
"""How long a look at the history waits for what is not written yet."""


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who has something generated.

    Attributes:
        source: "page", "api" or "openai".
        browser: of a person at the page.
    """

    source: str
    browser: str | None = None


class HistoryLog:
    """The history of a server: a store, and a writer for whom nobody waits.

    Attributes:
        browsers: tells whose is what.
        is_file: whether it lies in a file on this machine, for the notice on the page.
    """

    def __init__(self, store: "HistoryStore", *, is_file: bool) -> None:
        self.store = store
        self.writer = HistoryWriter(store)
        self.browsers = Browsers(store.signing_key())
        self.is_file = is_file

    @classmethod
    def open(cls, url: str) -> Self:
        """Opens the history, and makes it where there is none.

        Raises:
            HistoryError: it cannot be opened.
            MissingExtraError: the driver for PostgreSQL is not installed.
        """
        from lorelm.history.store import HistoryStore  # SQLAlchemy takes 0.15 s

        return cls(HistoryStore(url), is_file=url.startswith("sqlite"))

    def note(self, served: "ServedModel", asker: Asker) -> Callable[[Generation], None]:
        """What logs a generation that begins now, when it is over."""
        created_at, began = datetime.now(UTC), time.perf_counter()

        def add(generation: Generation) -> None:
            seconds = time.perf_counter() - began
            for task in generation.tasks:
                for record in records_of(
                    task, served, asker, created_at=created_at, duration_seconds=seconds
                ):
                    self.writer.add(record)

        return add

    def api_asker(self) -> Asker:
        """Who asks the API now: a person at the page, or a program."""
        is_page = PAGE_HEADER in request.headers
        browser = self.browsers.welcome() if is_page else self.browsers.current()
        return Asker(source="page" if browser else "api", browser=browser)

    def catch_up(self) -> bool:
        """Waits a moment for what was generated just now: who looks at the history wants it.

        Returns:
            Whether all of it is written.
        """
        return self.writer.flush(_SECONDS_TO_WRITE)

    def close(self, timeout_seconds: float) -> None:
        """Writes what is not written yet."""
        self.writer.close(timeout_seconds)
        self.store.close()
