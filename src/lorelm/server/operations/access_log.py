"""A line of JSON for each request. What people write is not in it."""

import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from flask import Flask, Response, g, request

from lorelm.errors import InputError
from lorelm.server.errors import status_of
from lorelm.server.events import EventStream
from lorelm.server.operations.metrics import Metrics

STDERR: Final = "-"

_complaints: Final = logging.getLogger(__name__)


def note_requests(app: Flask, metrics: Metrics, *, access_log: str | None) -> None:
    """Counts every request, and logs it where that is wanted.

    Args:
        access_log: the path of a file to add to, or :data:`STDERR`; None for no log.

    Raises:
        InputError: the file cannot be written.
    """
    log = _log_to(access_log) if access_log is not None else None

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def note(response: Response) -> Response:
        # The pattern, not the path, which anybody may invent.
        endpoint = request.url_rule.rule if request.url_rule else "other"
        started = g.get("started", time.perf_counter())
        metrics.note_first_byte(endpoint, time.perf_counter() - started)
        who = {"client": request.remote_addr, "method": request.method, "path": request.path}

        def note_end() -> None:
            status, num_bytes, error = _outcome(response)
            metrics.note_request(endpoint, status)
            if log is not None:
                seconds = round(time.perf_counter() - started, 6)
                end = {"status": status, "seconds": seconds, "bytes": num_bytes, "error": error}
                log(_line(who | end))

        if isinstance(response, EventStream):
            response.call_on_close(note_end)
        else:
            note_end()
        return response


def _outcome(response: Response) -> tuple[int, int | None, str | None]:
    """The status of an answer, its bytes, and what went wrong with it: of a stream, at its end."""
    if not isinstance(response, EventStream):
        return response.status_code, response.content_length, None
    if response.failure is None:
        return response.status_code, response.num_bytes, None
    return status_of(response.failure), response.num_bytes, str(response.failure)


def _line(facts: dict[str, Any]) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": now} | facts) + "\n"


def _log_to(access_log: str) -> Callable[[str], object]:
    """What writes a line to a log."""
    if access_log == STDERR:
        return sys.stderr.write
    path = Path(access_log)

    def add(line: str) -> None:
        with path.open("a", encoding="utf-8") as file:  # anew each time: it may be moved away
            file.write(line)

    def add_if_possible(line: str) -> None:
        try:
            add(line)
        except OSError as error:  # a full disk must not stop the server
            _complaints.error("the access log %s cannot be written: %s", path, error.strerror)

    try:
        add("")
    except OSError as error:
        raise InputError(
            f"the access log {access_log} cannot be written: {error.strerror}"
        ) from error
    return add_if_possible
