"""A line of JSON for each request. What people write is not in it."""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flask import Flask, Response, g, request

from lorelm.errors import InputError
from lorelm.server.operations.metrics import Metrics

STDERR: Final = "-"


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
        seconds = time.perf_counter() - g.get("started", time.perf_counter())
        # The pattern, not the path, which anybody may invent.
        endpoint = request.url_rule.rule if request.url_rule else "other"
        metrics.note_request(endpoint, response.status_code, seconds)
        if log is not None:
            line = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "client": request.remote_addr,
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "seconds": round(seconds, 6),
                "bytes": response.content_length,
                "is_stream": response.is_streamed,
            }
            log(json.dumps(line) + "\n")
        return response


def _log_to(access_log: str) -> Callable[[str], object]:
    """What writes a line to a log."""
    if access_log == STDERR:
        return sys.stderr.write
    path = Path(access_log)

    def add(line: str) -> None:
        with path.open("a", encoding="utf-8") as file:  # anew each time: it may be moved away
            file.write(line)

    try:
        add("")
    except OSError as error:
        raise InputError(
            f"the access log {access_log} cannot be written: {error.strerror}"
        ) from error
    return add
