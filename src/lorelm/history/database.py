"""Open the database of a history by its URL, and migrate its tables."""

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from lorelm.errors import HistoryError, HistoryURLError, MissingExtraError
from lorelm.history.tables import REVISIONS, VERSION_TABLE
from lorelm.machine.folders import data_folder

_EXAMPLES: Final = "sqlite:///history.db or postgresql+psycopg://USER@HOST/DATABASE"

LOCK_TIMEOUT_SECONDS: Final = 10.0
"""Limit for waiting until other connections to SQLite have written."""

ADVISORY_LOCK: Final = 0x4C6F72654C4D
"""Id of the PostgreSQL lock that lets one server at a time migrate: b"LoreLM"."""

_ADVICE: Final = (
    ("file is not a database", "it has another format; name another file"),
    ("malformed", "it is damaged; restore a copy, or name another file"),
    ("database is locked", "another program is writing there; try again"),
    ("readonly database", "you have no permission to write it; name another file"),
    ("unable to open", "check that the file exists, and that it and its directory are writable"),
    ("is full", "free some space on the disk"),
    ("password authentication", "check the user and the password in the URL"),
    ("onnection refused", "check host and port in the URL"),
    ("permission denied", "grant the permission to the user of the URL, or name another database"),
)
"""What to do about an error of a database that contains a text."""


def open_database(address: str | None, *, create: bool) -> tuple[Engine, str]:
    """Open a database; return it with its path, or its URL without password, to show to people.

    Args:
        address: ``sqlite:///PATH`` or ``postgresql+psycopg://…``, as in SQLAlchemy; None for a file
            in the user's data directory.
        create: whether to create the tables, and the file of SQLite, if there are none; an existing
            file must be writable.

    Raises:
        HistoryURLError: the address is invalid.
        HistoryError: the database cannot be opened, is of a later version of LoreLM, or does not
            exist and `create` is false.
        MissingExtraError: the driver for PostgreSQL is not installed.
    """
    url = parse_address(address)
    place = place_of(url)
    if url.get_backend_name() == "sqlite":
        ensure_file(Path(place), create=create)
    engine = engine_of(url)
    try:
        with wrap_database_errors(f"the history in {place} cannot be opened"):
            _migrate_if_needed(engine, place, create=create)
    except BaseException:
        engine.dispose()
        raise
    return engine, place


def engine_of(url: URL) -> Engine:
    """Return the engine of a database; none of its connections is open yet.

    Raises:
        MissingExtraError: the driver for PostgreSQL is not installed.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(Path(str(url.database)).absolute())
    return _postgresql_engine(url)


def upgrade_file(path: Path) -> None:
    """Give the history in a file the tables of this version.

    Raises:
        HistoryError: it cannot be written, or is of a later version.
    """
    engine = _sqlite_engine(path.absolute())
    try:
        with wrap_database_errors(f"the history in {path} cannot be upgraded"):
            _migrate_if_needed(engine, str(path), create=False)
    finally:
        engine.dispose()


def place_of(url: URL) -> str:
    """Return the path of a history, or its URL without password, to show to people."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    # Without the query, too, which may contain a password.
    shown = URL.create(url.drivername, url.username, None, url.host, url.port, url.database)
    return shown.render_as_string()


def parse_address(address: str | None) -> URL:
    """Parse the URL of a history; None is the default one.

    Raises:
        HistoryURLError: it is invalid. The error does not quote it: it may contain a password.
    """
    if address is None:
        address = default_url()
    if "://" not in address:
        raise HistoryURLError(
            f"a history is named by a URL, not by a path: {_EXAMPLES} (sqlite:////… for an "
            "absolute path)",
            code="history.path",
        )
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise HistoryURLError(
            f"the URL of the history cannot be parsed: write {_EXAMPLES}"
        ) from error
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        return _checked_sqlite(url)
    if url.drivername in ("postgresql", "postgresql+psycopg"):
        return _checked_postgresql(url)
    raise HistoryURLError(
        f"a history is stored in SQLite or PostgreSQL, not in {url.drivername}: write {_EXAMPLES}",
        code="history.unsupported_database",
    )


def _checked_sqlite(url: URL) -> URL:
    if url.host or url.query or url.database in (None, "", ":memory:"):
        raise HistoryURLError(
            "the URL of the history names no file: write sqlite:///PATH (sqlite:////… for an "
            "absolute path), and nothing after the path",
            code="history.no_file",
        )
    assert url.database is not None
    return url.set(database=str(Path(url.database).expanduser()))


def _checked_postgresql(url: URL) -> URL:
    if "@" in (url.host or ""):
        raise HistoryURLError(
            "the password in the URL of the history contains an @: write it as %40",
            code="history.unescaped_password",
        )
    return url.set(drivername="postgresql+psycopg")


def default_url() -> str:
    """Return the URL of the default file, in the user's data directory."""
    return f"sqlite:///{data_folder() / 'history.db'}"


