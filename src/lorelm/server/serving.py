"""Opens the port and answers until Ctrl-C."""

import contextlib
import errno
import signal
import socket
from collections.abc import Callable
from types import FrameType

import waitress
from flask import Flask

from lorelm.errors import ServerError

_NUM_THREADS = 8
_PORTS_TO_TRY = 20


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
    app: Flask, listening: socket.socket, *, behind_proxy: bool, on_ready: Callable[[], None]
) -> None:
    """Answers requests until Ctrl-C or SIGTERM, and lets those under way finish."""
    signal.signal(signal.SIGTERM, _stop)
    with contextlib.suppress(KeyboardInterrupt):
        on_ready()
        waitress.serve(
            app,
            sockets=[listening],
            threads=_NUM_THREADS,
            ident=None,
            # waitress drops the X-Forwarded headers unless told otherwise; with proxies in front,
            # ProxyFix decides how many of them to believe.
            clear_untrusted_proxy_headers=not behind_proxy,
        )


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


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
