"""The history in its database: :class:`HistoryStore`."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Final, Self

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Table,
    delete,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.exc import DataError, IntegrityError

from lorelm.errors import HistoryError, InputError, UnwritableRecordError
from lorelm.history.database import open_database, wrap_database_errors
from lorelm.history.record import Record, microseconds_in, microseconds_of
from lorelm.history.statistics import HistoryStats, read_stats
from lorelm.history.tables import KEYS, RECORDS, encode_text, record_of, row_of, search_text

_PAGE: Final = 200
"""Records that :meth:`HistoryStore.iterate` holds at a time."""

_COLUMNS: Final = [column for column in RECORDS.columns if column.name != "searched"]
_row_order: Final = tuple_(RECORDS.c.created_at, RECORDS.c.id)
_newest_first: Final = (RECORDS.c.created_at.desc(), RECORDS.c.id.desc())


class HistoryStore:
    """A log of samples; several threads, and several servers, may use one database.

    Every method but :meth:`close` raises a :class:`HistoryError` if the database fails. Broken
    connections are replaced, so a later call can succeed.

    Attributes:
        place: the path of the database, or its URL without password, to show to people.
    """

    def __init__(self, url: str | None = None, *, create: bool = True) -> None:
        """Open the database; arguments and errors are those of :func:`open_database`."""
        self._reader, self.place = open_database(url, create=create)
        self._writer = self._reader.execution_options(writes=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._reader.dispose()

    def add(self, records: Sequence[Record]) -> None:
        """Write records in one transaction; a record whose id exists is not written again.

        Raises:
            UnwritableRecordError: a record can never be written.
        """
        try:
            rows = [row_of(record) for record in records]
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            raise UnwritableRecordError(f"a record has an invalid field: {error}") from error
        if not rows:
            return
        try:
            with self.writing() as connection:
                connection.execute(self._insert_new(RECORDS), rows)
        except OverflowError as error:  # from SQLite's driver, for a number beyond 64 bits
            raise UnwritableRecordError(f"a record cannot be written: {error}") from error
        except HistoryError as error:
            if isinstance(error.__cause__, DataError | IntegrityError):  # not an outage
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
        """Return the newest records, newest first.

        Args:
            browser: only of this browser; None: of all clients.
            search: only those whose prompt and text contain this, regardless of case.
            model: only of the model with this name.
            before: only those older than the record with this id, for the next page. The record
                itself may have been deleted.
            limit: the greatest number of records.

        Raises:
            InputError: `before` is not the id of a record.
        """
        conditions = self._conditions(browser=browser, search=search, model=model)
        if before is not None:
            created_at = microseconds_in(before)
            if created_at is None:
                raise InputError(f"before: there is no record {before!r}", code="history.no_record")
            conditions.append(
                _row_order < tuple_(literal(created_at), literal(encode_text(before)))
            )
        query = select(*_COLUMNS).order_by(*_newest_first).limit(limit)
        with self.reading() as connection:
            rows = connection.execute(query.where(*conditions)).all()
        return [record_of(row._asdict()) for row in rows]

    def get(self, record_id: str, browser: str | None = None) -> Record | None:
        """Return a record by its id; None if there is none, or if it is of another browser."""
        conditions = [RECORDS.c.id == encode_text(record_id), *self._conditions(browser=browser)]
        with self.reading() as connection:
            row = connection.execute(select(*_COLUMNS).where(*conditions)).one_or_none()
        return None if row is None else record_of(row._asdict())

    def iterate(
        self, *, browser: str | None = None, search: str | None = None, model: str | None = None
    ) -> Iterator[Record]:
        """Yield all records that :meth:`find` would return, a page at a time in memory.

        Records that are written meanwhile are left out. No connection is held between pages.
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
        """Delete records of a browser, or of any client, by their ids; return how many existed."""
        has_id = RECORDS.c.id.in_([encode_text(each) for each in ids])
        return self._delete(has_id, *self._conditions(browser=browser))

    def delete_all(self, browser: str) -> int:
        """Delete all records of a browser and return how many there were."""
        return self._delete(*self._conditions(browser=browser))

    def prune(self, older_than: datetime | None = None, keep: int | None = None) -> int:
        """Delete records older than a time, and all but the newest `keep`; return how many.

        Raises:
            InputError: neither is given, or `keep` is negative.
        """
        return self._delete(_prune_condition(older_than, keep))

    def num_to_prune(self, older_than: datetime | None = None, keep: int | None = None) -> int:
        """Return how many records :meth:`prune` would delete now."""
        count = select(func.count()).select_from(RECORDS)
        condition = _prune_condition(older_than, keep)
        with self.reading() as connection:
            return connection.execute(count.where(condition)).scalar_one()

    def shrink(self) -> None:
        """Return the space of deleted records to the disk.

        SQLite rewrites the database for that: it needs as much free space again, and other writers
        wait. PostgreSQL reuses the space by itself.
        """
        if self._reader.dialect.name == "sqlite":
            self._execute_raw("VACUUM", f"the history in {self.place} cannot be made smaller")
            self.truncate_log()

    def stats(self) -> HistoryStats:
        """Count the records."""
        with self.reading() as connection:
            return read_stats(connection)

    def signing_key(self) -> bytes:
        """Return the secret that signs cookies; all servers of a history have the same."""
        new = {"name": "cookies", "value": secrets.token_bytes(32)}
        query = select(KEYS.c.value).where(KEYS.c.name == new["name"])
        with self.reading() as connection:
            key = connection.execute(query).scalar()
        if key is None:
            with self.writing() as connection:
                # Changes nothing if another server was faster.
                connection.execute(self._insert_new(KEYS), [new])
                key = connection.execute(query).scalar_one()
        assert isinstance(key, bytes)
        return key

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that reads."""
        failure = f"the history in {self.place} cannot be read"
        with wrap_database_errors(failure), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that may write; in SQLite, others wait for its end."""
        failure = f"the history in {self.place} cannot be written"
        with wrap_database_errors(failure), self._writer.begin() as connection:
            yield connection

    def _delete(self, *conditions: ColumnElement[bool]) -> int:
        with self.writing() as connection:
            num_deleted = connection.execute(delete(RECORDS).where(*conditions)).rowcount
        self.truncate_log()
        return num_deleted

    def contains(self, searched: ColumnElement[str], search: str) -> ColumnElement[bool]:
        """Return the condition that a column of :func:`search_text` contains a text."""
        # Unlike LIKE, these need no escaping and fold no case.
        position = func.instr if self._reader.dialect.name == "sqlite" else func.strpos
        return position(searched, search_text(search)) > 0

    def truncate_log(self) -> None:
        """Empty SQLite's write-ahead log, which still contains deleted texts.

        While another connection reads, a part stays until the next deletion or the end.
        """
        if self._reader.dialect.name == "sqlite":
            self._execute_raw(
                "PRAGMA wal_checkpoint(TRUNCATE)", f"the history in {self.place} cannot be written"
            )

    def _execute_raw(self, statement: str, failure: str) -> None:
        """Execute what SQLite allows outside of transactions only."""
        with wrap_database_errors(failure), closing(self._reader.raw_connection()) as connection:
            connection.cursor().execute(statement)

    def _insert_new(self, table: Table) -> Insert:
        """Return an insert that skips rows whose primary key exists."""
        if self._reader.dialect.name == "sqlite":
            from sqlalchemy.dialects import sqlite

            return sqlite.insert(table).on_conflict_do_nothing()
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).on_conflict_do_nothing()

    def _conditions(
        self, *, browser: str | None, search: str | None = None, model: str | None = None
    ) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if browser is not None:
            conditions.append(RECORDS.c.browser == encode_text(browser))
        if model is not None:
            conditions.append(RECORDS.c.model == encode_text(model))
        if search:
            conditions.append(self.contains(RECORDS.c.searched, search))
        return conditions


def _prune_condition(older_than: datetime | None, keep: int | None) -> ColumnElement[bool]:
    if older_than is None and keep is None:
        raise InputError("older_than, keep: give one of them", code="history.prune")
    if keep is not None and keep < 0:
        raise InputError(f"keep: {keep} is negative", code="history.prune")
    conditions: list[ColumnElement[bool]] = []
    if older_than is not None:
        conditions.append(RECORDS.c.created_at < microseconds_of(older_than))
    if keep is not None:
        newest_to_delete = (
            select(RECORDS.c.created_at, RECORDS.c.id)
            .order_by(*_newest_first)
            .limit(1)
            .offset(keep)
        )
        conditions.append(_row_order <= newest_to_delete.scalar_subquery())
    return or_(*conditions)
