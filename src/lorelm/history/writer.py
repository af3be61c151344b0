"""Write a history in the background: :class:`HistoryWriter`."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from lorelm.errors import UnwritableRecordError
from lorelm.history.journal import Journal
from lorelm.history.record import Record

if TYPE_CHECKING:
    from lorelm.history.store import HistoryStore

_log: Final = logging.getLogger(__name__)

_BATCH: Final = 500
"""Records per transaction."""

_GATHERING_SECONDS: Final = 0.1
"""Time to collect a batch, so that a busy server does not sync for each record."""

_CAPACITY_CHARACTERS: Final = 64_000_000
"""Limit for queued prompts and texts: 10,000 of the longest would take gigabytes."""

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0


class HistoryWriter:
    """A bounded queue of records, and the thread that writes them.

    During an outage records stay in the queue and are retried; an unwritable record is dropped. A
    store ignores ids that exist, so a batch can be retried when its outcome is unknown.

    Attributes:
        num_written: records in the database.
        num_lost: records that were dropped: the queue was full, they were unwritable, or closing
            took too long.
    """

    def __init__(
        self, store: "HistoryStore", capacity: int = 10_000, journal: Journal | None = None
    ) -> None:
        """Start the thread.

        Args:
            capacity: the most records in the queue; fewer if they are very long.
            journal: has the queue, too, for others if this process is killed.
        """
        self.num_written = 0
        self.num_lost = 0
        self._store = store
        self._capacity = capacity
        self._journal = journal
        self._queue: deque[Record] = deque()  # a record stays until it is settled
        self._num_characters = 0  # in the queue
        self._num_settled = 0  # of the queued ones: written or dropped
        self._num_flushing = 0
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)  # wakes the thread
        self._settled = threading.Condition(self._lock)  # wakes flush()
        self._thread = threading.Thread(target=self._run, name="lorelm-history", daemon=True)
        self._thread.start()

    @property
    def num_queued(self) -> int:
        """Number of records that wait to be written."""
        return len(self._queue)

    def add(self, record: Record) -> None:
        """Queue a record; never waits for the database and never raises."""
        with self._lock:
            num_queued = len(self._queue)
            num_characters = self._num_characters + _length(record)
            is_full = num_queued >= self._capacity or num_characters > _CAPACITY_CHARACTERS
            if is_full or self._closing.is_set():
                self.num_lost += 1
                return
            self._queue.append(record)
            self._num_characters = num_characters
            if self._journal is not None:
                self._journal.append(record)
            if num_queued in (0, _BATCH - 1):  # the thread may be waiting for these
                self._wake.notify()

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until all records so far are written or dropped; return False after the timeout."""
        with self._lock:
            num_added = self._num_settled + len(self._queue)
            self._num_flushing += 1
            self._wake.notify()
            try:
                return self._settled.wait_for(
                    lambda: self._num_settled >= num_added, timeout_seconds
                )
            finally:
                self._num_flushing -= 1

    def close(self, timeout_seconds: float) -> None:
        """Write the queued records and end the thread.

        Those that take too long are left to the journal, or dropped without one.
        """
        with self._lock:
            self._closing.set()
            self._wake.notify()
        self._thread.join(timeout_seconds)
        with self._lock:
            journal, self._journal = self._journal, None
            num_left = len(self._queue)
        if journal is not None:
            journal.close(leaves_file=num_left > 0)
        num_lost = self._settle(num_left, written=False)
        if num_lost and journal is not None:
            _log.warning(
                "%d records of the history could not be written in time: another worker of this "
                "server writes them, if one is left",
                num_lost,
            )
        elif num_lost:
            _log.error(
                "%d records of the history could not be written in time and were dropped", num_lost
            )

    def _run(self) -> None:
        failed_at = None  # when the first attempt of this outage failed
        pause_seconds = _FIRST_PAUSE_SECONDS
        num_lost = 0  # at the last success, to log how many an outage has cost
        while batch := self._next_batch():
            try:
                self._write(batch)
            except Exception as error:  # the thread must survive every error
                if failed_at is None:
                    _log.warning("%s; records are queued and retried", error)
                    failed_at, pause_seconds = time.monotonic(), _FIRST_PAUSE_SECONDS
                if self._closing.wait(pause_seconds):
                    time.sleep(_FIRST_PAUSE_SECONDS)  # there is little time left: try often
                pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)
            else:
                if failed_at is not None:
                    _log.warning(
                        "the history is written again after %.0f s; %d records were dropped "
                        "meanwhile",
                        time.monotonic() - failed_at,
                        self.num_lost - num_lost,
                    )
                    failed_at = None
                num_lost = self.num_lost

    def _next_batch(self) -> list[Record]:
        """Return the next records, still in the queue; none when the writer is closed."""
        with self._lock:
            self._wake.wait_for(lambda: self._queue or self._closing.is_set())
            self._wake.wait_for(self._is_urgent, _GATHERING_SECONDS)
            return [*islice(self._queue, _BATCH)]

    def _is_urgent(self) -> bool:
        return self._closing.is_set() or self._num_flushing > 0 or len(self._queue) >= _BATCH

    def _write(self, batch: Sequence[Record]) -> None:
        try:
            self._store.add(batch)
        except UnwritableRecordError as error:
            if len(batch) > 1:
                for record in batch:
                    self._write([record])
            elif self._settle(1, written=False):
                _log.error("a record of the history was dropped: %s", error)
        else:
            self._settle(len(batch), written=True)

    def _settle(self, num_records: int, *, written: bool) -> int:
        """Remove records from the queue and count them; return how many.

        There may be fewer than given: :meth:`close` may have dropped them meanwhile.
        """
        with self._lock:
            num_settled = min(num_records, len(self._queue))
            for _ in range(num_settled):
                self._num_characters -= _length(self._queue.popleft())
            self._num_settled += num_settled
            if self._journal is not None and num_settled:
                self._journal.keep(self._queue)
            if written:
                self.num_written += num_settled
            else:
                self.num_lost += num_settled
            self._settled.notify_all()
            return num_settled


def _length(record: Record) -> int:
    return len(record.prompt) + len(record.text)
