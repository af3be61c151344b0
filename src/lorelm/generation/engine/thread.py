"""The thread in which an engine runs: :class:`EngineThread`."""

import logging
import threading
import time
from typing import Final

from lorelm.errors import ShuttingDownError
from lorelm.generation.engine.engine import Engine
from lorelm.generation.engine.request import EngineRequest

_log: Final = logging.getLogger(__name__)


class EngineThread:
    """Steps an engine as long as there is something to do; asked from any thread."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._has_work = threading.Event()
        self._stops_at: float | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="lorelm-engine", daemon=True)
        self._thread.start()

    @property
    def is_accepting(self) -> bool:
        """Whether requests are taken."""
        return self._stops_at is None and self._thread.is_alive()

    def submit(self, request: EngineRequest) -> None:
        """Has a request served.

        Raises:
            OverloadedError: too many are waiting.
            ShuttingDownError: the engine is about to stop, or has.
        """
        with self._lock:  # or a request could come in just when the thread ends
            if not self.is_accepting:
                raise ShuttingDownError("the server is shutting down: try again in a moment")
            self.engine.submit(request)
        self._has_work.set()

    def cancel(self, request: EngineRequest) -> None:
        """Ends a request for which nobody waits any more."""
        self.engine.cancel(request)

    def stop(self, grace_seconds: float) -> None:
        """Takes nothing more, lets what is live or waiting finish, and returns when all is over.

        Args:
            grace_seconds: what has not finished by then ends with a :class:`ShuttingDownError`.
        """
        with self._lock:
            self._stops_at = time.monotonic() + grace_seconds
        self._has_work.set()
        self._thread.join()

    def hurry(self) -> None:
        """Cuts the grace of a :meth:`stop` that is under way short."""
        self._stops_at = time.monotonic()

    def _run(self) -> None:
        while True:
            stops_at = self._stops_at  # before the look at the engine: nothing comes in after it
            if stops_at is not None and time.monotonic() >= stops_at:
                self.engine.end_all(ShuttingDownError("the server shut down before the text ended"))
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
        except Exception:  # those it concerned were told; who comes next may have better luck
            _log.exception("a step of the model failed")
