"""Several processes that serve one port: :func:`serve_with_workers`."""

import asyncio
import logging
import math
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Final

import uvicorn
from uvicorn.server import HANDLED_SIGNALS
from uvicorn.supervisors import Multiprocess

from lorelm.errors import LoreLMError, ServerError
from lorelm.machine.temporary import temporary_folder
from lorelm.server.app import create_app
from lorelm.server.asgi import Gateway
from lorelm.server.connection import Connection
from lorelm.server.keys.rate_limit import FILE_SCHEME
from lorelm.server.operations.logs import configure_logging
from lorelm.server.operations.metrics import (
    forget_ended_processes,
    share_folder,
    worker_death_counter,
)
from lorelm.server.serving import (
    BACKLOG,
    SECONDS_TO_SEND,
    Load,
    Stoppable,
    gateway_for,
    prepare_process,
    uvicorn_config,
)
from lorelm.server.settings import ServerSettings
from lorelm.server.state import ServerState, server_state

_SECONDS_TO_START: Final = 60
_SECONDS_BETWEEN_REFRESHES: Final = 1.0
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 16.0
_SECONDS_TO_FORGET_FAILURES: Final = 60.0
_NO_ANSWER: Final = f"did not answer for {_SECONDS_TO_START} s and was killed"

_log: Final = logging.getLogger(__name__)


def serve_with_workers(
    settings: ServerSettings,
    listening: socket.socket,
    *,
    num_workers: int,
    on_ready: Callable[[], None],
) -> None:
    """Serve with processes that take connections from one port, until Ctrl-C or SIGTERM.

    uvicorn starts them again when they die, and one after the other at SIGHUP, which loads the
    models anew. Each has the models, slots and cache of a server of its own; what they count is
    added up.

    Raises:
        ServerError: they do not start.
    """
    with temporary_folder() as folder:
        share_folder(str(folder))
        if settings.has_quotas and settings.rate_limit_storage == "memory://":
            counts = folder / "quotas.sqlite"
            settings = replace(settings, rate_limit_storage=f"{FILE_SCHEME}:///{counts}")
        config = uvicorn_config(
            partial(_worker, settings),
            factory=True,
            lifespan="on",
            loop=_LOOP,
            workers=num_workers,
            timeout_graceful_shutdown=math.ceil(settings.grace_seconds) + SECONDS_TO_SEND,
            timeout_worker_healthcheck=_SECONDS_TO_START,
        )
        _Supervisor(config, [listening], on_ready).run()


if sys.platform != "win32":

    class SharingLoop(asyncio.SelectorEventLoop):
        """Event loop that takes one connection at a time from the socket that workers share.

        asyncio takes all that wait: of 64 connections at once, one of two workers often got all.
        At the end it takes all: the kernel resets those that nobody has taken when the last worker
        closes the socket, and a proxy cannot know then whether its request was run.
        """

        def __init__(self) -> None:
            super().__init__()
            self._protocol_factories: dict[socket.socket, Callable[[], Connection]] = {}

        def _start_serving(self, protocol_factory, sock, *args, **options):  # type: ignore[no-untyped-def]
            self._protocol_factories[sock] = protocol_factory
            super()._start_serving(protocol_factory, sock, *args, **options)  # type: ignore[misc]

        def _stop_serving(self, sock: socket.socket) -> None:
            new_connection = self._protocol_factories.pop(sock)

            def new_ending_connection() -> Connection:
                connection = new_connection()
                connection.shutdown()
                return connection

            # Without the server, which has closed already.
            super()._accept_connection(new_ending_connection, sock, None, None, BACKLOG)  # type: ignore[misc]
            super()._stop_serving(sock)  # type: ignore[misc]

        def _accept_connection(  # type: ignore[no-untyped-def]
            self, protocol_factory, sock, sslcontext=None, server=None, backlog=1, *args, **options
        ):
            super()._accept_connection(  # type: ignore[misc]
                protocol_factory, sock, sslcontext, server, 1, *args, **options
            )


_LOOP: Final = "asyncio" if sys.platform == "win32" else f"{__name__}:SharingLoop"


