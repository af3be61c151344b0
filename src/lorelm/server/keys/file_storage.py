"""Counts that several processes of one machine share: :class:`FileStorage`."""

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any, Final

from limits.storage import Storage

from lorelm.server.keys.rate_limit import FILE_SCHEME

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, count INTEGER, ends REAL) WITHOUT ROWID
"""

_COUNT: Final = """
INSERT INTO counts VALUES (:key, :amount, :now + :seconds)
ON CONFLICT (key) DO UPDATE SET
    count = CASE WHEN ends <= :now THEN :amount ELSE count + :amount END,
    ends = CASE WHEN ends <= :now THEN :now + :seconds ELSE ends END
RETURNING count
"""

_SECONDS_TO_WAIT: Final = 5.0
"""For another process that counts."""

_COUNTS_BETWEEN_CLEANINGS: Final = 1000


class FileStorage(Storage):
    """Storage of `limits` in a SQLite file, for fixed windows.

    `limits` itself shares counts by Redis and the like alone, which a single machine need not run.
    A count takes 30 µs.

    Args:
        uri: `sqlite:///PATH`, as for the history; `sqlite:////tmp/counts.db` is an absolute one.
    """

    STORAGE_SCHEME = [FILE_SCHEME]  # noqa: RUF012 - so in the base class
    base_exceptions = sqlite3.Error

    def __init__(self, uri: str, wrap_exceptions: bool = False, **options: Any) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions, **options)
        self._path: Final = Path(uri.removeprefix(f"{FILE_SCHEME}:///"))
        self._threads: Final = threading.local()
        self._num_counts = 0

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        self._num_counts += 1
        if self._num_counts % _COUNTS_BETWEEN_CLEANINGS == 0:
            self._run("DELETE FROM counts WHERE ends <= :now", now=time.time())
        counted = self._run(_COUNT, key=key, amount=amount, now=time.time(), seconds=expiry)
        assert counted is not None
        return int(counted[0])

    def get(self, key: str) -> int:
        [count] = self._run(
            "SELECT count FROM counts WHERE key = :key AND ends > :now", key=key, now=time.time()
        ) or [0]
        return int(count)

    def get_expiry(self, key: str) -> float:
        [ends] = self._run("SELECT ends FROM counts WHERE key = :key", key=key) or [time.time()]
        return float(ends)

    def check(self) -> bool:
        self._run("SELECT 1")
        return True

    def reset(self) -> int | None:
        self._run("DELETE FROM counts")
        return None

    def clear(self, key: str) -> None:
        self._run("DELETE FROM counts WHERE key = :key", key=key)

    def _run(self, statement: str, **values: Any) -> tuple[Any, ...] | None:
        """Execute a statement; return its first row."""
        if not hasattr(self._threads, "connection"):
            self._threads.connection = _connect(self._path)
        row: tuple[Any, ...] | None = self._threads.connection.execute(statement, values).fetchone()
        return row


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_SECONDS_TO_WAIT, isolation_level=None)
    _write_ahead(connection)
    # What a power cut loses are counts of the last seconds.
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(_TABLE)
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let readers of the file not wait for writers.

    SQLite does not wait itself when processes change the mode of a new file at the same time: of 60
    files that six processes opened at once, it refused 13 to one of them.
    """
    give_up = time.monotonic() + _SECONDS_TO_WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return
