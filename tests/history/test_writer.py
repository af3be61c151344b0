import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lorelm.history import database
from lorelm.history.record import Record
from lorelm.history.store import HistoryStore
from lorelm.history.writer import HistoryWriter

pytestmark = pytest.mark.system

MakeRecord = Callable[..., Record]


@contextmanager
def locked(store: HistoryStore) -> Iterator[None]:
    """Keep the file locked, as another program that writes would."""
    other = sqlite3.connect(store.place, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@pytest.fixture
def impatient_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HistoryStore]:
    """A store that does not wait for a locked file."""
    monkeypatch.setattr(database, "LOCK_TIMEOUT_SECONDS", 0.01)
    with HistoryStore(f"sqlite:///{tmp_path}/history.db") as store:
        yield store


def said_by_the_writer(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage() for record in caplog.records if record.name == "lorelm.history.writer"
    ]


def ids_in(store: HistoryStore) -> list[str]:
    return sorted(record.id for record in store.iterate())


def add_from_threads(writer: HistoryWriter, records: list[Record], *, pause: float = 0) -> None:
    def add(some: list[Record]) -> None:
        for record in some:
            writer.add(record)
            if pause:
                time.sleep(pause)

    threads = [threading.Thread(target=add, args=(records[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_20000_at_full_speed_are_all_written(postgres_url: str, make_record: MakeRecord) -> None:
    records = [make_record(seed=seed) for seed in range(20_000)]
    with HistoryStore(postgres_url) as store:
        writer = HistoryWriter(store)
        add_from_threads(writer, records, pause=0.0005)  # a server writes 700 texts a second
        assert writer.flush(60)
        assert (writer.num_written, writer.num_lost, writer.num_queued) == (20_000, 0, 0)
        writer.close(10)
        assert ids_in(store) == sorted(record.id for record in records)


def test_long_records_fill_the_queue_sooner(
    sqlite_store: HistoryStore, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lorelm.history.writer._CAPACITY_CHARACTERS", 1_000)
    writer = HistoryWriter(sqlite_store)
    long = [make_record(prompt="x" * 300, text="") for _ in range(5)]
    for record in long:
        writer.add(record)
    assert writer.num_lost == 2
    assert writer.flush(10)
    writer.add(long[4])  # the queue has a free place again
    writer.close(10)
    assert (writer.num_written, writer.num_lost) == (4, 2)


def test_after_a_database_crash_each_record_is_written_once(
    postgres_server: Any,
    postgres_url: str,
    make_record: MakeRecord,
    caplog: pytest.LogCaptureFixture,
) -> None:
    records = [make_record(seed=seed) for seed in range(6_000)]
    with HistoryStore(postgres_url) as store:
        writer = HistoryWriter(store)
        adding = threading.Thread(
            target=add_from_threads, args=(writer, records), kwargs={"pause": 0.0005}
        )
        adding.start()
        while writer.num_written < 1_000:
            time.sleep(0.001)
        postgres_server.kill()
        try:
            assert writer.num_written < 6_000  # or it was not in mid-run
            adding.join()  # add() does not wait for the database
            assert not writer.flush(0.1)
        finally:
            postgres_server.start()
        assert writer.flush(30)
        writer.close(10)
        assert (writer.num_written, writer.num_lost) == (6_000, 0)
        assert ids_in(store) == sorted(record.id for record in records)
    [outage, end] = said_by_the_writer(caplog)
    assert "cannot be written" in outage
    assert "is written again after" in end


def test_the_writer_waits_for_a_locked_file(
    impatient_store: HistoryStore, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    records = [make_record() for _ in range(15)]
    writer = HistoryWriter(impatient_store, capacity=10)
    with locked(impatient_store):
        for record in records:
            writer.add(record)
        assert not writer.flush(0.6)  # several attempts
        assert (writer.num_queued, writer.num_written, writer.num_lost) == (10, 0, 5)
    assert writer.flush(20)
    writer.close(10)
    assert ids_in(impatient_store) == sorted(record.id for record in records[:10])
    assert (writer.num_queued, writer.num_written, writer.num_lost) == (0, 10, 5)
    [outage, end] = said_by_the_writer(caplog)
    assert "database is locked" in outage
    assert "5 records were dropped meanwhile" in end


def test_the_writer_waits_while_the_disk_is_full(
    sqlite_store: HistoryStore, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    """Forbid files of this process to grow, as a full disk does."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = HistoryWriter(sqlite_store)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(sqlite_store.place).stat().st_size, limits[1]))
    try:
        for _ in range(20):
            writer.add(make_record(text="x" * 10_000))
        assert not writer.flush(0.5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert writer.flush(20)
    writer.close(10)
    assert len(ids_in(sqlite_store)) == 20
    assert writer.num_lost == 0
    assert len(said_by_the_writer(caplog)) == 2


def test_one_unwritable_record_does_not_block_the_others(
    store: HistoryStore, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    records = [make_record(seed=2**64 if number in (0, 7, 19) else 1) for number in range(20)]
    writer = HistoryWriter(store)
    for record in records:
        writer.add(record)
    writer.close(10)
    assert (writer.num_written, writer.num_lost, writer.num_queued) == (17, 3, 0)
    assert ids_in(store) == sorted(record.id for record in records if record.seed == 1)
    assert len(said_by_the_writer(caplog)) == 3


def test_closing_writes_the_queue_and_accepts_no_more(
    sqlite_store: HistoryStore, make_record: MakeRecord
) -> None:
    writer = HistoryWriter(sqlite_store)
    for _ in range(1_200):
        writer.add(make_record())
    writer.close(20)
    writer.add(make_record())
    assert (writer.num_written, writer.num_lost, writer.num_queued) == (1_200, 1, 0)
    writer.close(20)  # nothing more
    assert len(ids_in(sqlite_store)) == 1_200
    assert writer.flush(0)


def test_closing_has_a_time_limit_and_logs_dropped_records(
    impatient_store: HistoryStore, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    others = threading.enumerate()  # of servers that tests of this process share
    writer = HistoryWriter(impatient_store)
    with locked(impatient_store):
        for _ in range(3):
            writer.add(make_record())
        writer.close(0.5)
    assert (writer.num_written, writer.num_lost, writer.num_queued) == (0, 3, 0)
    assert "3 records of the history could not be written" in said_by_the_writer(caplog)[-1]
    for thread in threading.enumerate():
        if thread.name == "lorelm-history" and thread not in others:
            thread.join(20)
            assert not thread.is_alive()
    assert ids_in(impatient_store) == []


def test_flushed_records_can_be_deleted(
    sqlite_store: HistoryStore, make_record: MakeRecord
) -> None:
    writer = HistoryWriter(sqlite_store)
    for number in range(100):
        writer.add(make_record(browser=f"b{number % 2}"))
    assert writer.flush(20)
    assert sqlite_store.delete_all("b1") == 50
    writer.close(20)
    assert {record.browser for record in sqlite_store.iterate()} == {"b0"}
