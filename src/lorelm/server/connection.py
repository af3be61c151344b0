"""A connection to the server, with bounds for clients that do not send or do not read."""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lorelm.server.request_ids import id_header

SECONDS_FOR_HEADERS: Final = 30.0
"""From the first byte of a request, or from the connection, to the end of its headers."""

MAX_HEADER_BYTES: Final = 64 * 1024

SECONDS_AT_THE_END: Final = 1.0
"""For the first request of a connection that was accepted just before the server ends."""

SECONDS_TO_READ: Final = 60.0
"""For what has been written; a client that reads more slowly is cut off."""


class Connection(HttpToolsProtocol):
    """uvicorn's connection, which is closed if its client takes too long.

    uvicorn bounds neither the headers of a request nor the time to read a response. The body is
    bounded by :class:`lorelm.server.asgi.Gateway`.
    """

    _has_request = False
    _is_ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._stalled: asyncio.TimerHandle | None = None
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._late.cancel()
        self._end_stall()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._num_header_bytes += len(data)
        super().data_received(data)
        if self._num_header_bytes > MAX_HEADER_BYTES and not self._late.cancelled():
            self.send_400_response("The headers of this request are too long.")

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is no HTTP, with the id of its headers or a new one."""
        name, id_ = id_header(self.headers or ())
        content = msg.encode()
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\n"
            b"content-type: text/plain; charset=utf-8\r\n"
            b"content-length: %d\r\n%s: %s\r\nconnection: close\r\n\r\n%s"
            % (len(content), name, id_, content)
        )
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._late.cancel()
        self._await_headers()

    def on_headers_complete(self) -> None:
        self._late.cancel()
        self._has_request = True
        super().on_headers_complete()
        if self._is_ending:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """End the connection after its present request, or the first one if that is on its way."""
        self._is_ending = True
        if self._has_request:
            super().shutdown()
        else:
            self.loop.call_later(SECONDS_AT_THE_END, super().shutdown)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(SECONDS_TO_READ, self.transport.abort)

    def resume_writing(self) -> None:
        self._end_stall()
        super().resume_writing()

    def _end_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()

    def _await_headers(self) -> None:
        self._num_header_bytes = 0
        self._late = self.loop.call_later(SECONDS_FOR_HEADERS, self.transport.close)
