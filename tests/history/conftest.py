from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lorelm.history.record import Record
from lorelm.history.store import HistoryStore

MakeRecord = Callable[..., Record]


@pytest.fixture(scope="session")
def make_record() -> MakeRecord:
    """Create a record with default fields."""

    def make(**others: Any) -> Record:
        fields: dict[str, Any] = {
            "created_at": datetime.now(UTC),
            "browser": "b1",
            "source": "page",
            "model": "tales",
            "fingerprint": "0123456789abcdef",
            "has_mixture": False,
            "has_cache": False,
            "prompt": "The fox sat",
            "prompt_ids": None,
            "settings": {"temperature": 0.8, "stop": ["."], "seed": None},
            "seed": 7,
            "text": " by the mill",
            "finish_reason": "eos",
            "num_tokens": 3,
            "duration_seconds": 0.25,
            "version": "0.1.0",
        }
        return Record(**fields | others)

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def history_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a new history in each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/history.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def store(history_url: str) -> Iterator[HistoryStore]:
    with HistoryStore(history_url) as store:
        yield store


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[HistoryStore]:
    with HistoryStore(f"sqlite:///{tmp_path}/history.db") as store:
        yield store
