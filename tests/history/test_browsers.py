from collections.abc import Callable

import pytest

from lorelm.errors import HistoryError
from lorelm.history import browsers
from lorelm.history.browsers import BrowserTexts, count_texts, delete_texts
from lorelm.history.drafts import DraftStore
from lorelm.history.links import LinkStore
from lorelm.history.record import Record
from lorelm.history.store import HistoryStore
from lorelm.history.tables import METADATA

pytestmark = pytest.mark.system

MakeRecord = Callable[..., Record]

NOTHING = BrowserTexts(0, 0, 0)


@pytest.fixture
def filled(store: HistoryStore, make_record: MakeRecord) -> HistoryStore:
    """A store with texts of two browsers and of a program."""
    names = ("b1", "b1\x00", None)
    store.add([make_record(browser=browser) for browser in names for _ in range(3)])
    for browser in ("b1", "b1\x00"):
        for name in ("one", "two"):
            DraftStore(store).add(browser, name=name, content=["The fox"])
        LinkStore(store).add(browser, name="link", content=["The fox"])
    return store


def test_all_tables_with_rows_of_browsers_are_known() -> None:
    assert {*browsers.TABLES} == {
        table for table in METADATA.tables.values() if "browser" in table.columns
    }


def test_all_texts_of_a_browser_are_deleted_and_no_others(filled: HistoryStore) -> None:
    for browser, other in (("b1", "b1\x00"), ("b1\x00", "b2")):
        expected = BrowserTexts(num_records=3, num_drafts=2, num_links=1)
        assert count_texts(filled, browser) == expected
        others = count_texts(filled, other)
        assert delete_texts(filled, browser) == expected
        assert count_texts(filled, browser) == delete_texts(filled, browser) == NOTHING
        assert count_texts(filled, other) == others
        assert [*LinkStore(filled).find(browser), *DraftStore(filled).find(browser)] == []
    assert [record.browser for record in filled.find()] == [None] * 3


def test_a_failure_deletes_nothing(filled: HistoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    records, drafts, links = browsers.TABLES
    missing = links.to_metadata(type(METADATA)(), name="history_missing")
    monkeypatch.setattr(browsers, "TABLES", (records, drafts, missing))
    with pytest.raises(HistoryError, match="cannot be written"):
        delete_texts(filled, "b1")
    monkeypatch.undo()
    assert count_texts(filled, "b1") == BrowserTexts(3, 2, 1)
