"""Server-sent events: :class:`EventStream`."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Final

from flask import Response

from lorelm.errors import ClientDisconnectedError, FailedRequestError, LoreLMError

_log: Final = logging.getLogger(__name__)

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would buffer the tokens
}


def event(data: object, *, name: str | None = None) -> str:
    """Return an event with a JSON value."""
    prefix = f"event: {name}\n" if name else ""
    return f"{prefix}data: {json.dumps(data, ensure_ascii=False)}\n\n"


class EventStream(Response):
    """A response that sends events as they come.

    Args:
        events: an exception in this iterator ends the stream with an error event.
        error_event: returns that event.
        on_close: called after the last event, or when the client has disconnected.

    Attributes:
        num_bytes: the number of bytes sent.
        failure: the error that ended the stream.
    """

    def __init__(
        self,
        events: Iterator[str],
        *,
        error_event: Callable[[LoreLMError], str],
        on_close: Callable[[], None],
    ) -> None:
        super().__init__(self._encoded(events), mimetype="text/event-stream", headers=_HEADERS)
        self.num_bytes = 0
        self.failure: LoreLMError | None = None
        self._error_event = error_event
        self.call_on_close(on_close)  # closing an unstarted generator runs no code

    def _encoded(self, events: Iterator[str]) -> Iterator[bytes]:
        for text in self._guarded(events):
            content = text.encode()
            self.num_bytes += len(content)
            yield content

    def _guarded(self, events: Iterator[str]) -> Iterator[str]:
        try:
            yield from events
        except GeneratorExit:
            self.failure = ClientDisconnectedError("client disconnected")
            raise
        except LoreLMError as error:
            self.failure = error
        except Exception:
            _log.exception("a stream failed")
            self.failure = FailedRequestError("something went wrong; the log says what")
        if self.failure is not None:
            yield self._error_event(self.failure)
