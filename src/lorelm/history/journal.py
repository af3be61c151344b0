"""Queued records of a process in a file, from which others take them over: :class:`Journal`."""

import errno
import json
import logging
import os
import re
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from lorelm.history.export import json_of
from lorelm.history.record import Record
from lorelm.machine.processes import is_running
from lorelm.machine.renaming import rename

_log: Final = logging.getLogger(__name__)

_NAME: Final = re.compile(r"history-(\d+)(?:-\d+)?\.jsonl")

_BYTES_BEFORE_REWRITING: Final = 4_000_000
"""Of a file, most of whose records are in the database by then."""


class Journal:
    """The records that a process has queued, one a line, in a folder of all workers of a server.

    What is written to the file survives the process, but not the machine: nothing is synced.
    """

    def __init__(self, folder: Path) -> None:
        self._path: Final = folder / f"history-{os.getpid()}.jsonl"
        self._file = self._path.open("ab", buffering=0)
        self._num_bytes = 0
        self._limit = _BYTES_BEFORE_REWRITING

    def append(self, record: Record) -> None:
        """Add a record. An error is logged: records are queued without a journal, too."""
        line = _line(record)
        try:
            num_written = self._file.write(line)
            if num_written < len(line):  # the next record must not follow a part of this one
                self._file.truncate(self._num_bytes)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._num_bytes += num_written
        except OSError as error:
            _log.warning("a record of the history would be lost if this worker died: %s", error)

    def keep(self, records: Collection[Record]) -> None:
        """Forget all records but these, at the latest when the file has become long."""
        if not records:
            self._file.truncate(0)
            self._num_bytes = 0
            self._limit = _BYTES_BEFORE_REWRITING
        elif self._num_bytes > self._limit:
            try:
                self._rewrite(records)
            except OSError as error:
                _log.warning("the queue of the history cannot be made shorter on disk: %s", error)
            self._limit = max(_BYTES_BEFORE_REWRITING, 2 * self._num_bytes)

    def _rewrite(self, records: Collection[Record]) -> None:
        content = b"".join(map(_line, records))
        new = self._path.with_suffix(".new")
        new.write_bytes(content)
        self._file.close()  # Windows replaces no open file
        try:
            rename(new, self._path)
            self._num_bytes = len(content)
        finally:
            self._file = self._path.open("ab", buffering=0)

    def close(self, *, leaves_file: bool = False) -> None:
        """Remove the file; or leave it, and what it has, to the other processes."""
        self._file.close()
        if not leaves_file:
            self._path.unlink(missing_ok=True)


def take_over(folder: Path) -> Iterator[Record]:
    """Yield the records that processes had queued which have ended; each goes to one caller.

    A record may be in the database already: the process ended before it could forget it. A line
    that is none is left out: a process may be killed, or its disk full, while it writes one.
    """
    for path in folder.glob("history-*.jsonl"):
        name = _NAME.fullmatch(path.name)
        if name is None or is_running(int(name[1])):
            continue
        mine = folder / f"history-{os.getpid()}-{name[1]}.jsonl"
        try:
            path.rename(mine)
        except FileNotFoundError:  # another process was faster
            continue
        with mine.open("rb") as file:
            for line in file:
                try:
                    record = _record(line)
                except (ValueError, TypeError, KeyError):
                    _log.warning("a record of a worker that was killed is damaged, and lost")
                else:
                    yield record
        mine.unlink()


def _line(record: Record) -> bytes:
    return json.dumps(json_of(record)).encode() + b"\n"


def _record(line: bytes) -> Record:
    fields = json.loads(line)
    return Record(**fields | {"created_at": datetime.fromisoformat(fields["created_at"])})
