"""The history in its database: :class:`HistoryStore`."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    Table,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.exc import DataError, IntegrityError

from lorelm.errors import HistoryError, InputError, UnwritableRecordError
from lorelm.history.database import open_database, telling
from lorelm.history.record import Record, microseconds_in, microseconds_of, moment_of
from lorelm.history.rows import as_written, record_of, row_of, searched, writable
from lorelm.history.statistics import NUM_DAYS, Group, HistoryStats, statistics_of
from lorelm.history.tables import KEYS, METADATA, RECORDS

_DAY_MICROSECONDS: Final = 24 * 60 * 60 * 1_000_000
_PAGE: Final = 200
"""Records that :meth:`HistoryStore.iterate` holds at a time."""
_IDS_AT_ONCE: Final = 500
_KEY_BYTES: Final = 32

_COLUMNS: Final = [column for column in RECORDS.columns if column.name != "searched"]
_position_of_row: Final = tuple_(RECORDS.c.created_at, RECORDS.c.id)


class HistoryStore:
    """A log of samples; several threads, and several servers, may use one database.

    Every method but :meth:`close` raises a :class:`HistoryError` where the database fails; another
    call may have better luck, as broken connections are replaced.

    Attributes:
        place: where it is, for people to read: a path, or a URL without password.
    """

    def __init__(self, url: str | None = None, *, create: bool = True) -> None:
        """Opens the database.

        Args:
            url: ``sqlite:///PATH`` or ``postgresql+psycopg://…``; None for a file in the user's
                data folder.
            create: whether to make it where there is none.

        Raises:
            HistoryURLError: the URL is of no use.
            HistoryError: it cannot be opened, is of a later version of LoreLM, or, unless it is to
                be made, is not there.
            MissingExtraError: the driver for PostgreSQL is not installed.
        """
        database = open_database(url, create=create)
        self.place = database.place
        self._reader = database.engine
        self._writer = database.engine.execution_options(writes=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes all connections."""
        self._reader.dispose()

    def add(self, records: Sequence[Record]) -> None:
        """Writes records, all or none; those that are there already (by their id) stay as they are.

        Raises:
            UnwritableRecordError: one of them can never be written.
        """
        try:
            rows = [row_of(record) for record in records]
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            raise UnwritableRecordError(f"a record is not as it should be: {error}") from error
        if not rows:
            return
        try:
            with self._writing() as connection:
                connection.execute(self._insert_new(RECORDS), rows)
        except OverflowError as error:  # SQLite's driver, about a number beyond 64 bits
            raise UnwritableRecordError(f"a record cannot be written: {error}") from error
        except HistoryError as error:
            if isinstance(error.__cause__, DataError | IntegrityError):  # no outage
                raise UnwritableRecordError(str(error)) from error
            raise

    def find(
        self,
        *,
        browser: str | None = None,
        search: str | None = None,
        model: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Record]:
        """The newest records.

        Args:
            browser: only of this browser; None: of all, and of programs.
            search: only where this stands in prompt and text, read as one; upper and lower case are
                the same.
            model: only of the model served under this name.
            before: the id of a record: only what is older, for the next page. The record itself may
                be deleted by now.
            limit: so many at most.

        Raises:
            InputError: `before` is no id of a record.
        """
        wanted = self._wanted(browser=browser, search=search, model=model)
        query = select(*_COLUMNS).order_by(RECORDS.c.created_at.desc(), RECORDS.c.id.desc())
        with self._reading() as connection:
            if before is not None:
                wanted.append(_position_of_row < _position(connection, before))
            rows = connection.execute(query.where(*wanted).limit(limit)).all()
        return [record_of(row._asdict()) for row in rows]

    def get(self, record_id: str, browser: str | None = None) -> Record | None:
        """A record by its id; None where there is none, or where it is of another browser."""
        wanted = [RECORDS.c.id == writable(record_id), *self._wanted(browser=browser)]
        with self._reading() as connection:
            row = connection.execute(select(*_COLUMNS).where(*wanted)).one_or_none()
        return None if row is None else record_of(row._asdict())

    def iterate(
        self, *, browser: str | None = None, search: str | None = None, model: str | None = None
    ) -> Iterator[Record]:
        """All records that :meth:`find` would find, the newest first, a few at a time in memory.

        What is written meanwhile is not among them. No connection is held between two pages.
        """
        before = None
        while True:
            page = self.find(
                browser=browser, search=search, model=model, before=before, limit=_PAGE
            )
            yield from page
            if len(page) < _PAGE:
                return
            before = page[-1].id

    def delete(self, ids: Sequence[str], *, browser: str | None) -> int:
        """Deletes records by their ids.

        Args:
            browser: only those of this browser; None: whoever they are of.

        Returns:
            How many there were.
        """
        written = [writable(one) for one in ids]
        of_browser = self._wanted(browser=browser)
        num_deleted = 0
        with self._deleting() as connection:
            for i in range(0, len(written), _IDS_AT_ONCE):
                some = RECORDS.c.id.in_(written[i : i + _IDS_AT_ONCE])
                num_deleted += connection.execute(delete(RECORDS).where(some, *of_browser)).rowcount
        return num_deleted

    def delete_all(self, browser: str) -> int:
        """Deletes all records of one browser, and says how many there were."""
        with self._deleting() as connection:
            return connection.execute(
                delete(RECORDS).where(RECORDS.c.browser == writable(browser))
            ).rowcount

    def prune(self, older_than: datetime | None = None, keep: int | None = None) -> int:
        """Deletes records that are older, and those beyond the newest `keep`; says how many.

        Raises:
            InputError: neither is given, or `keep` is below 0.
        """
        pruned = _pruned(older_than, keep)
        with self._deleting() as connection:
            return connection.execute(delete(RECORDS).where(pruned)).rowcount

    def shrink(self) -> None:
        """Gives the room of what was deleted back to the disk.

        SQLite writes the rest anew for it, for which it needs as much room once more, and other
        writers wait; PostgreSQL uses the room again by itself.
        """
        if self._reader.dialect.name == "sqlite":
            self._execute_alone("VACUUM", f"the history in {self.place} cannot be made smaller")
            self._forget()

    def num_to_prune(self, older_than: datetime | None = None, keep: int | None = None) -> int:
        """How many records :meth:`prune` would delete now."""
        pruned = _pruned(older_than, keep)
        with self._reading() as connection:
            return connection.execute(
                select(func.count()).select_from(RECORDS).where(pruned)
            ).scalar_one()

    def stats(self) -> HistoryStats:
        """Counts what there is."""
        today = datetime.now(UTC).date()
        with self._reading() as connection:
            first, last = connection.execute(
                select(func.min(RECORDS.c.created_at), func.max(RECORDS.c.created_at))
            ).one()
            return statistics_of(
                _groups(connection),
                days=_days(connection, today - timedelta(days=NUM_DAYS - 1)),
                today=today,
                first_at=None if first is None else moment_of(first),
                last_at=None if last is None else moment_of(last),
                size_bytes=_size_bytes(connection),
            )

    def signing_key(self) -> bytes:
        """The secret with which cookies are signed: made once, the same for all servers."""
        new = {"name": "cookies", "value": secrets.token_bytes(_KEY_BYTES)}
        made = select(KEYS.c.value).where(KEYS.c.name == new["name"])
        with self._reading() as connection:
            key = connection.execute(made).scalar()
        if key is None:
            with self._writing() as connection:
                connection.execute(self._insert_new(KEYS), [new])  # unless another was quicker
            with self._reading() as connection:
                key = connection.execute(made).scalar_one()
        assert isinstance(key, bytes)
        return key

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with telling(f"the history in {self.place} cannot be read"), self._reader.begin() as it:
            yield it

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with telling(f"the history in {self.place} cannot be written"), self._writer.begin() as it:
            yield it

    @contextmanager
    def _deleting(self) -> Iterator[Connection]:
        with self._writing() as it:
            yield it
        self._forget()

    def _forget(self) -> None:
        """Empties SQLite's write-ahead log, in which what was deleted can still be read.

        Where somebody reads just then, the rest of it goes with the next deletion, or at the end.
        """
        if self._reader.dialect.name == "sqlite":
            self._execute_alone(
                "PRAGMA wal_checkpoint(TRUNCATE)", f"the history in {self.place} cannot be written"
            )

    def _execute_alone(self, statement: str, failure: str) -> None:
        """Executes what SQLite does outside transactions only."""
        with telling(failure):
            connection = self._reader.raw_connection()
            try:
                connection.cursor().execute(statement)
            finally:
                connection.close()

    def _insert_new(self, table: Table) -> Insert:
        """Inserts rows, but for those whose primary key is there."""
        if self._reader.dialect.name == "sqlite":
            from sqlalchemy.dialects import sqlite

            return sqlite.insert(table).on_conflict_do_nothing()
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).on_conflict_do_nothing()

    def _wanted(
        self, *, browser: str | None, search: str | None = None, model: str | None = None
    ) -> list[ColumnElement[bool]]:
        wanted: list[ColumnElement[bool]] = []
        if browser is not None:
            wanted.append(RECORDS.c.browser == writable(browser))
        if model is not None:
            wanted.append(RECORDS.c.model == writable(model))
        if search:
            # Not LIKE: there is nothing to escape, and no case to be folded a second time.
            place = func.instr if self._reader.dialect.name == "sqlite" else func.strpos
            wanted.append(place(RECORDS.c.searched, searched(search)) > 0)
        return wanted


