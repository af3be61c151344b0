"""Opens the database of a history by its URL, and brings its tables up to date."""

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from lorelm.errors import HistoryError, HistoryURLError, MissingExtraError
from lorelm.history.tables import REVISIONS, VERSION_TABLE

_EXAMPLES: Final = "sqlite:///history.db or postgresql+psycopg://USER@HOST/DATABASE"

_LOCK_TIMEOUT_SECONDS: Final = 10.0
"""How long a connection to SQLite waits for others that write."""

_CONNECT_TIMEOUT_SECONDS: Final = 5

ADVISORY_LOCK: Final = 0x4C6F72654C4D
"""The number under which servers take turns at migrating one PostgreSQL database: b"LoreLM"."""


@dataclass(frozen=True, kw_only=True)
class Database:
    """An open database whose tables are up to date.

    Attributes:
        place: where it is, for people: a path, or a URL without password.
    """

    engine: Engine
    place: str


def open_database(address: str | None, *, create: bool) -> Database:
    """Opens a database.

    Args:
        address: a URL, as :func:`parse_address` takes it.
        create: whether to make the tables, and a file of SQLite, where there are none; what is to
            be written into must be writable.

    Raises:
        HistoryURLError: the address is of no use.
        HistoryError: the database cannot be opened, is of a later version of LoreLM, or, unless it
            is to be made, is not there.
        MissingExtraError: the driver for PostgreSQL is not installed.
    """
    url = parse_address(address)
    place = place_of(url)
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        _find_file(path, create=create)
        engine = _sqlite_engine(path.absolute())
    else:
        engine = _postgresql_engine(url)
    try:
        with telling(f"the history in {place} cannot be opened"):
            _bring_up_to_date(engine, place, create=create)
    except BaseException:
        engine.dispose()
        raise
    return Database(engine=engine, place=place)


def parse_address(address: str | None) -> URL:
    """Reads what names a history.

    Args:
        address: ``sqlite:///PATH`` or ``postgresql+psycopg://…``, as SQLAlchemy writes URLs; None
            for a file in the user's data folder.

    Raises:
        HistoryURLError: it is something else. It is not quoted, as there may be a password in it.
    """
    if address is None:
        address = default_url()
    if "://" not in address:
        raise HistoryURLError(
            f"a history is named by a URL, not by a path: {_EXAMPLES} (sqlite:////… for a path "
            "from the root)"
        )
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise HistoryURLError(
            f"the URL of the history cannot be read: write {_EXAMPLES}"
        ) from error
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        return _checked_sqlite(url)
    if url.drivername in ("postgresql", "postgresql+psycopg"):
        return _checked_postgresql(url)
    raise HistoryURLError(
        f"a history is kept in SQLite or PostgreSQL, not in {url.drivername}: write {_EXAMPLES}"
    )


def _checked_sqlite(url: URL) -> URL:
    if url.host or url.query or url.database in (None, "", ":memory:"):
        raise HistoryURLError(
            "the URL of the history names no file: write sqlite:///PATH (sqlite:////… for a path "
            "from the root), and nothing after the path"
        )
    assert url.database is not None
    return url.set(database=str(Path(url.database).expanduser()))


def _checked_postgresql(url: URL) -> URL:
    if "@" in (url.host or ""):
        raise HistoryURLError("the password in the URL of the history has an @: write it as %40")
    return url.set(drivername="postgresql+psycopg")


def default_path() -> Path:
    """The file of the history where none is named: in the user's data folder."""
    from platformdirs import user_data_path

    return user_data_path("lorelm", appauthor=False) / "history.db"


def default_url() -> str:
    """The URL of that file."""
    return f"sqlite:///{default_path()}"


def place_of(url: URL) -> str:
    """Where a database is, for people to read."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return URL.create(
        url.drivername, url.username, None, url.host, url.port, url.database
    ).render_as_string()


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Turns errors of a database into a :class:`HistoryError` in one line: `what`, and why."""
    try:
        yield
    except SQLAlchemyError as error:
        raise HistoryError(f"{what}: {_reason(error)}") from error


def _reason(error: SQLAlchemyError) -> str:
    said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    reason = " ".join(said.split())
    for sign, advice in (
        ("file is not a database", "it is something else; name another file"),
        ("malformed", "it is damaged; restore a copy, or name another file"),
        ("database is locked", "another program is writing there; try again"),
        ("readonly database", "there is no right to write there; name another file"),
        ("unable to open", "see whether the file is there, and it and its folder may be written"),
        ("is full", "make room on the disk"),
        ("password authentication", "see to the user and the password in the URL"),
        ("onnection refused", "see to host and port in the URL"),
        ("permission denied", "give the user of the URL the right, or name another database"),
    ):
        if sign in reason:
            return f"{reason} ({advice})"
    return reason


