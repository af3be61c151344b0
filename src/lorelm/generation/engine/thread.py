"""The thread in which an engine runs: :class:`EngineThread`."""

import logging
import threading
import time
from typing import Final

from lorelm.errors import ShuttingDownError
from lorelm.generation.engine.engine import Engine
from lorelm.generation.handle import RequestHandle

_log: Final = logging.getLogger(__name__)


class EngineThread:
    """Step an engine in a thread of its own while it has work. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._has_work = threading.Event()
        self._stops_at: float | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="lorelm-engine", daemon=True)
        self._thread.start()

    @property
    def is_accepting(self) -> bool:
        """Whether requests are accepted."""
        return self._stops_at is None and self._thread.is_alive()

    def submit(self, handle: RequestHandle) -> None:
        """Queue the requests of a client.

        Raises:
            OverloadedError: too many are waiting.
            ShuttingDownError: the engine is about to stop, or has stopped.
        """
        with self._lock:  # Otherwise a request could arrive just when the thread ends.
            if not self.is_accepting:
                raise ShuttingDownError("the server is shutting down: try again in a moment")
            self.engine.submit(handle)
        self._has_work.set()

    def cancel(self, handle: RequestHandle) -> None:
        """End the requests of a client that has disconnected."""
        self.engine.cancel(handle)
        self._has_work.set()

    def stop(self, grace_seconds: float) -> None:
        """Refuse new requests, let running and waiting ones finish, and return when they have.

        Args:
            grace_seconds: what has not finished by then fails with a :class:`ShuttingDownError`.
        """
        with self._lock:
            self._stops_at = time.monotonic() + grace_seconds
        self._has_work.set()
        self._thread.join()

    def abort(self) -> None:
        """End the grace period of a running :meth:`stop`."""
        self._stops_at = time.monotonic()

    def _run(self) -> None:
        while True:
            stops_at = self._stops_at  # Read it first: nothing is accepted once it is set.
            if stops_at is not None and time.monotonic() >= stops_at:
                self.engine.abort(ShuttingDownError("the server shut down before the text ended"))
            if not self.engine.is_idle:
                self._step()
            elif stops_at is not None:
                return
            else:
                self._has_work.wait()
                self._has_work.clear()

    def _step(self) -> None:
        try:
            self.engine.step()
        except Exception:  # Its requests have failed; keep serving.
            _log.exception("a step of the model failed")
