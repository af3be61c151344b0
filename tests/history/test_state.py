from pathlib import Path

import pytest
from sqlalchemy import text
from tests.errors import raises_code
from tests.history.conftest import MakeRecord

from lorelm.errors import HistoryError
from lorelm.history.state import read_state
from lorelm.history.store import HistoryStore
from lorelm.history.tables import REVISIONS


def test_a_history_is_described(
    store: HistoryStore, history_url: str, make_record: MakeRecord
) -> None:
    store.add([make_record(seed=seed) for seed in range(3)])
    state = read_state(history_url)
    assert state.place == store.place
    assert state.revision == state.newest_revision == REVISIONS[-1]
    assert state.num_records == 3
    assert state.num_bytes == store.stats().size_bytes > 0


def test_where_there_is_none_none_is_made(history_url: str, tmp_path: Path) -> None:
    state = read_state(history_url)
    assert (state.revision, state.num_records, state.num_bytes) == (None, 0, 0)
    assert list(tmp_path.iterdir()) == []


def test_an_older_one_is_not_upgraded(store: HistoryStore, history_url: str) -> None:
    with store.writing() as connection:
        connection.execute(text("DROP TABLE history_drafts"))
        connection.execute(text("UPDATE history_version SET version_num = '0001'"))
    assert [read_state(history_url).revision for _ in range(2)] == ["0001", "0001"]
    assert read_state(history_url).num_bytes > 0


def test_a_later_one_and_a_damaged_one_are_errors(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    with HistoryStore(url) as store, store.writing() as connection:
        connection.execute(text("UPDATE history_version SET version_num = '9999'"))
    with raises_code(HistoryError, "history.later_version"):
        read_state(url)
    (tmp_path / "history.db").write_bytes(b"Once upon a time" * 1000)
    with pytest.raises(HistoryError, match="cannot be read"):
        read_state(url)
