import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.errors import raises_code

from lorelm.errors import HistoryError, InputError, UnwritableRecordError
from lorelm.history import database
from lorelm.history.record import Record
from lorelm.history.store import HistoryStore

pytestmark = pytest.mark.system

MakeRecord = Callable[..., Record]

ANY_TEXT = st.text(st.characters() | st.sampled_from("\x00\x1a\ud800%_\\ßİ"))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)
on_a_database = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

BEGAN_AT = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)


@pytest.fixture
def many(store: HistoryStore, make_record: MakeRecord) -> list[Record]:
    """Records in the store, oldest first, in groups of three with the same time."""
    records = [
        make_record(
            created_at=BEGAN_AT + timedelta(seconds=number // 3),
            browser=[None, "b1", "b2"][number % 3],
            model=["tales", "plays"][number % 2],
            prompt=f"prompt {number}",
        )
        for number in range(30)
    ]
    store.add(records)
    return records


@on_a_database
@given(
    fields=st.fixed_dictionaries(
        {
            "created_at": st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)),
            "browser": st.none() | st.text(max_size=32),
            "model": ANY_TEXT,
            "has_mixture": st.booleans(),
            "has_cache": st.booleans(),
            "prompt": ANY_TEXT,
            "prompt_ids": st.none() | st.lists(st.integers(0, 2**31)),
            "settings": st.dictionaries(ANY_TEXT, JSON, max_size=3),
            "seed": st.integers(0, 2**63 - 1),
            "text": ANY_TEXT,
            "num_tokens": st.integers(0, 2**40),
            "duration_seconds": st.floats(0, 1e6),
        }
    )
)
def test_every_record_is_read_back_unchanged(
    store: HistoryStore, make_record: MakeRecord, fields: dict[str, Any]
) -> None:
    record = make_record(**fields)
    store.add([record])
    assert store.get(record.id) == record


def test_pages_contain_every_record_once_newest_first(
    store: HistoryStore, many: list[Record]
) -> None:
    found: list[Record] = []
    while page := store.find(limit=7, before=found[-1].id if found else None):
        found += page
    assert found == many[::-1]
    assert [*store.iterate()] == found


def test_a_page_begins_where_a_deleted_record_stood(
    store: HistoryStore, many: list[Record]
) -> None:
    gone = many[13]
    assert store.delete([gone.id], browser=None) == 1
    assert store.find(before=gone.id) == many[12::-1]
    with raises_code(InputError, "history.no_record"):
        store.find(before="bogus")


def test_a_browser_sees_and_deletes_only_its_own(store: HistoryStore, many: list[Record]) -> None:
    mine, others = many[1::3], [*many[0::3], *many[2::3]]
    assert store.find(browser="b1") == mine[::-1] == [*store.iterate(browser="b1")]
    assert store.get(mine[0].id, browser="b1") == mine[0]
    assert store.get(others[0].id, browser="b1") is None
    assert store.delete([record.id for record in many[:6]], browser="b1") == 2
    assert store.find(browser="b1") == mine[:1:-1]
    assert store.delete_all("b1") == len(mine) - 2
    assert store.find(browser="b1") == []
    assert sorted(record.id for record in store.find()) == sorted(record.id for record in others)


def test_records_can_be_filtered_by_model(store: HistoryStore, many: list[Record]) -> None:
    assert store.find(model="plays") == many[1::2][::-1]


@on_a_database
@given(prompt=ANY_TEXT, text=ANY_TEXT, term=ANY_TEXT, start=st.integers(0, 9))
@example(prompt="Die Straße", text=" nach Wien", term="STRASSE NACH", start=0)
@example(prompt="100 %", text="", term="0%", start=0)
@example(prompt="a_b", text="", term="_", start=0)
@example(prompt="ab", text="", term="_", start=0)
@example(prompt="x\x00ЖУК", text="\ud800", term="\x00жук\ud800", start=0)
def test_search_ignores_case(
    store: HistoryStore, make_record: MakeRecord, *, prompt: str, text: str, term: str, start: int
) -> None:
    record = make_record(prompt=prompt, text=text)
    store.add([record])
    part = (prompt + text)[start : start + 4]
    for wanted in (part, part.casefold(), term):
        stands_there = wanted.casefold() in (prompt + text).casefold()
        assert (record in store.find(search=wanted, limit=1000)) == stands_there


