"""Server-sent events: :class:`EventStream`."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, Protocol

from flask import Response
from pydantic_core import to_json

from lorelm.errors import ClientDisconnectedError, FailedRequestError, LoreLMError
from lorelm.server.request_ids import request_id

EXCHANGE_KEY: Final = "lorelm.exchange"
"""In the WSGI environment: the :class:`Exchange`, if the server has one."""

_log: Final = logging.getLogger(__name__)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would buffer the tokens
}


def event(data: object, *, name: str | None = None) -> str:
    """Return an event with a JSON value."""
    prefix = f"event: {name}\n" if name else ""
    # Python's own encoder takes three times as long for tokens with alternatives.
    return f"{prefix}data: {to_json(data, inf_nan_mode='null').decode()}\n\n"


class Exchange(Protocol):
    """A request and its response, for the server."""

    stream: "EventStream | None"

    def is_disconnected(self) -> bool: ...


class EventStream(Response):
    """A response that sends events as they come.

    Args:
        events: an exception in this iterator ends the stream with an error event.
        error_event: returns that event.
        on_close: called after the last event, or when the client has disconnected.
        follow: called with a function that is to be called whenever there is something new;
            `events` then yields an empty string instead of waiting. Without it, or where the server
            has no :class:`Exchange`, `events` waits in a thread of its own.

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
        follow: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        super().__init__(self._encoded(events), mimetype="text/event-stream", headers=_HEADERS)
        self.num_bytes = 0
        self.failure: LoreLMError | None = None
        self._error_event = error_event
        self._request_id = request_id()  # the events are made outside of the request
        self._follow = follow
        self.call_on_close(on_close)  # closing an unstarted generator runs no code

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        exchange: Exchange | None = environ.get(EXCHANGE_KEY)
        if exchange is not None and self._follow is not None:
            exchange.stream = self
        return super().__call__(environ, start_response)

    def close(self) -> None:
        """Call what is to be called at the end, once; some of it refers to this response."""
        try:
            super().close()
        finally:
            self._on_close.clear()

    def follow(self, wake: Callable[[], None]) -> None:
        """Call a function whenever there is something new, instead of waiting for it."""
        assert self._follow is not None
        self._follow(wake)

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
        except FailedRequestError as error:
            self.failure = self._fault(error.__cause__ or error)
        except LoreLMError as error:
            self.failure = error
        except Exception as error:
            self.failure = self._fault(error)
        if self.failure is not None:
            yield self._error_event(self.failure)

    def _fault(self, error: BaseException) -> FailedRequestError:
        """Log an internal error; return the error for the client."""
        _log.error("request %s failed: its stream broke off", self._request_id, exc_info=error)
        return FailedRequestError(
            "something went wrong while the text was written; the log says what (request "
            f"{self._request_id})"
        )
