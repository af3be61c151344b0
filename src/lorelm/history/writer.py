"""Writes a history without letting anybody wait for it: :class:`HistoryWriter`."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from lorelm.errors import UnwritableRecordError
from lorelm.history.record import Record

if TYPE_CHECKING:
    from lorelm.history.store import HistoryStore

_log: Final = logging.getLogger(__name__)

_BATCH: Final = 500
"""Records of one transaction."""

_GATHERING_SECONDS: Final = 0.1
"""How long the first record waits for others, so that a busy server does not sync for each."""

_CAPACITY_CHARACTERS: Final = 64_000_000
"""Of the prompts and texts that wait: 10,000 of the longest would take gigabytes."""

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_LONGEST_PAUSE_CLOSING_SECONDS: Final = 0.2


class HistoryWriter:
    """A bounded queue of records, and the thread that writes them.

    What the database refuses for a while stays in the queue and is tried again; what it would
    refuse for ever is dropped. A store takes no record twice, so each is written once, also where
    nobody can tell whether the last attempt succeeded.

    Attributes:
        num_written: records that are in the database.
        num_lost: records that never will be, as the queue was full, they could not be written at
            all, or the time to close was over.
    """

    def __init__(self, store: "HistoryStore", capacity: int = 10_000) -> None:
        """Starts the thread.

        Args:
            store: is not closed by the writer.
            capacity: so many records wait at most (fewer, if they are very long); what comes
                then is lost.
        """
        self.num_written = 0
        self.num_lost = 0
        self._store = store
        self._capacity = capacity
        self._queue: deque[Record] = deque()  # what is being written stays until it is
        self._num_characters = 0  # of what is in the queue
        self._num_taken = 0
        self._num_settled = 0  # of those that were taken: written, or given up
        self._num_flushing = 0
        self._is_closing = False
        lock = threading.Lock()
        self._lock = lock
        self._called = threading.Condition(lock)  # the thread waits for this
        self._settled = threading.Condition(lock)  # and for this, those who wait for the thread
        self._thread = threading.Thread(target=self._run, name="lorelm-history", daemon=True)
        self._thread.start()

    @property
    def num_queued(self) -> int:
        """How many records wait to be written."""
        return len(self._queue)

    def add(self, record: Record) -> None:
        """Has a record written, soon; never waits for the database, and never raises."""
        with self._lock:
            num_queued = len(self._queue)
            num_characters = self._num_characters + _length(record)
            is_full = num_queued >= self._capacity or num_characters > _CAPACITY_CHARACTERS
            if is_full or self._is_closing:
                self.num_lost += 1
                return
            self._queue.append(record)
            self._num_characters = num_characters
            self._num_taken += 1
            if num_queued in (0, _BATCH - 1):  # what the thread may be waiting for
                self._called.notify()

    def flush(self, timeout_seconds: float) -> bool:
        """Waits until all that was added before is written or given up.

        Returns:
            Whether it is; False where the time was over first.
        """
        with self._lock:
            num_taken = self._num_taken
            self._num_flushing += 1
            self._called.notify()
            try:
                return self._settled.wait_for(
                    lambda: self._num_settled >= num_taken, timeout_seconds
                )
            finally:
                self._num_flushing -= 1

    def close(self, timeout_seconds: float) -> None:
        """Writes what is queued and ends the thread; what is not written in time is lost."""
        with self._lock:
            self._is_closing = True
            self._called.notify()
        self._thread.join(timeout_seconds)
        num_lost = self._settle(self.num_queued, written=False)
        if num_lost:
            _log.error(
                "%d records of the history could not be written in time and are lost", num_lost
            )

    def _run(self) -> None:
        outage = None
        num_lost = 0  # when something could be written last: a full queue is told with its cause
        while batch := self._next_batch():
            try:
                self._write(batch)
            except Exception as error:  # whatever it is: this thread has to go on
                outage = outage or _Outage(error)
                self._pause(outage.next_pause_seconds())
            else:
                if outage is not None:
                    outage.log_end(num_lost=self.num_lost - num_lost)
                    outage = None
                num_lost = self.num_lost

    def _next_batch(self) -> list[Record]:
        """What is to be written next, still in the queue; nothing when all is over."""
        with self._lock:
            self._called.wait_for(lambda: self._queue or self._is_closing)
            self._called.wait_for(self._is_hurried, _GATHERING_SECONDS)
            return [*islice(self._queue, _BATCH)]

    def _is_hurried(self) -> bool:
        return self._is_closing or self._num_flushing > 0 or len(self._queue) >= _BATCH

    def _write(self, batch: Sequence[Record]) -> None:
        try:
            self._store.add(batch)
        except UnwritableRecordError as error:
            if len(batch) > 1:
                for record in batch:
                    self._write([record])
            elif self._settle(1, written=False):
                _log.error("a record of the history is lost: %s", error)
        else:
            self._settle(len(batch), written=True)

    def _settle(self, num_records: int, *, written: bool) -> int:
        """Takes records out of the queue, but for those on which :meth:`close` has given up.

        Returns:
            How many it has taken out.
        """
        with self._lock:
            num_settled = min(num_records, len(self._queue))
            for _ in range(num_settled):
                self._num_characters -= _length(self._queue.popleft())
            self._num_settled += num_settled
            if written:
                self.num_written += num_settled
            else:
                self.num_lost += num_settled
            self._settled.notify_all()
            return num_settled

    def _pause(self, seconds: float) -> None:
        """Waits before the next attempt, less long where the end is near."""
        with self._lock:
            was_closing = self._is_closing
            if was_closing:
                seconds = min(seconds, _LONGEST_PAUSE_CLOSING_SECONDS)
            self._called.wait_for(lambda: self._is_closing and not was_closing, seconds)


def _length(record: Record) -> int:
    return len(record.prompt) + len(record.text)


class _Outage:
    """A time in which nothing can be written: logged once when it begins, and when it is over."""

    def __init__(self, error: Exception) -> None:
        _log.warning("%s; it is tried again and again, and records wait", error)
        self._began_at = time.monotonic()
        self._pause_seconds = _FIRST_PAUSE_SECONDS / 2

    def next_pause_seconds(self) -> float:
        self._pause_seconds = min(self._pause_seconds * 2, _LONGEST_PAUSE_SECONDS)
        return self._pause_seconds

    def log_end(self, *, num_lost: int) -> None:
        _log.warning(
            "the history is written again after %.0f s; %d records were lost meanwhile",
            time.monotonic() - self._began_at,
            num_lost,
        )
