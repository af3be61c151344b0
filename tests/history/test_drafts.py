import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.errors import raises_code

from lorelm.errors import DraftConflictError, DraftError, UnknownDraftError
from lorelm.history import drafts as module
from lorelm.history.content import excerpt_of, text_of
from lorelm.history.drafts import Draft, DraftStore, place_of
from lorelm.history.store import HistoryStore

pytestmark = pytest.mark.system

ANY_TEXT = st.text(st.characters() | st.sampled_from("\x00\x1a\ud800%_\\ßİ"), max_size=20)
CONTENT: list[Any] = ["The fox ", ["sat", -1.5], " by ", ["the", -0.25, 6], "\n"]


@pytest.fixture
def drafts(store: HistoryStore) -> DraftStore:
    return DraftStore(store)


def names(found: list[Draft]) -> list[str]:
    return [draft.name for draft in found]


def test_a_draft_is_read_back_as_it_was_kept(drafts: DraftStore) -> None:
    added = drafts.add("b1", name="The mill", content=CONTENT, model="tales")
    kept = drafts.get("b1", added.id)
    assert kept.content == CONTENT
    assert (kept.name, kept.model, kept.version, kept.is_starred) == ("The mill", "tales", 1, False)
    assert kept.excerpt == "The fox sat by the"
    assert added.content is None
    assert kept.created_at == kept.changed_at == added.created_at


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=ANY_TEXT,
    model=ANY_TEXT,
    content=st.lists(ANY_TEXT | st.tuples(ANY_TEXT, st.floats(-1e3, 0)).map(list)),
)
def test_every_text_is_read_back_unchanged(
    drafts: DraftStore, name: str, model: str, content: list[Any]
) -> None:
    added = drafts.add("b1", name=name, content=content, model=model)
    kept = drafts.delete("b1", added.id)
    assert (kept.name, kept.model, kept.content) == (name, model, content)


def test_the_drafts_of_all_browsers_are_found(drafts: DraftStore) -> None:
    for browser in ("b1", "b2\x00"):
        drafts.add(browser, name=f"of {browser}", content=CONTENT)
    assert [draft.browser for draft in drafts.find(None)] == ["b2\x00", "b1"]
    assert names(drafts.find(None, search="of b1")) == ["of b1"]


def test_a_save_names_the_version_that_it_replaces(drafts: DraftStore) -> None:
    draft = drafts.add("b1", name="The mill", content=CONTENT)
    one = drafts.save("b1", draft.id, version=1, content=["From one tab"], model="tales")
    assert (one.version, one.excerpt) == (2, "From one tab")
    with raises_code(DraftConflictError, "draft.conflict"):
        drafts.save("b1", draft.id, version=1, content=["From the other tab"], model="")
    assert drafts.get("b1", draft.id).content == ["From one tab"]
    other = drafts.save("b1", draft.id, version=2, content=["From the other tab"], model="")
    assert other.version == 3


def test_a_text_that_is_kept_already_is_no_conflict(drafts: DraftStore) -> None:
    """The reply to a save may get lost, above all when its page is closed."""
    draft = drafts.add("b1", name="The mill", content=CONTENT)
    drafts.save("b1", draft.id, version=1, content=["New"], model="")
    again = drafts.save("b1", draft.id, version=1, content=["New"], model="")
    assert again.version == 2


def test_of_tabs_that_save_at_once_one_succeeds(drafts: DraftStore) -> None:
    draft = drafts.add("b1", name="The mill", content=CONTENT)
    outcomes: list[str] = []

    def save(number: int) -> None:
        try:
            drafts.save("b1", draft.id, version=1, content=[f"From tab {number}"], model="")
            outcomes.append("saved")
        except DraftConflictError:
            outcomes.append("conflict")

    tabs = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert sorted(outcomes) == ["conflict"] * 7 + ["saved"]
    assert drafts.get("b1", draft.id).version == 2


