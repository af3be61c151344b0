"""The application for ASGI servers: :class:`Gateway`.

Views are Flask's and run in threads. A stream leaves its thread as soon as it has begun: from then
on the event loop asks it for what is new whenever it is woken, and writes to all clients.
"""

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from lorelm.errors import ClientDisconnectedError
from lorelm.server.events import EXCHANGE_KEY, EventStream
from lorelm.server.request_ids import RawHeaders, has_id, id_header

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

_log: Final = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_BYTES_IN_MEMORY: Final = 512 * 1024
"""Of the body of a request; a longer one is kept on the disk."""

_BYTES_AT_ONCE: Final = 64 * 1024
"""A response that is not longer is sent in one message."""

_SECONDS_FOR_BODY: Final = 60.0
_BYTES_A_SECOND: Final = 10_000
"""A body may take a minute, and a second more for each of these: a slow upload, but no slower."""

_END: Final = {"type": "http.response.body", "body": b""}

_CLOSE: Final = [(b"connection", b"close"), (b"content-length", b"0")]

_FAULT: Final = b"Internal Server Error"
_PLAIN: Final = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(_FAULT))]


class Gateway:
    """ASGI application that runs a WSGI application in threads.

    Args:
        max_body_bytes: longer bodies are not read to their end; the application refuses them.
        num_threads: for requests that are answered at the same time, without streams.
        on_shutdown: called when the server tells that it ends (ASGI's lifespan).
    """

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        max_body_bytes: int,
        num_threads: int,
        on_shutdown: Callable[[], None] | None = None,
    ) -> None:
        self._app: Final = app
        self._max_body_bytes: Final = max_body_bytes
        self._on_shutdown: Final = on_shutdown
        self._threads: Final = ThreadPoolExecutor(num_threads, thread_name_prefix="lorelm-request")
        self._alarm: Final = Alarm()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        with SpooledTemporaryFile(_BYTES_IN_MEMORY) as body, suppress(ClientDisconnectedError):
            environ = environ_of(scope, body)
            exchange = Exchange(self._app, self._threads, send, self._alarm, scope["headers"])
            length = int(environ.get("CONTENT_LENGTH") or 0)
            try:
                async with asyncio.timeout(_SECONDS_FOR_BODY) as limit:
                    is_whole = await self._read(receive, body, limit, length=length)
            except TimeoutError:
                headers = [*_CLOSE, id_header(scope["headers"])]
                await send({"type": "http.response.start", "status": 408, "headers": headers})
                await send(_END)
                return
            if is_whole:
                exchange.listen(receive)
            else:
                environ["CONTENT_LENGTH"] = str(sys.maxsize)
            await exchange.answer(environ)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Follow the life of the server."""
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._on_shutdown is not None:
            await asyncio.to_thread(self._on_shutdown)
        await send({"type": "lifespan.shutdown.complete"})

    async def _read(
        self, receive: Receive, body: IO[bytes], limit: asyncio.Timeout, *, length: int
    ) -> bool:
        """Read a body; return whether all of it has come and is not too long.

        Args:
            limit: put off for each byte that comes.
            length: what the request says.

        Raises:
            ClientDisconnectedError: before its end.
        """
        started = asyncio.get_running_loop().time()
        while length <= self._max_body_bytes:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnectedError("client disconnected")
            body.write(message.get("body", b""))
            if not message.get("more_body", False):
                body.seek(0)
                return True
            length = max(length, body.tell())
            limit.reschedule(started + _SECONDS_FOR_BODY + body.tell() / _BYTES_A_SECOND)
        return False


class Alarm:
    """Sets events of the event loop from other threads.

    A step of the engine may wake 64 streams. One call of the loop for all of them, and what is
    ready in one chunk, take 6 writes for a stream of 40 tokens; a call for each took 14.
    """

    def __init__(self) -> None:
        self._due: Final[deque[asyncio.Event]] = deque()
        self._is_set = False

    def wake(self, loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
        """Set an event of the loop; called from any thread."""
        self._due.append(event)
        if not self._is_set:
            self._is_set = True
            with suppress(RuntimeError):  # the loop has ended, and with it the connections
                loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        self._is_set = False  # first: what comes meanwhile calls again
        while self._due:
            self._due.popleft().set()


class Exchange:
    """A request and its response.

    Attributes:
        stream: the response, if it is a stream that can be followed.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        threads: ThreadPoolExecutor,
        send: Send,
        alarm: Alarm,
        request_headers: RawHeaders,
    ) -> None:
        self.stream: EventStream | None = None
        self._app = app
        self._request_headers = request_headers
        self._threads = threads
        self._send = send
        self._alarm = alarm
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._end: asyncio.Future[Message] | None = None
        self._start: Message = {}

    def listen(self, receive: Receive) -> None:
        """Notice when the client disconnects; after the body, nothing else is received."""
        self._end = asyncio.ensure_future(receive())
        self._end.add_done_callback(lambda _: self._woken.set())

    def is_disconnected(self) -> bool:
        """Return whether the client has disconnected."""
        return self._end is not None and self._end.done()

    async def answer(self, environ: "WSGIEnvironment") -> None:
        """Call the application in a thread, and send its response."""
        environ[EXCHANGE_KEY] = self
        try:
            body, rest = await self._loop.run_in_executor(self._threads, self._respond, environ)
            if rest is None:
                await self._send(self._start)
                await self._send({"type": "http.response.body", "body": body})
            elif self.stream is not None:
                await self._follow(self.stream, rest)
            else:
                await self._loop.run_in_executor(self._threads, self._send_all, rest)
        finally:
            if self._end is not None:
                self._end.cancel()

    def _respond(self, environ: "WSGIEnvironment") -> tuple[bytes, Iterable[bytes] | None]:
        """Return the body of the response; or nothing of it and its chunks, if it is long."""
        try:
            chunks = self._app(environ, self._start_response)
        except Exception:
            name, id_ = id_header(self._request_headers)
            _log.exception("request %s failed outside of its application", id_.decode())
            headers = [*_PLAIN, (name, id_)]
            self._start = {"type": "http.response.start", "status": 500, "headers": headers}
            return _FAULT, None
        length = int(dict(self._start["headers"]).get(b"content-length", sys.maxsize))
        if length > _BYTES_AT_ONCE:
            return b"", chunks
        try:
            return b"".join(chunks), None
        finally:
            _close(chunks)

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], _error: object = None
    ) -> Callable[[bytes], object]:
        raw = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in headers]
        if not has_id(raw):
            raw.append(id_header(self._request_headers))
        self._start = {
            "type": "http.response.start",
            "status": int(status.partition(" ")[0]),
            "headers": raw,
        }
        return lambda _: None  # Flask returns all that it has to say

    async def _follow(self, stream: EventStream, chunks: Iterable[bytes]) -> None:
        """Send what a stream has to say whenever it wakes us, all that is ready at once."""
        stream.follow(partial(self._alarm.wake, self._loop, self._woken))
        ready: list[bytes] = []
        try:
            await self._send(self._start)
            for chunk in chunks:
                if self.is_disconnected():
                    return
                if chunk:
                    ready.append(chunk)
                    continue
                if ready:
                    await self._send(_part(b"".join(ready)))
                    ready.clear()
                await self._woken.wait()
                self._woken.clear()
            await self._send({"type": "http.response.body", "body": b"".join(ready)})
        finally:
            _close(chunks)

    def _send_all(self, chunks: Iterable[bytes]) -> None:
        """Send chunks from a thread, each when the one before is on its way."""
        try:
            self._send_now(self._start)
            for chunk in chunks:
                if self.is_disconnected():
                    return
                self._send_now(_part(chunk))
            self._send_now(_END)
        finally:
            _close(chunks)

    def _send_now(self, message: Message) -> None:
        asyncio.run_coroutine_threadsafe(self._send(message), self._loop).result()  # type: ignore[arg-type]


def environ_of(scope: Message, body: IO[bytes]) -> "WSGIEnvironment":
    """Return the environment of a request for WSGI (PEP 3333), from its ASGI scope."""
    host, port = scope.get("server") or ("127.0.0.1", None)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 80),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name or name == "transfer-encoding":
            continue  # the first could pass for another name; the body has been decoded
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        separator = "; " if key == "HTTP_COOKIE" else ", "
        environ[key] = f"{environ[key]}{separator}{value}" if key in environ else value
    return environ


def _part(chunk: bytes) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": True}


def _close(chunks: Iterable[bytes]) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
