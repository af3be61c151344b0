"""Open the port and serve until Ctrl-C: :func:`serve_until_stopped`."""

import contextlib
import errno
import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final, Protocol, Self

import uvicorn
from flask import Flask
from uvicorn.server import HANDLED_SIGNALS

from lorelm.errors import ServerError
from lorelm.server.asgi import Gateway
from lorelm.server.connection import Connection
from lorelm.server.settings import ServerSettings

_SPARE_THREADS: Final = 16
"""For requests that do not wait for the model: pages, files, errors."""

_SPARE_CONNECTIONS: Final = 2_000
"""Browsers and clients keep idle connections open."""

_SECONDS_IDLE: Final = 120
"""How long a connection is kept on which no request comes."""

_OWN_FILES: Final = 64
"""Open files of the process besides connections."""

SECONDS_TO_SEND: Final = 5
"""Limit for sending the last responses when the server stops."""

_PORTS_TO_TRY: Final = 20

_OBJECTS_BETWEEN_COLLECTIONS: Final = 50_000
"""New containers; Python's default is 700, of which a step with scores makes some hundred."""

BACKLOG: Final = 1024
"""Connections that wait to be accepted."""


def open_port(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any free port.

    Raises:
        ServerError: it cannot be opened. If the port is in use, the message names a free one.
    """
    try:
        return _bind(host, port)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise ServerError(
                f"{host!r} is not an address of this machine: use --host 127.0.0.1 (this machine "
                "only) or --host 0.0.0.0 (the whole network)",
                code="server.unknown_address",
            ) from error
        if error.errno == errno.EADDRINUSE:
            raise ServerError(
                f"port {port} is in use by another program: {_free_port_hint(host, port)}",
                code="server.port_in_use",
            ) from error
        raise ServerError(
            f"port {port} on {host} cannot be opened ({error.strerror}): try --port 8000",
            code="server.port_unavailable",
        ) from error


class Stoppable(Protocol):
    """What an application works with, for the end of the server."""

    def stop(self, grace_seconds: float) -> None:
        """Accept no more work; return when the running one has ended or time is up."""

    def abort(self) -> None:
        """End a :meth:`stop` at once."""

    def close(self) -> None:
        """Write what is not written yet."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a server is made for.

    Attributes:
        max_requests: how many can run or wait at the same time.
    """

    max_requests: int
    max_body_bytes: int
    grace_seconds: float

    @classmethod
    def of(cls, settings: ServerSettings) -> Self:
        """Return the load that the settings of a server allow."""
        return cls(
            max_requests=len(settings.bundles) * (settings.num_slots + settings.max_waiting),
            max_body_bytes=settings.max_body_bytes,
            grace_seconds=settings.grace_seconds,
        )


def serve_until_stopped(
    app: Flask,
    listening: socket.socket,
    *,
    state: Stoppable,
    load: Load,
    on_ready: Callable[[], None],
) -> None:
    """Serve until Ctrl-C, SIGTERM or the end of the terminal, then finish running requests.

    A second Ctrl-C aborts them.
    """
    prepare_process(load)
    config = uvicorn_config(
        gateway_for(app, load), lifespan="off", timeout_graceful_shutdown=SECONDS_TO_SEND
    )
    _Server(config, state=state, grace_seconds=load.grace_seconds, on_ready=on_ready).run(
        [listening]
    )
    state.close()


def gateway_for(
    app: Flask, load: Load, *, on_shutdown: Callable[[], None] | None = None
) -> Gateway:
    """Return the ASGI application for a load."""
    return Gateway(
        app,
        # Requests that are a little too long reach the application, which explains the limit.
        max_body_bytes=2 * load.max_body_bytes,
        # A request keeps a thread until it is answered, also while it waits for a slot.
        num_threads=load.max_requests + _SPARE_THREADS,
        on_shutdown=on_shutdown,
    )


def uvicorn_config(app: Gateway | Callable[[], Gateway], **settings: Any) -> uvicorn.Config:
    """Return the configuration of uvicorn, with which it says nothing of its own."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        # With proxies in front, ProxyFix decides how many X-Forwarded entries to trust.
        proxy_headers=False,
        timeout_keep_alive=_SECONDS_IDLE,
        **settings,
    )


class _Server(uvicorn.Server):
    """Finishes what runs at the first signal, and stops at once at the second."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        state: Stoppable,
        grace_seconds: float,
        on_ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._state = state
        self._grace_seconds = grace_seconds
        self._on_ready = on_ready
        self._num_signals = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in HANDLED_SIGNALS:  # with Ctrl-Break on Windows
            signal.signal(number, self.handle_exit)
        # Windows has no SIGHUP; under nohup it is ignored, and the server outlives the terminal.
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._num_signals += 1
        if self._num_signals == 1:
            threading.Thread(target=self._finish, name="lorelm-shutdown", daemon=True).start()
        else:
            self._state.abort()
            self.should_exit = self.force_exit = True

    def _finish(self) -> None:
        """Let running requests end, while the port is still open and new ones are refused."""
        self._state.stop(self._grace_seconds)
        self.should_exit = True


def prepare_process(load: Load) -> None:
    """Prepare a process in which the models are loaded for serving."""
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        # uvicorn warns of each request that is no HTTP.
        logging.getLogger("uvicorn").setLevel(logging.ERROR)
    _allow_open_files(load.max_requests + _SPARE_CONNECTIONS)
    # The collector looks at what requests leave, and not at the models each time: 64 streams get a
    # quarter more tokens/s.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])


def _allow_open_files(num_connections: int) -> None:
    """Raise the process's limit of open files, if it is below what the connections need."""
    if sys.platform != "win32":  # which has no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = num_connections + _OWN_FILES
        if soft != resource.RLIM_INFINITY and soft < wanted:
            allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def url_of(listening: socket.socket) -> str:
    """Return the URL for a browser on this machine."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _bind(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    # With its protocol named, which asyncio wants to see before it sends small messages at once.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, opened.detach())


def _free_port_hint(host: str, port: int) -> str:
    for candidate in range(port + 1, min(port + _PORTS_TO_TRY, 65535) + 1):
        try:
            _bind(host, candidate).close()
        except OSError:
            continue
        return f"try --port {candidate}"
    return "name another one with --port"
