"""Copies of a history in SQLite: :func:`back_up` and :func:`restore`.

SQLite's own backup copies a database in one transaction, while servers read and write it.
https://www.sqlite.org/backup.html
"""

import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from lorelm.errors import HistoryError
from lorelm.history.database import (
    LOCK_TIMEOUT_SECONDS,
    connect_file,
    ensure_file,
    parse_address,
    place_of,
    upgrade_file,
    wrap_database_errors,
)
from lorelm.history.tables import RECORDS, REVISIONS, VERSION_TABLE
from lorelm.machine.quoting import quoted
from lorelm.machine.renaming import rename

_SIDE_FILES: Final = ("", "-wal", "-shm", "-journal")
"""What SQLite appends to the name of a database for the files that it keeps next to it."""


class Copied(NamedTuple):
    """What was copied.

    Attributes:
        place: the path of the history.
    """

    place: str
    num_records: int
    num_bytes: int


def back_up(address: str | None, path: Path) -> Copied:
    """Copy a history into a file, which appears when it is complete and whole.

    Args:
        address: see :func:`open_database`.
        path: an older backup there is replaced.

    Raises:
        HistoryError: there is no such history, it is damaged or in PostgreSQL, or the file cannot
            be written or holds something else.
    """
    source = _sqlite_path(
        address, ["pg_dump", "--format=custom", "--table=history_*", "--file"], path
    )
    if not source.exists():
        raise HistoryError(f"there is no history in {source}", code="history.missing")
    if path.exists():
        if path.samefile(source):
            raise HistoryError(f"{path} is the history itself: name another file")
        with _reading(path, f"{path} exists and is no backup of a history: name another file"):
            pass
    failure = f"the history in {source} cannot be copied to {path}"
    with _new_file(path, failure) as new, wrap_database_errors(failure):
        with _reading(source, f"{source} is no history of LoreLM") as old:
            _copy(old, new, failure)
        with closing(connect_file(new, mode="rw")) as copy:
            # One file, which can be read where nothing may be written.
            copy.execute("PRAGMA journal_mode=DELETE")
            _check_integrity(copy, f"the history in {source}")
            copied = Copied(str(source), _num_records(copy), new.stat().st_size)
    return copied


def restore(path: Path, address: str | None, *, replaces: bool) -> Copied:
    """Make a history what it was when a backup was made, with the tables of this version.

    Args:
        address: of the history; see :func:`open_database`.
        replaces: whether one that exists may be lost.

    Raises:
        HistoryError: the backup is damaged, of a later version, or none, and nothing has changed;
            or the history exists and is to be kept, cannot be written, or is in PostgreSQL.
    """
    target = _sqlite_path(address, ["pg_restore", "--clean", "--if-exists", "--dbname"], path)
    if target.exists() and path.exists() and path.samefile(target):
        raise HistoryError(f"{path} is the history itself: name a backup")
    is_new = not target.exists() or target.stat().st_size == 0
    failure = f"{path} cannot be restored into {target}"
    with _reading(path, f"{path} is no backup of a history") as backup:
        _check_integrity(backup, str(path))
        if not is_new and not replaces:
            raise HistoryError(
                f"there is a history in {target} already: --yes replaces it", code="history.exists"
            )
        with _temporary_file(target, failure) as new, wrap_database_errors(failure):
            _copy(backup, new, failure)
            upgrade_file(new)
            _fill(target, new, failure, is_new=is_new)
            with closing(connect_file(target, mode="rw")) as restored:
                return Copied(str(target), _num_records(restored), target.stat().st_size)


def _sqlite_path(address: str | None, command: list[str], path: Path) -> Path:
    """Return the file of a history.

    Raises:
        HistoryError: it is in PostgreSQL; the message names the command that copies it.
    """
    url = parse_address(address)
    if url.get_backend_name() == "sqlite":
        return Path(str(url.database))
    database = place_of(url).replace("+psycopg", "", 1)
    arguments = [str(path), database] if command[0] == "pg_dump" else [database, str(path)]
    raise HistoryError(
        "a history in PostgreSQL is copied by PostgreSQL's own program: "
        f"{' '.join(map(quoted, [*command, *arguments]))}",
        code="history.is_in_postgresql",
    )


@contextmanager
def _reading(path: Path, failure: str) -> Iterator[sqlite3.Connection]:
    """Open a history of any version without changing it.

    Raises:
        HistoryError: it is missing, none (the failure), or of a later version.
    """
    if not path.is_file():
        raise HistoryError(f"there is no file {path}", code="history.missing")
    with closing(connect_file(path, mode="ro")) as connection:
        try:
            found = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()  # noqa: S608
        except sqlite3.Error as error:
            raise HistoryError(f"{failure} ({error})", code="history.not_a_history") from error
        if [version for (version,) in found] not in [[each] for each in REVISIONS]:
            raise HistoryError(
                f"{path} was made by a later version of LoreLM: install that version",
                code="history.later_version",
            )
        yield connection


def _copy(source: sqlite3.Connection, target: Path, failure: str) -> None:
    """Copy a database over another one, in one transaction."""
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS

    def check_time(status: int, _remaining: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise HistoryError(f"{failure}: another program is writing there; try again")

    with closing(connect_file(target, mode="rw")) as connection:
        source.backup(connection, progress=check_time)


def _fill(target: Path, new: Path, failure: str, *, is_new: bool) -> None:
    """Copy a history to its place. Servers that have it open go on with the new content."""
    ensure_file(target, create=True)
    try:
        if not is_new:
            with _reading(
                target, f"what is in {target} is no history: move it away, with {target}-wal"
            ):
                pass
        with closing(connect_file(new, mode="ro")) as source:
            _copy(source, target, failure)
    except BaseException:
        if is_new:
            _remove(target)
        raise
    with closing(connect_file(target, mode="rw")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # it has the texts that were there


def _check_integrity(connection: sqlite3.Connection, what: str) -> None:
    try:
        [first, *_] = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        first = str(error)
    if first != "ok":
        raise HistoryError(
            f"{what} is damaged ({' '.join(first.split())}): restore an older backup",
            code="history.damaged",
        )


def _num_records(connection: sqlite3.Connection) -> int:
    [number] = connection.execute(f"SELECT count(*) FROM {RECORDS.name}").fetchone()  # noqa: S608
    assert isinstance(number, int)
    return number


@contextmanager
def _new_file(path: Path, failure: str) -> Iterator[Path]:
    """Yield a file that takes the place of a path at the end, unless there is an error."""
    with _temporary_file(path, failure) as new:
        yield new
        try:
            with new.open("rb+") as file:
                os.fsync(file.fileno())
            rename(new, path)
        except OSError as error:
            raise HistoryError(f"{failure}: {error.strerror or error}") from error


@contextmanager
def _temporary_file(path: Path, failure: str) -> Iterator[Path]:
    """Yield an empty file next to a path, which only its owner can read; remove what is left."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise HistoryError(f"{failure}: {error.strerror or error}") from error
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        _remove(Path(name))


def _remove(path: Path) -> None:
    for ending in _SIDE_FILES:
        Path(f"{path}{ending}").unlink(missing_ok=True)