def test_a_new_name_or_a_star_leaves_text_and_version(drafts: DraftStore) -> None:
    draft = drafts.add("b1", name="The mill", content=CONTENT)
    drafts.change("b1", draft.id, name="The river")
    changed = drafts.change("b1", draft.id, is_starred=True)
    assert (changed.name, changed.is_starred, changed.version) == ("The river", True, 1)
    assert changed.changed_at == draft.changed_at
    assert drafts.get("b1", draft.id).content == CONTENT
    assert names(drafts.find("b1", search="RIVER")) == ["The river"]
    assert drafts.find("b1", search="mill") == []


def test_starred_drafts_come_first_then_the_last_changed(drafts: DraftStore) -> None:
    made = {name: drafts.add("b1", name=name, content=[name]) for name in "abcd"}
    drafts.change("b1", made["b"].id, is_starred=True)
    drafts.save("b1", made["a"].id, version=1, content=["changed"], model="")
    assert names(drafts.find("b1")) == ["b", "a", "d", "c"]


def test_pages_contain_every_draft_once(drafts: DraftStore) -> None:
    made = [drafts.add("b1", name=str(i), content=[], is_starred=i % 3 == 0) for i in range(20)]
    found: list[Draft] = []
    while page := drafts.find("b1", after=place_of(found[-1]) if found else None, limit=3):
        found += page
    starred = [draft for draft in reversed(made) if draft.is_starred]
    others = [draft for draft in reversed(made) if not draft.is_starred]
    assert found == starred + others


@pytest.mark.parametrize("place", ["", "2.1.0", "1.x.0", f"1.{9**30}.{'0' * 32}", "1.1.' OR 1=1"])
def test_a_page_begins_at_a_place_only(drafts: DraftStore, place: str) -> None:
    with raises_code(DraftError, "draft.place"):
        drafts.find("b1", after=place)


def test_a_search_finds_names_and_texts_regardless_of_case(drafts: DraftStore) -> None:
    drafts.add("b1", name="Straße", content=["x", [" 100%_", -1.0]])
    drafts.add("b1", name="other", content=["y"])
    for search in ("STRASSE", "x 100%_", "%"):
        assert names(drafts.find("b1", search=search)) == ["Straße"]


def test_a_browser_reaches_only_its_own_drafts(drafts: DraftStore) -> None:
    draft = drafts.add("b1", name="Mine", content=CONTENT)
    for attack in (
        lambda: drafts.get("b2", draft.id),
        lambda: drafts.save("b2", draft.id, version=1, content=["x"], model=""),
        lambda: drafts.change("b2", draft.id, name="x"),
        lambda: drafts.delete("b2", draft.id),
        lambda: drafts.get("b1", "' OR ''='"),
    ):
        with raises_code(UnknownDraftError, "draft.unknown"):
            attack()
    assert drafts.find("b2") == []
    assert drafts.get("b1", draft.id).content == CONTENT


def test_the_number_of_drafts_is_limited(
    drafts: DraftStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_DRAFTS", 2)
    first = drafts.add("b1", name="1", content=[])
    drafts.add("b1", name="2", content=[])
    with raises_code(DraftError, "draft.too_many"):
        drafts.add("b1", name="3", content=[])
    drafts.add("b2", name="of another browser", content=[])
    drafts.delete("b1", first.id)
    drafts.add("b1", name="3", content=[])
    assert names(drafts.find("b1")) == ["3", "2"]


def test_a_deleted_draft_leaves_nothing_in_the_file(
    sqlite_store: HistoryStore, tmp_path: Path
) -> None:
    drafts = DraftStore(sqlite_store)
    draft = drafts.add("b1", name="Confidential", content=["a most private text"])
    drafts.delete("b1", draft.id)
    for file in tmp_path.iterdir():
        assert b"private" not in file.read_bytes()
        assert b"Confidential" not in file.read_bytes()


def test_an_excerpt_is_one_short_line() -> None:
    content = ["  One\n\n", ["two", -1], "\tthree ", "x" * 10_000]
    assert excerpt_of(content).startswith("One two three xxx")
    assert len(excerpt_of(content)) == 160
    assert text_of([["two", -1], " three"]) == "two three"