def _position(connection: Connection, record_id: str) -> ColumnElement[Any]:
    """Where a record stands among all, or stood."""
    created_at = connection.execute(
        select(RECORDS.c.created_at).where(RECORDS.c.id == writable(record_id))
    ).scalar()
    if created_at is None:
        created_at = microseconds_in(record_id)
    if created_at is None:
        raise InputError(f"before: there is no record {record_id!r}")
    return tuple_(literal(created_at), literal(writable(record_id)))


def _pruned(older_than: datetime | None, keep: int | None) -> ColumnElement[bool]:
    if older_than is None and keep is None:
        raise InputError("older_than, keep: say which records are to go")
    if keep is not None and keep < 0:
        raise InputError(f"keep: {keep} is below 0")
    pruned: list[ColumnElement[bool]] = []
    if older_than is not None:
        pruned.append(RECORDS.c.created_at < microseconds_of(older_than))
    if keep is not None:
        first_to_go = (
            select(RECORDS.c.created_at, RECORDS.c.id)
            .order_by(RECORDS.c.created_at.desc(), RECORDS.c.id.desc())
            .limit(1)
            .offset(keep)
        )
        pruned.append(_position_of_row <= first_to_go.scalar_subquery())
    return or_(*pruned)


def _groups(connection: Connection) -> list[Group]:
    keys = [RECORDS.c[name] for name in ("model", "fingerprint", "source", "finish_reason")]
    query = select(
        *keys,
        func.count().label("num_records"),
        cast(func.sum(RECORDS.c.num_tokens), BigInteger).label("num_tokens"),
        func.sum(RECORDS.c.duration_seconds).label("duration_seconds"),
    ).group_by(*keys)
    return [
        Group(
            model=as_written(row.model),
            fingerprint=as_written(row.fingerprint),
            source=as_written(row.source),
            finish_reason=as_written(row.finish_reason),
            num_records=row.num_records,
            num_tokens=row.num_tokens,
            duration_seconds=row.duration_seconds,
        )
        for row in connection.execute(query)
    ]


def _days(connection: Connection, first: date) -> dict[date, int]:
    begins = microseconds_of(datetime.combine(first, time(), UTC))
    day = (RECORDS.c.created_at // _DAY_MICROSECONDS).label("day")
    query = select(day, func.count()).where(RECORDS.c.created_at >= begins).group_by(text("day"))
    return {
        moment_of(number * _DAY_MICROSECONDS).date(): count
        for number, count in connection.execute(query)
    }


def _size_bytes(connection: Connection) -> int:
    if connection.dialect.name == "sqlite":
        size = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        return int(connection.execute(text(size)).scalar_one())
    sizes = [func.pg_total_relation_size(table.name) for table in METADATA.sorted_tables]
    return sum(connection.execute(select(*sizes)).one())
