import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from tests.errors import raises_code

from lorelm.errors import HistoryError, HistoryURLError, InputError, MissingExtraError
from lorelm.history import database
from lorelm.history.database import open_database
from lorelm.history.store import HistoryStore
from lorelm.history.tables import METADATA, REVISIONS, VERSION_TABLE


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("history.db", "history.path"),
        ("mysql://me:mellon@host/db", "history.unsupported_database"),
        ("postgresql+psycopg2://me:mellon@host/db", "history.unsupported_database"),
        ("sqlite+aiosqlite:///history.db", "history.unsupported_database"),
        ("sqlite://", "history.no_file"),
        ("sqlite:///:memory:", "history.no_file"),
        ("sqlite:///history.db?mode=ro", "history.no_file"),
        ("sqlite://history.db", "history.no_file"),
        ("postgresql+psycopg://me:mellon@host:port/db", "history.url"),
        ("postgresql+psycopg://me:mellon@friend@host/db", "history.unescaped_password"),
        ("://mellon", "history.url"),
    ],
)
def test_an_invalid_url_is_rejected_without_quoting_its_password(url: str, code: str) -> None:
    with raises_code(HistoryURLError, code) as caught:
        HistoryStore(url)
    assert isinstance(caught.value, InputError)
    assert "mellon" not in str(caught.value)
    assert "\n" not in str(caught.value)


def error_of(url: str) -> HistoryError:
    with pytest.raises(HistoryError) as caught:
        HistoryStore(url)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_file_of_another_format_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "letters.txt"
    path.write_text("Speak, friend, and enter. " * 100)
    assert "file is not a database" in str(error_of(f"sqlite:///{path}"))
    assert path.read_text() == "Speak, friend, and enter. " * 100
    assert error_of(f"sqlite:///{tmp_path}").code == "history.not_a_file"
    assert f"{path}/history.db cannot be created" in str(error_of(f"sqlite:///{path}/history.db"))


@pytest.mark.skipif(sys.platform != "linux", reason="no folder that even root cannot write to")
def test_an_unwritable_directory_is_an_error() -> None:
    assert "/proc/history/history.db cannot be created" in str(
        error_of("sqlite:////proc/history/history.db")
    )


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="root may write everywhere")
def test_a_server_needs_a_writable_file(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    HistoryStore(f"sqlite:///{path}").close()
    path.chmod(0o444)
    code = "import sys; from lorelm.history.store import HistoryStore; HistoryStore(sys.argv[1])"
    as_others = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
    ended = subprocess.run(
        [
            *(as_others if os.geteuid() == 0 else []),
            sys.executable,
            "-c",
            code,
            f"sqlite:///{path}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "you have no permission to write the file" in ended.stderr


@pytest.mark.skipif(os.name != "posix", reason="POSIX has file modes")
def test_only_the_owner_can_read_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORELM_DATA", str(tmp_path / "data"))
    with HistoryStore() as store:
        assert store.place == str(tmp_path / "data" / "history.db")
        store.signing_key()
        folder = Path(store.place).parent
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert modes["history.db"] == 0o600
        assert set(modes.values()) == {0o600}  # of the log beside it, too
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_reading_does_not_create_a_history(history_url: str, tmp_path: Path) -> None:
    for _ in range(2):
        with raises_code(HistoryError, "history.missing"):
            HistoryStore(history_url, create=False)
    assert not [*tmp_path.iterdir()]
    HistoryStore(history_url).close()
    HistoryStore(history_url, create=False).close()


def test_migrations_create_the_declared_tables(history_url: str) -> None:
    engine, _ = open_database(history_url, create=True)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_every_migration_is_in_the_list() -> None:
    scripts = ScriptDirectory(str(Path(database.__file__).with_name("migrations")))
    assert [script.revision for script in scripts.walk_revisions()] == [*REVISIONS][::-1]


def test_a_history_of_a_later_version_is_rejected(history_url: str) -> None:
    engine, _ = open_database(history_url, create=True)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    engine.dispose()
    assert error_of(history_url).code == "history.later_version"


def test_opening_an_up_to_date_history_needs_neither_alembic_nor_an_orm(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    HistoryStore(url).close()
    code = """
import sys
import lorelm.history.writer, lorelm.history.export
assert "sqlalchemy" not in sys.modules
from lorelm.history.store import HistoryStore
HistoryStore(sys.argv[1]).close()
print({"alembic", "sqlalchemy.orm", "platformdirs"} & set(sys.modules))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, url], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "set()\n"


def test_other_tables_in_the_database_are_not_touched(history_url: str) -> None:
    engine, _ = open_database(history_url, create=True)
    with engine.begin() as connection:
        for table in (*METADATA.tables, VERSION_TABLE):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('of another program')"))
    engine.dispose()
    HistoryStore(history_url).close()
    engine, _ = open_database(history_url, create=False)
    with engine.begin() as connection:
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    engine.dispose()
    assert version == "of another program"


def test_an_unreachable_database_is_an_error(postgres_server: Any) -> None:
    where = postgres_server.url("me:mellon@127.0.0.1:1/history")
    caught = str(error_of(where))
    assert "postgresql+psycopg://me@127.0.0.1:1/history cannot be opened" in caught
    assert "check host and port" in caught
    assert "mellon" not in caught


def test_a_wrong_password_is_an_error_that_does_not_quote_it(postgres_server: Any) -> None:
    user, right = postgres_server.password_user, postgres_server.password.replace(" ", "%20")
    rest = f"127.0.0.1:{postgres_server.port}/postgres"
    for url in (
        postgres_server.url(f"{user}:mellon@{rest}"),
        postgres_server.url(f"{user}@{rest}?password=mellon"),
    ):
        caught = str(error_of(url))
        assert "password authentication failed" in caught
        assert "mellon" not in caught
    # It may go in with the right one, but not make tables there.
    assert "permission denied" in str(error_of(postgres_server.url(f"{user}:{right}@{rest}")))


def test_a_database_in_another_encoding_is_rejected(postgres_server: Any) -> None:
    url = postgres_server.new_database("ENCODING 'SQL_ASCII' TEMPLATE template0")
    assert error_of(url).code == "history.encoding"


def test_the_short_driver_name_of_postgresql_works(postgres_url: str) -> None:
    HistoryStore(postgres_url).close()
    HistoryStore(postgres_url.replace("+psycopg", ""), create=False).close()


def test_without_its_driver_postgresql_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with raises_code(MissingExtraError, "missing_extra"):
        HistoryStore("postgresql+psycopg://me@host/db")
