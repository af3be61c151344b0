import asyncio
import re
import socket
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


async def start(app: Any) -> tuple[asyncio.Server, uvicorn.server.ServerState]:
    config = uvicorn.Config(app, http=Connection, lifespan="off", timeout_keep_alive=1)
    config.load()
    state = uvicorn.server.ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    return server, state


def talk(*parts: bytes) -> tuple[bytes, float]:
    """Send parts to a server, a moment apart; return what it says until it closes, and when."""

    async def run() -> tuple[bytes, float]:
        server, _ = await start(answer)
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
    monkeypatch.setattr(connection, "SECONDS_TO_READ", 0.2)


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


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (b"", rb"[0-9a-f]{32}"),
        (b"X-Request-Id: mine\r\na: b\r\n", b"mine"),
        (b"X-Request-Id: a b\r\n", rb"[0-9a-f]{32}"),
    ],
)
def test_what_is_no_http_is_refused_with_an_id(headers: bytes, expected: bytes) -> None:
    said, _ = talk(b"GET / HTTP/1.1\r\n" + headers + b"no header\r\n\r\n")
    assert re.match(rb"HTTP/1.1 400 Bad Request\r\n", said)
    assert len(re.findall(rb"(?i)\r\nx-request-id: " + expected + rb"\r\n", said)) == 1
    assert said.endswith(b"\r\n\r\nInvalid HTTP request received.")


def test_whole_requests_are_answered_and_the_connection_is_kept_a_while() -> None:
    request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    said, seconds = talk(request, request[:9], request[9:])
    assert said.count(b"HTTP/1.1 200 OK") == 2
    assert seconds > 0.9  # the second is that of a connection that is kept


def test_a_request_on_its_way_is_answered_when_the_server_ends() -> None:
    async def run() -> bytes:
        server, state = await start(answer)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        while not state.connections:
            await asyncio.sleep(0.001)
        for each in [*state.connections]:
            each.shutdown()
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        said = await asyncio.wait_for(reader.read(), 20)  # to the end: the connection is not kept
        writer.close()
        server.close()
        return said

    assert asyncio.run(run()).endswith(b"ok")


def test_a_client_that_does_not_read_is_cut_off() -> None:
    async def run() -> int:
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def write(_scope: object, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            num_sent, end = 0, asyncio.ensure_future(receive())
            while not end.done():
                part = {"type": "http.response.body", "body": b"x" * 100_000, "more_body": True}
                await send(part)
                num_sent += 100_000
                await asyncio.sleep(0)
            ended.set_result(num_sent)

        server, _ = await start(write)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            num_sent = await asyncio.wait_for(ended, 20)
        server.close()
        return num_sent

    assert asyncio.run(run()) < 50_000_000


def test_a_client_that_reads_slowly_but_reads_is_not() -> None:
    """Each pause is shorter than the limit, all together are longer."""
    size = 8_000_000

    async def write(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(size // 100_000):
            part = {"type": "http.response.body", "body": b"x" * 100_000, "more_body": True}
            await send(part)
        await send({"type": "http.response.body", "body": b""})

    async def run() -> int:
        server, _ = await start(write)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.0\r\nhost: x\r\n\r\n")
        num_read = 0
        while part := await asyncio.wait_for(reader.read(1_000_000), 20):
            num_read += len(part)
            await asyncio.sleep(0.005)
        writer.close()
        server.close()
        return num_read

    assert asyncio.run(run()) > size