def test_adding_a_record_twice_writes_it_once(store: HistoryStore, make_record: MakeRecord) -> None:
    first, second = make_record(), make_record()
    store.add([first])
    store.add([first, second])
    store.add([])
    assert store.find() == [second, first]


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": 2**64},
        {"seed": "seven"},
        {"settings": {"temperature": float("nan")}},
        {"settings": {"words": {"a set"}}},
        {"prompt": None},
        {"source": None},
        {"duration_seconds": float("nan")},
    ],
)
def test_records_are_written_in_one_transaction(
    sqlite_store: HistoryStore, make_record: MakeRecord, wrong: dict[str, Any]
) -> None:
    with pytest.raises(UnwritableRecordError):
        sqlite_store.add([make_record(), make_record(**wrong)])
    assert sqlite_store.find() == []


@pytest.mark.parametrize("wrong", [{"seed": 2**64}, {"browser": "b" * 65}, {"id": "i" * 5000}])
def test_postgresql_rejections_are_not_outages(
    postgres_url: str, make_record: MakeRecord, wrong: dict[str, Any]
) -> None:
    with HistoryStore(postgres_url) as store:
        with pytest.raises(UnwritableRecordError):
            store.add([make_record(), make_record(**wrong)])
        assert store.find() == []


@pytest.mark.parametrize("keep", [None, 0, 1, 12, 30, 31])
@pytest.mark.parametrize("seconds", [None, 4])
def test_pruning_keeps_the_newest(
    sqlite_store: HistoryStore, make_record: MakeRecord, keep: int | None, seconds: int | None
) -> None:
    check_pruning(sqlite_store, make_record, keep=keep, seconds=seconds)


def test_pruning_in_postgresql(postgres_url: str, make_record: MakeRecord) -> None:
    with HistoryStore(postgres_url) as store:
        check_pruning(store, make_record, keep=12, seconds=4)