class _Supervisor(Multiprocess):
    """uvicorn's supervisor, which says when all workers serve."""

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket.socket], on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config, sockets)
        self._on_ready = on_ready
        self._count_death = worker_death_counter()
        self._pause_seconds = 0.0
        self._last_failure = -math.inf
        self._has_terminal = _has_terminal()

    def keep_subprocess_alive(self) -> None:
        """Start workers again that died; uvicorn says so at the level "info" alone.

        What ends by itself cannot start: its model, its history or its file of keys is broken. It
        is tried less and less often; at each look, it would keep a core busy and fill the log.
        """
        before, started = [*self.processes], time.monotonic()
        if started < self._last_failure + self._pause_seconds:
            return
        super().keep_subprocess_alive()
        has_failed = False
        is_hung = time.monotonic() - started >= _SECONDS_TO_START
        for old, new in zip(before, self.processes, strict=True):
            if new is not old:
                self._count_death()
                cause = _NO_ANSWER if is_hung else cause_of_death(old.exitcode)
                _log.error("worker %s %s; worker %s takes its place", old.pid, cause, new.pid)
                has_failed |= old.exitcode is None or old.exitcode >= 0
        if has_failed:
            self._lengthen_pause()
        self._notice_their_end()

    def _lengthen_pause(self) -> None:
        now = time.monotonic()
        is_again = now < self._last_failure + _SECONDS_TO_FORGET_FAILURES
        longer = min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS)
        self._pause_seconds = longer if is_again else _FIRST_PAUSE_SECONDS
        self._last_failure = now

    def init_processes(self) -> None:
        super().init_processes()
        self._notice_their_end()
        if all(
            each.wait_until_ready(_SECONDS_TO_START, self.should_exit) for each in self.processes
        ):
            self._on_ready()
        elif not self.should_exit.is_set():
            self.terminate_all()
            raise ServerError(
                "the workers did not start: try without --workers, which says why",
                code="server.workers",
            )

    def handle_hup(self) -> None:
        """Load the models anew; or end, if the signal says that the terminal has closed."""
        if self._has_terminal and not _has_terminal():
            self.handle_term()
            return
        before = {*self.processes}
        super().handle_hup()
        if before.isdisjoint(self.processes):
            _log.info("all workers have loaded the models anew")

    def restart_all(self) -> None:
        super().restart_all()
        self._notice_their_end()

    def _notice_their_end(self) -> None:
        """Close our copies of the workers' ends of the pipes through which we ask them.

        Otherwise one that dies before it answers would be waited for, up to a minute.
        """
        if sys.platform != "win32":  # where a process fetches its end after it has started
            for each in self.processes:
                each.child_conn.close()

    def terminate_all(self) -> None:
        # Otherwise the kernel would take connections until the last worker has ended.
        for each in self.sockets:
            each.close()
        super().terminate_all()


def _has_terminal() -> bool:
    """Return whether this process belongs to a terminal that is open."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


def cause_of_death(exit_code: int | None) -> str:
    """Return how a process ended, in words."""
    if exit_code is None or exit_code >= 0:
        return f"ended with the exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    hint = " (the system does that when memory runs out)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"


def _worker(settings: ServerSettings) -> Gateway:
    """Return the application of a worker.

    uvicorn calls it in the main thread of the process, after it has set its signal handlers.
    """
    configure_logging(settings.log_level)
    try:
        app = create_app(settings)
    except LoreLMError as error:
        _log.error("worker %s cannot start: %s", os.getpid(), error)
        sys.exit(1)
    state = server_state(app)
    load = Load.of(settings)
    prepare_process(load)
    forget_ended_processes()
    _limit_the_end(state, settings.grace_seconds)
    refreshing = threading.Thread(target=_refresh, args=(state,), daemon=True)
    refreshing.start()
    return gateway_for(app, load, on_shutdown=state.close)


def _limit_the_end(state: Stoppable, grace_seconds: float) -> None:
    """Abort what still runs some time after SIGTERM, or at Ctrl-C after it.

    uvicorn ends at SIGTERM: it takes no more connections, which others take, and waits for those it
    has. The terminal sends Ctrl-C and its own end to all processes; the supervisor alone decides
    what they mean.
    """
    end = signal.getsignal(signal.SIGTERM)
    assert callable(end)
    is_ending = threading.Event()

    def finish(number: int, frame: FrameType | None) -> None:
        if not is_ending.is_set():
            is_ending.set()
            aborting = threading.Timer(grace_seconds, state.stop, args=(0,))
            aborting.daemon = True
            aborting.start()
            end(number, frame)

    def abort(_number: int, _frame: FrameType | None) -> None:
        if is_ending.is_set():
            threading.Thread(target=state.stop, args=(0,), daemon=True).start()

    for handled in HANDLED_SIGNALS:  # on Windows, the supervisor sends Ctrl-Break for SIGTERM
        signal.signal(handled, abort if handled == signal.SIGINT else finish)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _refresh(state: ServerState) -> None:
    """Keep the gauges of this process current for the one that is asked for the metrics.

    Those of a worker that was killed, or ended after a reload, are dropped, and what it had queued
    for the history is taken over. Without the supervisor, nobody would end this process, or start
    others: it ends.
    """
    supervisor = multiprocessing.parent_process()
    while supervisor is None or supervisor.is_alive():
        with suppress(OSError):
            state.refresh()
            forget_ended_processes()
            if state.history is not None:
                state.history.take_over()
        time.sleep(_SECONDS_BETWEEN_REFRESHES)
    _log.error("worker %s ends: its supervisor is gone", os.getpid())
    signal.raise_signal(signal.SIGTERM)
