"""Server-sent events: a stream of texts over one response."""

import json
from collections.abc import Callable, Iterator
from typing import Final

from flask import Response

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # or nginx would keep the tokens back
}


def event(data: object, *, name: str | None = None) -> str:
    """One event with a JSON value."""
    prefix = f"event: {name}\n" if name else ""
    return f"{prefix}data: {json.dumps(data, ensure_ascii=False)}\n\n"


def event_stream(events: Iterator[str], *, on_close: Callable[[], None]) -> Response:
    """The response that sends events as they come.

    Args:
        on_close: called when the last one is sent, or nobody listens any more.
    """
    response = Response(events, mimetype="text/event-stream", headers=_HEADERS)
    response.call_on_close(on_close)  # an iterator that was never begun is not told of its end
    return response
