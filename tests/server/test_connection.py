import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from lorelm.server import connection
from lorelm.server.connection import Connection


async def answer(_scope: object, _receive: object, send: Callable[[Any], Awaitable[None]]) -> None:
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def talk(*parts: bytes) -> tuple[bytes, float]:
    """Send parts to a server, a moment apart; return what it says until it closes, and when."""

    async def run() -> tuple[bytes, float]:
        config = uvicorn.Config(answer, http=Connection, lifespan="off", timeout_keep_alive=1)
        config.load()
        state = uvicorn.server.ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(config=config, server_state=state, app_state={}), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        started, said = time.monotonic(), b""
        try:
            with suppress(ConnectionError):  # where the server has closed meanwhile
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.02)
                said = await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()
            server.close()
        return said, time.monotonic() - started

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SECONDS_FOR_HEADERS", 0.2)
    monkeypatch.setattr(connection, "MAX_HEADER_BYTES", 2000)


@pytest.mark.parametrize(
    "parts",
    [(), (b"GET / HT",), (b"GET / HTTP/1.1\r\n", *[b"a: b\r\n"] * 50)],
    ids=["nothing", "half a line", "a header now and then"],
)
def test_headers_that_never_end_are_not_waited_for(parts: tuple[bytes, ...]) -> None:
    said, _ = talk(*parts)
    assert said == b""


def test_headers_without_end_are_refused() -> None:
    said, _ = talk(b"GET / HTTP/1.1\r\n", *[b"a: " + b"b" * 500 + b"\r\n"] * 4)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.endswith(b"The headers of this request are too long.")


def test_whole_requests_are_answered_and_the_connection_is_kept_a_while() -> None:
    request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    said, seconds = talk(request, request[:9], request[9:])
    assert said.count(b"HTTP/1.1 200 OK") == 2
    assert seconds > 0.9  # the second is that of a connection that is kept
