"""Open the port and serve until Ctrl-C: :func:`serve_until_stopped`."""

import _thread
import contextlib
import errno
import itertools
import logging
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Final, Protocol, Self

import waitress
from flask import Flask
from werkzeug.wsgi import ClosingIterator

from lorelm.errors import ServerError
from lorelm.server.settings import ServerSettings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_SPARE_THREADS: Final = 16
"""For requests that do not wait for the model: pages, files, errors."""

_SPARE_CONNECTIONS: Final = 500
"""Browsers and clients keep idle connections open."""

_SELECT_CONNECTIONS: Final = 480
"""Windows has no poll(), and select() takes 512 sockets there."""

_OWN_FILES: Final = 64
"""Open files of the process besides connections."""

_SECONDS_TO_SEND: Final = 5.0
"""Limit for sending the last responses when the server stops."""

_PORTS_TO_TRY: Final = 20


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
    proxy_hops: int = 0

    @classmethod
    def of(cls, settings: ServerSettings) -> Self:
        """Return the load that the settings of a server allow."""
        return cls(
            max_requests=len(settings.bundles) * (settings.num_slots + settings.max_waiting),
            max_body_bytes=settings.max_body_bytes,
            grace_seconds=settings.grace_seconds,
            proxy_hops=settings.proxy_hops,
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
    in_flight = InFlight(app.wsgi_app)
    app.wsgi_app = in_flight  # type: ignore[method-assign]
    # waitress warns of each request that finds no idle thread, which is normal.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = waitress.create_server(
        app,
        sockets=[listening],
        # A request keeps a thread until it is answered, also while it waits for a slot.
        threads=load.max_requests + _SPARE_THREADS,
        connection_limit=_connection_limit(load.max_requests),
        # select(), the default, fails with file descriptors above 1,023.
        asyncore_use_poll=hasattr(select, "poll"),
        channel_request_lookahead=1,  # notices disconnected clients
        # Requests that are a little too long reach the application, which explains the limit.
        max_request_body_size=2 * load.max_body_bytes,
        ident=None,
        # With proxies in front, ProxyFix decides how many X-Forwarded entries to trust.
        clear_untrusted_proxy_headers=load.proxy_hops == 0,
    )

    def finish() -> None:
        state.stop(load.grace_seconds)
        in_flight.wait_for_none(timeout_seconds=_SECONDS_TO_SEND)
        _thread.interrupt_main()
        server.pull_trigger()  # wakes the main thread, which waits for the network

    _on_signals(finish, abort=state.abort)
    with contextlib.suppress(KeyboardInterrupt):
        on_ready()
        server.run()
    state.close()


class InFlight:
    """WSGI application that counts the requests whose response has not been sent completely."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app
        self._count = 0
        self._changed = threading.Condition()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        self._add(1)
        try:
            response = self._app(environ, start_response)
        except BaseException:
            self._add(-1)
            raise
        return ClosingIterator(response, lambda: self._add(-1))

    def wait_for_none(self, *, timeout_seconds: float) -> bool:
        """Wait until no request is in flight; return whether that happened in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, timeout_seconds)

    def _add(self, change: int) -> None:
        with self._changed:
            self._count += change
            self._changed.notify_all()


def _connection_limit(max_requests: int) -> int:
    """Return how many connections may be open, within the process's limit of open files."""
    wanted = max_requests + _SPARE_CONNECTIONS
    if not hasattr(select, "poll"):
        return min(wanted, _SELECT_CONNECTIONS)
    import resource  # not available on Windows

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        wanted if allowed == resource.RLIM_INFINITY else max(1, min(wanted, allowed - _OWN_FILES))
    )


def _on_signals(finish: Callable[[], None], *, abort: Callable[[], None]) -> None:
    """Start an orderly stop at the first signal, and abort it at the second."""
    counter = itertools.count(1)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        num_signals = next(counter)
        if num_signals == 1:
            threading.Thread(target=finish, name="lorelm-shutdown", daemon=True).start()
        elif num_signals == 2:
            abort()
            raise KeyboardInterrupt
        # Later signals, such as the interrupt from finish(), come while the server is ending.

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    # Windows has no SIGHUP; under nohup it is ignored, and the server outlives the terminal.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, stop)


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
    return socket.create_server(address[:2], family=family, backlog=128)


def _free_port_hint(host: str, port: int) -> str:
    for candidate in range(port + 1, min(port + _PORTS_TO_TRY, 65535) + 1):
        try:
            _bind(host, candidate).close()
        except OSError:
            continue
        return f"try --port {candidate}"
    return "name another one with --port"