def check_pruning(
    store: HistoryStore, make_record: MakeRecord, *, keep: int | None, seconds: int | None
) -> None:
    records = [
        make_record(created_at=BEGAN_AT + timedelta(seconds=number // 3)) for number in range(30)
    ]
    store.add(records)
    before = None if seconds is None else BEGAN_AT + timedelta(seconds=seconds)
    if before is None and keep is None:
        with pytest.raises(InputError):
            store.prune()
        return
    left = [record for record in records[::-1] if before is None or record.created_at >= before]
    left = left[:keep]
    assert store.num_to_prune(before, keep) == len(records) - len(left)
    assert store.prune(older_than=before, keep=keep) == len(records) - len(left)
    assert store.find() == left


def test_statistics_count_all_records(store: HistoryStore, make_record: MakeRecord) -> None:
    now = datetime.now(UTC)
    records = [
        make_record(
            created_at=now - timedelta(days=number % 40),
            model=["tales", "plays"][number % 2],
            source=["page", "api", "openai"][number % 3],
            finish_reason=["eos", "length"][number % 4 // 3],
            num_tokens=number,
            duration_seconds=number / 8,
        )
        for number in range(80)
    ]
    empty = store.stats()
    assert (empty.num_records, empty.num_tokens, empty.first_at, empty.by_model) == (0, 0, None, [])
    assert empty.mean_duration_seconds is None
    store.add(records)
    found = store.stats()
    assert found.num_records == 80
    assert found.num_tokens == sum(range(80))
    assert found.mean_duration_seconds == pytest.approx(sum(range(80)) / 8 / 80)
    assert (found.first_at, found.last_at) == (now - timedelta(days=39), now)
    assert found.by_source == Counter(record.source for record in records)
    assert found.by_finish_reason == Counter(record.finish_reason for record in records)
    assert [*found.by_finish_reason] == ["eos", "length"]
    assert {one.model: one.num_tokens for one in found.by_model} == {
        "tales": sum(range(0, 80, 2)),
        "plays": sum(range(1, 80, 2)),
    }
    days = Counter(record.created_at.date() for record in records)
    assert len(found.by_day) == 30
    assert all(count == days[day] == 2 for day, count in found.by_day.items())
    assert found.size_bytes > 10_000


def test_an_export_holds_a_page_at_a_time(
    sqlite_store: HistoryStore, make_record: MakeRecord
) -> None:
    sqlite_store.add([make_record() for _ in range(500)])
    records = sqlite_store.iterate()
    next(records)
    sqlite_store.prune(keep=0)
    assert sum(1 for _ in records) < 300


def test_shrinking_a_pruned_history_frees_its_space(
    store: HistoryStore, history_url: str, make_record: MakeRecord
) -> None:
    store.add([make_record(text="word " * 1000) for _ in range(400)])
    before = store.stats().size_bytes
    store.prune(keep=1)
    with HistoryStore(history_url) as other:  # such as that of a server
        kept = other.find()
        store.shrink()
        assert other.find() == kept
    [path] = re.findall("sqlite:///(.*)", history_url) or [None]
    if path is not None:
        assert before > 2e6
        assert store.stats().size_bytes < 200_000
        assert sum(file.stat().st_size for file in Path(path).parent.glob("history.db*")) < 300_000


def test_the_signing_key_is_the_same_for_all_servers(store: HistoryStore, history_url: str) -> None:
    key = store.signing_key()
    with HistoryStore(history_url) as other:
        assert other.signing_key() == key
    assert len(key) == 32


def servers_that_open(url: str) -> "list[subprocess.Popen[str]]":
    """Start four processes that open a history at the same moment and print its key."""
    code = """
import sys
import alembic.command, lorelm.history.store as it
input()
with it.HistoryStore(sys.argv[1]) as store:
    print(store.signing_key().hex())
"""
    servers = [
        subprocess.Popen(
            [sys.executable, "-c", code, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for server in servers:
        assert server.stdin
        server.stdin.write("\n")
        server.stdin.flush()
    return servers


def check_that_all_opened(servers: "list[subprocess.Popen[str]]") -> None:
    ended = [server.communicate() for server in servers]
    assert all(server.returncode == 0 for server in servers), ended
    assert len({out for out, _ in ended}) == 1


def test_several_servers_can_open_a_new_file_at_once(tmp_path: Path) -> None:
    """All processes have seen that there are no tables before the first creates them."""
    path = tmp_path / "history.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("BEGIN IMMEDIATE")
    servers = servers_that_open(f"sqlite:///{path}")
    time.sleep(1.5)  # if it is too short for this machine, they are not at it at once
    other.execute("ROLLBACK")
    other.close()
    check_that_all_opened(servers)


def test_several_servers_can_migrate_postgresql_at_once(postgres_url: str) -> None:
    """All processes wait for the lock before the first creates the tables."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute(f"SELECT pg_advisory_lock({database.ADVISORY_LOCK})")
        servers = servers_that_open(postgres_url)
        while other.execute(waiting).fetchone() != (4,):
            assert all(server.poll() is None for server in servers)
            time.sleep(0.02)
    check_that_all_opened(servers)


def test_several_servers_can_create_a_file_at_once(tmp_path: Path) -> None:
    check_that_all_opened(servers_that_open(f"sqlite:///{tmp_path}/history.db"))


def test_deleted_texts_are_not_left_in_the_file(
    sqlite_store: HistoryStore, make_record: MakeRecord
) -> None:
    sqlite_store.add([make_record(prompt="a secret of mine")])
    assert sqlite_store.delete_all("b1") == 1
    sqlite_store.close()  # the last one to close puts what is beside the file into it
    with open(sqlite_store.place, "rb") as file:  # noqa: PTH123
        assert b"a secret of mine" not in file.read()


def test_a_lost_connection_is_reported_and_replaced(
    postgres_server: Any, postgres_url: str, make_record: MakeRecord
) -> None:
    with HistoryStore(postgres_url) as store:
        store.add([make_record()])
        postgres_server.kill()
        postgres_server.start()
        assert len(store.find()) == 1  # of connections that broke nothing is seen
        postgres_server.kill()
        for ask in (store.find, store.stats, lambda: store.add([make_record()])):
            with pytest.raises(HistoryError) as caught:
                ask()
            assert "\n" not in str(caught.value)
            assert not isinstance(caught.value, UnwritableRecordError)
        postgres_server.start()
        assert len(store.find()) == 1


@pytest.mark.parametrize("how", ["by its id", "all of a browser's", "by its age"])
def test_deleted_texts_are_overwritten_in_all_files(
    sqlite_store: HistoryStore, tmp_path: Path, make_record: MakeRecord, how: str
) -> None:
    record = make_record(prompt="secret as the grave", browser="mine")
    sqlite_store.add([record, make_record(prompt="known to all")])

    def on_disk() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

    assert b"secret as the grave" in on_disk()
    if how == "by its id":
        sqlite_store.delete([record.id], browser="mine")
    elif how == "all of a browser's":
        sqlite_store.delete_all("mine")
    else:
        sqlite_store.prune(keep=0)
    assert b"secret as the grave" not in on_disk()
