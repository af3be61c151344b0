import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.errors import raises_code
from tests.history.conftest import MakeRecord

from lorelm.errors import HistoryError
from lorelm.history.backup import back_up, restore
from lorelm.history.drafts import DraftStore
from lorelm.history.links import LinkStore
from lorelm.history.store import HistoryStore
from lorelm.history.tables import REVISIONS

CONTENT = ["The fox"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/history.db"


@pytest.fixture
def filled(url: str, make_record: MakeRecord) -> Iterator[HistoryStore]:
    """A history of 300 records, which a server has open."""
    with HistoryStore(url) as store:
        store.add([make_record(seed=seed, text=" by the mill" * 20) for seed in range(300)])
        yield store


def seeds_in(store: HistoryStore) -> list[int]:
    return sorted(record.seed for record in store.iterate())


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def damage(path: Path) -> None:
    """Overwrite a page of a database that its tables need."""
    content = bytearray(path.read_bytes())
    content[20_480:24_576] = b"x" * 4096
    path.write_bytes(content)


def test_a_restored_history_is_what_it_was(
    filled: HistoryStore, url: str, make_record: MakeRecord, tmp_path: Path
) -> None:
    drafts, links = DraftStore(filled), LinkStore(filled)
    drafts.add("b1", name="River", content=CONTENT)
    links.add("b1", name="Mill", content=CONTENT)
    key = filled.signing_key()
    backup = tmp_path / "new folder" / "backup 100%?.db"
    assert back_up(url, backup).num_records == 300
    assert names_in(backup.parent) == {backup.name}
    assert backup.stat().st_mode & 0o777 == 0o600
    filled.prune(keep=10)
    filled.add([make_record(seed=1000)])
    [link] = links.find(None)
    links.revoke(None, link.id)
    [draft] = drafts.find("b1")
    drafts.delete("b1", draft.id)

    assert restore(backup, url, replaces=True).num_records == 300
    assert seeds_in(filled) == list(range(300))  # the server that has it open reads it
    assert [each.name for each in links.find(None)] == ["Mill"]
    assert filled.signing_key() == key
    assert [each.name for each in drafts.find("b1")] == ["River"]
    filled.add([make_record(seed=1001)])  # and writes it
    assert 1001 in seeds_in(filled)
    assert names_in(tmp_path) <= {
        *("history.db", "history.db-wal", "history.db-shm", "new folder"),
    }


def test_a_server_may_write_while_a_backup_is_made(
    filled: HistoryStore, url: str, make_record: MakeRecord, tmp_path: Path
) -> None:
    is_over = threading.Event()
    written = []

    def write() -> None:
        while not is_over.is_set():
            filled.add([make_record(seed=1000 + len(written))])
            written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            before = len(written)
            num_records = back_up(url, tmp_path / f"{number}.db").num_records
            assert 300 + before <= num_records <= 301 + len(written)
    finally:
        is_over.set()
        writer.join()
    assert written
    with HistoryStore(f"sqlite:///{tmp_path}/4.db") as copy:
        seeds = seeds_in(copy)
    assert seeds == [*range(300), *range(1000, 1000 + len(seeds) - 300)]


def test_an_older_backup_gets_the_tables_of_this_version(url: str, tmp_path: Path) -> None:
    older = tmp_path / "older.db"
    with HistoryStore(f"sqlite:///{older}") as store, store.writing() as connection:
        for table in ("history_drafts", "history_links"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("UPDATE history_version SET version_num = '0001'"))
    back_up(f"sqlite:///{older}", tmp_path / "backup.db")
    content = (tmp_path / "backup.db").read_bytes()
    restore(tmp_path / "backup.db", url, replaces=False)
    assert (tmp_path / "backup.db").read_bytes() == content
    with closing(sqlite3.connect(tmp_path / "history.db")) as restored:  # which upgrades nothing
        assert restored.execute("SELECT version_num FROM history_version").fetchall() == [
            (REVISIONS[-1],)
        ]
    with HistoryStore(url) as store:
        assert DraftStore(store).find("b1") == []


def test_a_damaged_backup_is_refused(
    filled: HistoryStore, url: str, make_record: MakeRecord, tmp_path: Path
) -> None:
    back_up(url, tmp_path / "backup.db")
    damage(tmp_path / "backup.db")
    filled.add([make_record(seed=1000)])
    before = names_in(tmp_path)
    with raises_code(HistoryError, "history.damaged"):
        restore(tmp_path / "backup.db", url, replaces=True)
    assert 1000 in seeds_in(filled)
    with raises_code(HistoryError, "history.damaged"):
        restore(tmp_path / "backup.db", f"sqlite:///{tmp_path}/new.db", replaces=True)
    assert names_in(tmp_path) == before


def test_a_damaged_history_does_not_replace_a_backup(
    filled: HistoryStore, url: str, tmp_path: Path
) -> None:
    back_up(url, tmp_path / "backup.db")
    content = (tmp_path / "backup.db").read_bytes()
    filled.truncate_log()
    filled.close()
    damage(tmp_path / "history.db")
    with raises_code(HistoryError, "history.damaged"):
        back_up(url, tmp_path / "backup.db")
    assert (tmp_path / "backup.db").read_bytes() == content
    restore(tmp_path / "backup.db", url, replaces=True)
    with HistoryStore(url) as store:
        assert len(seeds_in(store)) == 300


def test_nothing_else_is_taken_for_a_history(
    filled: HistoryStore, url: str, tmp_path: Path
) -> None:
    (tmp_path / "novel.txt").write_text("Once upon a time")
    with closing(sqlite3.connect(tmp_path / "bookmarks.db")) as other:
        other.execute("CREATE TABLE bookmarks (url)")
    (tmp_path / "folder").mkdir()
    back_up(url, tmp_path / "backup.db")
    for name, code in (
        ("novel.txt", "history.not_a_history"),
        ("bookmarks.db", "history.not_a_history"),
        ("folder", "history.missing"),
    ):
        place = tmp_path / name
        content = place.read_bytes() if place.is_file() else None
        with raises_code(HistoryError, code):
            back_up(url, place)
        with raises_code(HistoryError, code):
            restore(place, url, replaces=True)
        with pytest.raises(HistoryError):
            restore(tmp_path / "backup.db", f"sqlite:///{place}", replaces=True)
        assert content is None or place.read_bytes() == content
    assert len(seeds_in(filled)) == 300


def test_a_backup_of_a_later_version_is_refused(
    filled: HistoryStore, url: str, tmp_path: Path
) -> None:
    back_up(url, tmp_path / "backup.db")
    with closing(sqlite3.connect(tmp_path / "backup.db")) as later:
        later.execute("UPDATE history_version SET version_num = '9999'")
        later.commit()
    with raises_code(HistoryError, "history.later_version"):
        restore(tmp_path / "backup.db", url, replaces=True)


def test_a_history_is_replaced_only_when_that_is_said(
    filled: HistoryStore, url: str, tmp_path: Path
) -> None:
    back_up(url, tmp_path / "backup.db")
    filled.prune(keep=10)
    with raises_code(HistoryError, "history.exists"):
        restore(tmp_path / "backup.db", url, replaces=False)
    assert len(seeds_in(filled)) == 10
    with pytest.raises(HistoryError, match="is the history itself"):
        back_up(url, tmp_path / "history.db")
    with pytest.raises(HistoryError, match="is the history itself"):
        restore(tmp_path / "history.db", url, replaces=True)


def test_deleted_texts_are_not_left_behind(
    filled: HistoryStore, url: str, make_record: MakeRecord, tmp_path: Path
) -> None:
    filled.add([make_record(text="speak mellon")])
    filled.prune(keep=0)
    back_up(url, tmp_path / "backup.db")
    assert b"mellon" not in (tmp_path / "backup.db").read_bytes()
    filled.add([make_record(text="speak mellon")])
    restore(tmp_path / "backup.db", url, replaces=True)
    for path in tmp_path.glob("history.db*"):
        assert b"mellon" not in path.read_bytes()


@pytest.mark.parametrize("place", ["none.db", "nowhere/none.db"])
def test_what_is_missing_is_named(url: str, tmp_path: Path, place: str) -> None:
    with raises_code(HistoryError, "history.missing"):
        back_up(f"sqlite:///{tmp_path}/{place}", tmp_path / "backup.db")
    with raises_code(HistoryError, "history.missing"):
        restore(tmp_path / place, url, replaces=True)
    assert names_in(tmp_path) == set()