@contextmanager
def wrap_database_errors(failure: str) -> Iterator[None]:
    """Turn errors of a database into a :class:`HistoryError`: the failure, and its reason."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        message = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        reason = " ".join(message.split())
        advice = next((f" ({advice})" for sign, advice in _ADVICE if sign in reason), "")
        raise HistoryError(f"{failure}: {reason}{advice}") from error


def ensure_file(path: Path, *, create: bool) -> None:
    """Create the file if needed, readable by its owner only, as prompts are private."""
    if path.exists():
        if not path.is_file():
            raise HistoryError(
                f"the history in {path} cannot be opened: it is not a file",
                code="history.not_a_file",
            )
        if create and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            raise HistoryError(
                f"the history in {path} cannot be opened: you have no permission to write the file "
                "and its directory (name another file)",
                code="history.read_only",
            )
        return
    if not create:
        raise _missing(str(path))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Without O_EXCL: another server may create it at the same moment.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise HistoryError(
            f"the history in {path} cannot be created: {error.strerror or error} (name another "
            "file)"
        ) from error


def _missing(place: str) -> HistoryError:
    return HistoryError(
        f"there is no history in {place} yet: lorelm serve begins one", code="history.missing"
    )


def connect_file(path: Path, *, mode: Literal["ro", "rw"]) -> sqlite3.Connection:
    """Connect to a file that exists; the caller begins transactions, not the driver.

    No mode creates files: one that is removed meanwhile must not become an empty history.
    """
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()), safe='')}?mode={mode}",
        uri=True,
        timeout=LOCK_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,  # a pool hands it on
    )
    connection.execute("PRAGMA secure_delete=ON")  # overwrite deleted texts
    return connection


def _sqlite_engine(path: Path) -> Engine:
    engine = create_engine(
        "sqlite+pysqlite://", creator=partial(connect_file, path, mode="rw"), poolclass=QueuePool
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        record.info["file"] = _file_at(path)
        connection.execute("PRAGMA synchronous=NORMAL")  # safe with WAL; FULL would sync each time

    @event.listens_for(engine, "checkout")
    def check_file(_connection: Any, record: Any, _proxy: object) -> None:
        if record.info["file"] != _file_at(path):  # the file was replaced: connect to the new one
            raise DisconnectionError

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _file_at(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of a path; None if it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _postgresql_engine(url: URL) -> Engine:
    settings = {
        "client_encoding": "utf8",  # with SQL_ASCII, psycopg would return bytes
        "connect_timeout": 5,
        # Notice a vanished server after half a minute instead of two hours.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 4,
        "tcp_user_timeout": 30_000,
    }
    # psycopg also logs the errors that it raises.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    try:
        return create_engine(
            url,
            pool_pre_ping=True,
            connect_args={name: value for name, value in settings.items() if name not in url.query},
        )
    except ImportError as error:
        raise MissingExtraError("a history in PostgreSQL", "postgresql") from error


def _migrate_if_needed(engine: Engine, place: str, *, create: bool) -> None:
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            _check_encoding(connection, place)
        revision = read_revision(connection, place)
    if revision == REVISIONS[-1]:
        return
    if revision is None and not create:
        raise _missing(place)
    if engine.dialect.name == "sqlite":
        _use_write_ahead_log(engine)
    _migrate(engine)


def _check_encoding(connection: Connection, place: str) -> None:
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise HistoryError(
            f"the database {place} has the encoding {encoding}, which cannot store all texts: "
            "create one with createdb --encoding UTF8 --template template0",
            code="history.encoding",
        )


def read_revision(connection: Connection, place: str) -> str | None:
    """Return the last migration of the tables; None if there are no tables.

    Raises:
        HistoryError: it is of a later version of LoreLM.
    """
    if not connection.dialect.has_table(connection, VERSION_TABLE):
        return None
    [version] = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars()  # noqa: S608
    if version not in REVISIONS:
        raise HistoryError(
            f"the history in {place} was made by a later version of LoreLM: install that version, "
            "or name another history",
            code="history.later_version",
        )
    assert isinstance(version, str)
    return version


def _use_write_ahead_log(engine: Engine) -> None:
    """Allow reading while the server writes; the setting is stored in the file."""
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    with closing(engine.raw_connection()) as connection:
        while time.monotonic() < deadline:
            # SQLite does not wait here when two connections try at the same time.
            with suppress(sqlite3.OperationalError):
                connection.cursor().execute("PRAGMA journal_mode=WAL")
                return
            time.sleep(0.02)


def _migrate(engine: Engine) -> None:
    """Apply the missing migrations in one transaction, one process at a time.

    Alembic finds them under the lock, as another process may have been faster.
    """
    from alembic.command import upgrade
    from alembic.config import Config

    config = Config()
    directory = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", directory.replace("%", "%%"))
    with engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name != "sqlite":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        config.attributes["connection"] = connection
        upgrade(config, REVISIONS[-1])
