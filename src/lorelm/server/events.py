"""Server-sent events: a stream of texts over one response."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Final

from flask import Response

from lorelm.errors import AbandonedError, FailedRequestError, LoreLMError

_log: Final = logging.getLogger(__name__)

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # or nginx would keep the tokens back
}


def event(data: object, *, name: str | None = None) -> str:
    """One event with a JSON value."""
    prefix = f"event: {name}\n" if name else ""
    return f"{prefix}data: {json.dumps(data, ensure_ascii=False)}\n\n"


class EventStream(Response):
    """The response that sends events as they come.

    Args:
        events: what goes wrong in them ends the stream with an event that says so.
        error_event: that event.
        on_close: called when the last one is sent, or nobody listens any more.

    Attributes:
        num_bytes: how much was sent.
        failure: what went wrong; None as long as nothing has.
    """

    def __init__(
        self,
        events: Iterator[str],
        *,
        error_event: Callable[[LoreLMError], str],
        on_close: Callable[[], None],
    ) -> None:
        super().__init__(self._sent(events), mimetype="text/event-stream", headers=_HEADERS)
        self.num_bytes = 0
        self.failure: LoreLMError | None = None
        self._error_event = error_event
        self.call_on_close(on_close)  # an iterator that was never begun is not told of its end

    def _sent(self, events: Iterator[str]) -> Iterator[bytes]:
        for text in self._told(events):
            content = text.encode()
            self.num_bytes += len(content)
            yield content

    def _told(self, events: Iterator[str]) -> Iterator[str]:
        try:
            yield from events
        except GeneratorExit:
            self.failure = AbandonedError("nobody waits for the text any more")
            raise
        except LoreLMError as error:
            self.failure = error
        except Exception:
            _log.exception("a stream failed")
            self.failure = FailedRequestError("something went wrong; the log says what")
        if self.failure is not None:
            yield self._error_event(self.failure)
