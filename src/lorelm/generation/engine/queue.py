"""Who waits for a slot: :class:`RequestQueue`."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

from lorelm.errors import OverloadedError
from lorelm.generation.engine.request import EngineRequest, Row


class RequestQueue:
    """Requests that wait; each in turn is given one slot, so that a large one holds up nobody.

    May be used from several threads.

    Args:
        max_requests: how many may wait.
    """

    def __init__(self, max_requests: int) -> None:
        self._max_requests = max_requests
        self._rows: OrderedDict[EngineRequest, deque[Row]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many requests wait."""
        return len(self._rows)

    def add(self, request: EngineRequest, rows: Iterable[Row]) -> None:
        """Puts a new request at the end.

        Raises:
            OverloadedError: too many are waiting.
        """
        with self._lock:
            if len(self._rows) >= self._max_requests:
                raise OverloadedError(
                    f"{self._max_requests} requests are waiting already: try again in a moment"
                )
            self._rows[request] = deque(rows)

    def add_more(self, request: EngineRequest, rows: Iterable[Row]) -> None:
        """Puts more rows of a request behind what it has in the queue."""
        with self._lock:
            self._rows.setdefault(request, deque()).extend(rows)

    def pop(self) -> Row | None:
        """Takes the next row of the request whose turn it is; None where nothing waits."""
        with self._lock:
            if not self._rows:
                return None
            request, rows = next(iter(self._rows.items()))
            row = rows.popleft()
            if rows:
                self._rows.move_to_end(request)
            else:
                del self._rows[request]
            return row

    def remove(self, is_over: Callable[[Row], bool]) -> list[Row]:
        """Takes out the rows that need not wait any more."""
        with self._lock:
            removed = [row for rows in self._rows.values() for row in rows if is_over(row)]
            for row in removed:
                rows = self._rows[row.request]
                rows.remove(row)
                if not rows:
                    del self._rows[row.request]
            return removed
