"""Opens the port and answers until Ctrl-C."""

import _thread
import contextlib
import errno
import logging
import select
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

import waitress
from flask import Flask

from lorelm.errors import ServerError
from lorelm.server.app import HISTORY, SERVED_MODELS
from lorelm.server.history.log import HistoryLog
from lorelm.server.in_flight import InFlight
from lorelm.server.served_models import ServedModels
from lorelm.server.settings import ServerSettings

_SPARE_THREADS: Final = 16
"""For what does not wait for the model: pages, files, refusals."""

_SPARE_CONNECTIONS: Final = 500
"""Browsers and clients keep connections open that they do not use."""

_CONNECTIONS_OF_SELECT: Final = 480
"""Windows, which has no poll(), can look at 512 sockets at a time."""

_OWN_FILES: Final = 64
"""What the process has open beside connections."""

_SECONDS_TO_SEND: Final = 5.0
"""How long answers may take on their way when the server stops."""

_SECONDS_TO_WRITE: Final = 5.0
"""How long the rest of the history may take."""

_PORTS_TO_TRY: Final = 20


def open_port(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes any free one.

    Raises:
        ServerError: it cannot be opened. Where the port is in use, the message names a free one.
    """
    try:
        return _bind(host, port)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise ServerError(
                f"{host!r} is no address of this machine: use --host 127.0.0.1 (this machine "
                "alone) or --host 0.0.0.0 (everybody in the network)"
            ) from error
        if error.errno == errno.EADDRINUSE:
            raise ServerError(
                f"port {port} is in use by another program: {_free_port_hint(host, port)}"
            ) from error
        raise ServerError(
            f"port {port} on {host} cannot be opened ({error.strerror}): try --port 8000"
        ) from error


def serve_until_stopped(
    app: Flask, listening: socket.socket, *, settings: ServerSettings, on_ready: Callable[[], None]
) -> None:
    """Answers requests until Ctrl-C, SIGTERM or the end of its terminal; those under way finish.

    A second Ctrl-C does not wait for them.
    """
    in_flight = InFlight(app.wsgi_app)
    app.wsgi_app = in_flight  # type: ignore[method-assign]
    # It warns of each request that finds no idle thread, which is no matter.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = waitress.create_server(
        app,
        sockets=[listening],
        # A request holds a thread until it is answered, also while it waits for a slot.
        threads=_num_busy(settings) + _SPARE_THREADS,
        connection_limit=_connection_limit(settings),
        # select(), its usual choice, falls over a file descriptor above 1,023.
        asyncore_use_poll=hasattr(select, "poll"),
        channel_request_lookahead=1,  # or it would not notice that a client has hung up
        # What is a little too long the application refuses, with a sentence.
        max_request_body_size=2 * settings.max_body_bytes,
        ident=None,
        # waitress drops the X-Forwarded headers unless told otherwise; with proxies in front,
        # ProxyFix decides how many of them to believe.
        clear_untrusted_proxy_headers=settings.proxy_hops == 0,
    )
    models: ServedModels = app.extensions[SERVED_MODELS]

    def finish() -> None:
        models.stop(settings.grace_seconds)
        in_flight.wait_for_none(timeout_seconds=_SECONDS_TO_SEND)
        _thread.interrupt_main()
        server.pull_trigger()  # the main thread waits for the network: it is to look up

    _on_signals(_Stop(finish, hurry=models.hurry))
    with contextlib.suppress(KeyboardInterrupt):
        on_ready()
        server.run()
    history: HistoryLog | None = app.extensions[HISTORY]
    if history is not None:
        history.close(_SECONDS_TO_WRITE)


def _num_busy(settings: ServerSettings) -> int:
    """How many requests may be under way."""
    return len(settings.bundles) * (settings.num_slots + settings.max_waiting)


def _connection_limit(settings: ServerSettings) -> int:
    """How many connections may be open: those that may be busy, and some, if there is room."""
    wanted = _num_busy(settings) + _SPARE_CONNECTIONS
    if not hasattr(select, "poll"):
        return min(wanted, _CONNECTIONS_OF_SELECT)
    import resource  # which Windows does not have

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        wanted if allowed == resource.RLIM_INFINITY else max(1, min(wanted, allowed - _OWN_FILES))
    )


def _on_signals(stop: "_Stop") -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    # Windows has no SIGHUP, and who starts a server with nohup wants it to outlive the terminal.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, stop)


class _Stop:
    """What a signal does: the first begins to finish, another ends at once."""

    def __init__(self, finish: Callable[[], None], hurry: Callable[[], None]) -> None:
        self._finish = finish
        self._hurry = hurry
        self._num_signals = 0

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        self._num_signals += 1
        if self._num_signals == 1:
            threading.Thread(target=self._finish, name="lorelm-shutdown", daemon=True).start()
        elif self._num_signals == 2:
            self._hurry()
            raise KeyboardInterrupt
        # Later ones come while it ends already; one of them may be that all is finished.


def url_of(listening: socket.socket) -> str:
    """Where to point a browser on this machine."""
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
