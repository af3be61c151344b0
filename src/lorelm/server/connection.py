"""A connection to the server, with bounds for clients that never finish what they send."""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SECONDS_FOR_HEADERS: Final = 30.0
"""From the first byte of a request, or from the connection, to the end of its headers."""

MAX_HEADER_BYTES: Final = 64 * 1024


class Connection(HttpToolsProtocol):
    """uvicorn's connection, which is closed if the headers of a request take too long or too much.

    uvicorn bounds neither. The body is bounded by :class:`lorelm.server.asgi.Gateway`.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._late.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._num_header_bytes += len(data)
        super().data_received(data)
        if self._num_header_bytes > MAX_HEADER_BYTES and not self._late.cancelled():
            self.send_400_response("The headers of this request are too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._late.cancel()
        self._await_headers()

    def on_headers_complete(self) -> None:
        self._late.cancel()
        super().on_headers_complete()

    def _await_headers(self) -> None:
        self._num_header_bytes = 0
        self._late = self.loop.call_later(SECONDS_FOR_HEADERS, self.transport.close)
