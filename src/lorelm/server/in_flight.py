"""Which requests are under way: :class:`InFlight`."""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.wsgi import ClosingIterator

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class InFlight:
    """An application that counts the requests whose answer is not sent yet."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app
        self._count = 0
        self._changed = threading.Condition()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        self._add(1)
        try:
            answer = self._app(environ, start_response)
        except BaseException:
            self._add(-1)
            raise
        return ClosingIterator(answer, lambda: self._add(-1))

    def wait_for_none(self, *, timeout_seconds: float) -> bool:
        """Waits until none is under way; tells whether that came true in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, timeout_seconds)

    def _add(self, change: int) -> None:
        with self._changed:
            self._count += change
            self._changed.notify_all()