def _find_file(path: Path, *, create: bool) -> None:
    """Sees to it that there is a file, which only its owner can read: prompts are private."""
    if path.exists():
        if not path.is_file():
            raise HistoryError(f"the history in {path} cannot be opened: it is not a file")
        if create and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            raise HistoryError(
                f"the history in {path} cannot be opened: there is no right to write into the file "
                "and its folder (name another file)"
            )
        return
    if not create:
        raise _no_history(str(path))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not exclusively: another server may make it at the same moment.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise HistoryError(
            f"the history in {path} cannot be made: {error.strerror or error} (name another file)"
        ) from error


def _no_history(place: str) -> HistoryError:
    return HistoryError(f"there is no history in {place} yet: lorelm serve begins one")


def _sqlite_engine(path: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        # A file that is taken away while the server runs must not become an empty one.
        return sqlite3.connect(
            f"file:{quote(str(path), safe='')}?mode=rw",
            uri=True,
            timeout=_LOCK_TIMEOUT_SECONDS,
            check_same_thread=False,
        )

    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=QueuePool)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        record.info["file"] = _file_at(path)
        connection.isolation_level = None  # the driver would begin transactions when it likes
        connection.execute("PRAGMA synchronous=NORMAL")  # with WAL; FULL waits for the disk
        connection.execute("PRAGMA secure_delete=ON")  # what a person deletes is to be gone

    @event.listens_for(engine, "checkout")
    def look(_connection: Any, record: Any, _proxy: object) -> None:
        if record.info["file"] != _file_at(path):  # what it writes would be lost with the old file
            raise DisconnectionError

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _file_at(path: Path) -> tuple[int, int] | None:
    """Which file lies there, whatever it is called; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _postgresql_engine(url: URL) -> Engine:
    settings = {
        "client_encoding": "utf8",  # a server without an encoding would send bytes
        "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
        # A server that vanishes without a word is noticed after half a minute, not two hours.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 4,
        "tcp_user_timeout": 30_000,
    }
    # It complains of every pipeline that breaks, beside the error that it raises.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    try:
        return create_engine(
            url,
            pool_pre_ping=True,
            connect_args={name: value for name, value in settings.items() if name not in url.query},
        )
    except ImportError as error:
        raise MissingExtraError("a history in PostgreSQL", "postgresql") from error


def _bring_up_to_date(engine: Engine, place: str, *, create: bool) -> None:
    with engine.connect() as connection:
        _check_encoding(connection, place)
        revision = _revision(connection, place)
    if revision == REVISIONS[-1]:
        return
    if revision is None and not create:
        raise _no_history(place)
    if engine.dialect.name == "sqlite":
        _use_write_ahead_log(engine)
    _migrate(engine)


def _check_encoding(connection: Connection, place: str) -> None:
    if connection.dialect.name == "sqlite":
        return
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise HistoryError(
            f"the database {place} has the encoding {encoding}, which cannot hold all texts: make "
            "one with createdb --encoding UTF8 --template template0"
        )


def _revision(connection: Connection, place: str) -> str | None:
    """Which migration the tables are at; None where there are none."""
    if not connection.dialect.has_table(connection, VERSION_TABLE):
        return None
    [version] = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars()  # noqa: S608
    if version not in REVISIONS:
        raise HistoryError(
            f"the history in {place} was made by a later version of LoreLM: install that one, or "
            "name another history"
        )
    assert isinstance(version, str)
    return version


def _use_write_ahead_log(engine: Engine) -> None:
    """Lets people read while the server writes; the file remembers it."""
    ends_at = time.monotonic() + _LOCK_TIMEOUT_SECONDS
    connection = engine.raw_connection()
    try:
        while time.monotonic() < ends_at:
            # Where two want it at once, one of them is refused without waiting for its turn.
            with suppress(engine.dialect.loaded_dbapi.OperationalError):
                connection.cursor().execute("PRAGMA journal_mode=WAL")
                return
            time.sleep(0.02)
    finally:
        connection.close()


def _migrate(engine: Engine) -> None:
    """Applies the migrations that a database has not seen, all or none, one process at a time.

    Which those are Alembic sees under the lock: another process may have been quicker.
    """
    from alembic.command import upgrade
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", folder.replace("%", "%%"))
    with engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name != "sqlite":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        config.attributes["connection"] = connection
        upgrade(config, REVISIONS[-1])
