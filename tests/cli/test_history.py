import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lorelm.history.drafts import DraftStore
from lorelm.history.links import LinkStore
from lorelm.history.record import Record
from lorelm.history.store import HistoryStore

pytestmark = pytest.mark.system

Lorelm = Callable[..., "subprocess.CompletedProcess[str]"]


def record(number: int, *, prompt: str = "The fox", model: str = "tales") -> Record:
    """A record; number 0 is of now, each further one a day older."""
    return Record(
        created_at=datetime.now(UTC) - timedelta(days=number),
        browser=f"b{number % 2}",
        source="page",
        model=model,
        fingerprint="0123456789abcdef",
        has_mixture=False,
        has_cache=False,
        prompt=prompt,
        prompt_ids=None,
        settings={"temperature": 0.8},
        seed=number,
        text=f" sat by mill {number}",
        finish_reason="eos",
        num_tokens=4,
        duration_seconds=0.1,
        version="0.1.0",
    )


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A history of ten records, which every command is to find where the environment says."""
    url = f"sqlite:///{tmp_path}/of-tests.db"
    with HistoryStore(url) as store:
        store.add([record(number) for number in range(8)])
        store.add([record(8, prompt="=A hare\x1b[31m, \ud800", model="plays"), record(9)])
    monkeypatch.setenv("LORELM_HISTORY", url)
    return url


def test_the_newest_are_listed(lorelm: Lorelm, url: str) -> None:
    listed = lorelm("history", "list", "--limit", "3").stdout
    assert [f"mill {number}" in listed for number in range(5)] == [True] * 3 + [False] * 2
    assert listed.index("mill 0") < listed.index("mill 2")


def test_the_texts_of_one_browser_are_listed_and_exported(lorelm: Lorelm, url: str) -> None:
    [first, *_] = lorelm("history", "list", "--search", "mill 3").stdout.splitlines()
    browser = first.split("  ")[1]
    assert browser == "b1"
    listed = lorelm("history", "list", "--browser", browser).stdout
    assert [f"mill {number}" in listed for number in range(10)] == [False, True] * 5
    exported = json.loads(lorelm("history", "export", "--browser", browser).stdout)
    assert [one["seed"] for one in exported] == [1, 3, 5, 7, 9]


def test_a_search_is_listed_without_what_a_terminal_would_obey(lorelm: Lorelm, url: str) -> None:
    listed = lorelm("history", "list", "--search", "HARE", "--model", "plays").stdout
    assert "mill 8" in listed
    assert "mill 7" not in listed
    assert "\x1b" not in listed
    assert "nothing was found" in lorelm("history", "list", "--search", "Mordor").stderr


def test_an_export_is_whole_and_reads_back(lorelm: Lorelm, url: str, tmp_path: Path) -> None:
    exported = json.loads(lorelm("history", "export", "--history", url).stdout)
    assert [one["seed"] for one in exported] == [*range(10)]
    assert exported[8]["prompt"] == "=A hare\x1b[31m, \ud800"
    out = tmp_path / "new" / "history.csv"
    lorelm("history", "export", "--format", "csv", "--out", out)
    with out.open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["id"] for row in rows] == [one["id"] for one in exported]
    assert rows[8]["prompt"] == "'=A hare\x1b[31m, \ufffd"
    assert [path.name for path in out.parent.iterdir()] == ["history.csv"]


def test_an_export_that_fails_leaves_an_old_file_as_it_was(
    lorelm: Lorelm, url: str, tmp_path: Path
) -> None:
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "damaged.db").write_text("no database")
    damaged = f"sqlite:///{tmp_path}/damaged.db"
    ended = lorelm("history", "export", "--history", damaged, "--out", "old.json", code=1)
    assert ended.stderr.startswith("lorelm: the history in ")
    assert "file is not a database" in ended.stderr
    assert (tmp_path / "old.json").read_text() == "old"
    below_a_file = tmp_path / "old.json" / "new.json"
    assert "is no folder" in lorelm("history", "export", "--out", below_a_file, code=2).stderr


def test_statistics(lorelm: Lorelm, url: str) -> None:
    stats = json.loads(lorelm("history", "stats", "--json").stdout)
    assert (stats["num_records"], stats["num_tokens"]) == (10, 40)
    assert [(one["model"], one["num_records"]) for one in stats["by_model"]] == [
        ("tales", 9),
        ("plays", 1),
    ]
    assert sum(stats["by_day"].values()) == 10
    shown = lorelm("history", "stats").stdout
    for words in ("records", "of-tests.db", "tales 0123456789abcdef", "page", "eos"):
        assert words in shown


def test_pruning_asks_first(lorelm: Lorelm, url: str) -> None:
    command = [sys.executable, "-m", "lorelm", "history", "prune", "--older-than", "5d"]
    for answer, code in (("n\n", 130), ("", 130), ("y\n", 0)):
        with HistoryStore(url) as store:
            assert len(store.find()) == 10
        ended = subprocess.run(command, input=answer, capture_output=True, text=True, check=False)
        assert ended.returncode == code, ended.stderr
        assert f"Delete 5 records in {url.removeprefix('sqlite:///')} for good?" in ended.stderr
    assert "deleted 5 records" in ended.stderr
    assert "deleted 3 records" in lorelm("history", "prune", "--keep", "2", "--yes").stderr
    with HistoryStore(url) as store:
        assert [one.seed for one in store.find()] == [0, 1]


def test_pruning_makes_the_file_smaller(lorelm: Lorelm, url: str, tmp_path: Path) -> None:
    with HistoryStore(url) as store:
        store.add([record(number, prompt="word " * 1000) for number in range(200)])
    before = (tmp_path / "of-tests.db").stat().st_size
    lorelm("history", "prune", "--keep", "3", "--yes")
    assert (tmp_path / "of-tests.db").stat().st_size < before / 5


def test_drafts_are_found_by_their_text(lorelm: Lorelm, url: str) -> None:
    assert "no drafts were found" in lorelm("history", "drafts").stderr
    with HistoryStore(url) as store:
        DraftStore(store).add("b1", name="Mill\x1b[31m", content=["The fox sat"])
        DraftStore(store).add("b2", name="River", content=["The owl"])
    listed = lorelm("history", "drafts").stdout
    assert "\x1b" not in listed
    assert re.search(r"b1 +Mill.* +The fox sat\n", listed)
    assert "The owl" in listed
    for options in (("--search", "FOX"), ("--browser", "b1"), ("--limit", "1", "--search", "mill")):
        listed = lorelm("history", "drafts", *options).stdout
        assert "The fox sat" in listed
        assert "The owl" not in listed


def test_the_texts_of_one_browser_are_deleted(lorelm: Lorelm, url: str, tmp_path: Path) -> None:
    secret = "a word that only Anna writes"
    with HistoryStore(url) as store:
        for browser in ("b0", "b1"):
            DraftStore(store).add(browser, name="Draft", content=[f"{secret} {browser}"] * 1000)
        LinkStore(store).add("b1", name="Link", content=[secret])
    database = tmp_path / "of-tests.db"
    before = database.stat().st_size
    assert f"{secret} b1".encode() in database.read_bytes()
    command = [sys.executable, "-m", "lorelm", "history", "delete", "--browser", "b1"]
    asked = subprocess.run(command, input="n\n", capture_output=True, text=True, check=False)
    assert asked.returncode == 130
    path = url.removeprefix("sqlite:///")
    assert f"Delete 5 generations, 1 draft and 1 link in {path} for good?" in asked.stderr
    said = lorelm("history", "delete", "--browser", "b1", "--yes").stderr
    assert said == "deleted 5 generations, 1 draft and 1 link\n"
    with HistoryStore(url) as store:
        assert {one.browser for one in store.find()} == {"b0"}
        assert len(store.find()) == 5
        assert [*DraftStore(store).find("b1"), *LinkStore(store).find(None)] == []
        assert len(DraftStore(store).find("b0")) == 1
    assert database.stat().st_size < before
    assert f"{secret} b1".encode() not in database.read_bytes()
    again = lorelm("history", "delete", "--browser", "b1\x1b[31m", "--yes", code=2).stderr
    assert again.startswith("lorelm: there is nothing of a browser 'b1")
    assert "\x1b" not in again


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["delete", "--yes"], 2, "Missing option '--browser'"),
        (["prune", "--yes"], 2, "--older-than, --keep or both"),
        (
            ["prune", "--older-than", "soon"],
            2,
            "'soon' is not a time: write a number and m, h or d",
        ),
        (["prune", "--older-than", "99999999d"], 2, "no date is that long ago"),
        (["prune", "--keep", str(2**63)], 2, "is not in the range"),
        (["list", "--limit", str(2**63)], 2, "is not in the range"),
        (["list", "--history", "history.db"], 2, "lorelm: a history is named by a URL"),
        (
            ["list", "--history", "sqlite:///none.db"],
            1,
            "lorelm: there is no history in none.db yet",
        ),
        (
            ["stats", "--history", "postgresql+psycopg://me:mellon@127.0.0.1:1/db"],
            1,
            "lorelm: the history in postgresql+psycopg://me@127.0.0.1:1/db cannot be opened",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    lorelm: Lorelm, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    ended = lorelm("history", *arguments, code=code)
    assert said in ended.stderr
    assert "mellon" not in ended.stderr
    assert ended.stdout == ""
    assert not [*tmp_path.iterdir()]


def test_a_reader_that_goes_away_is_no_error(url: str) -> None:
    with HistoryStore(url) as store:
        store.add([record(number, prompt="long " * 1000) for number in range(100)])
    ended = subprocess.run(
        f"{sys.executable} -m lorelm history export | head -n 2",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
    assert ended.stdout.startswith("[\n{")


def test_the_commands_work_on_postgresql(lorelm: Lorelm, postgres_url: str) -> None:
    assert (
        "there is no history" in lorelm("history", "list", "--history", postgres_url, code=1).stderr
    )
    with HistoryStore(postgres_url) as store:
        store.add([record(0)])
    assert "mill 0" in lorelm("history", "list", "--history", postgres_url).stdout
    said = lorelm("history", "delete", "--browser", "b0", "--yes", "--history", postgres_url).stderr
    assert said == "deleted 1 generation, 0 drafts and 0 links\n"


def test_links_of_all_writers_are_listed_and_revoked(lorelm: Lorelm, url: str) -> None:
    assert "there are no links" in lorelm("history", "links").stderr
    with HistoryStore(url) as store:
        _, secret = LinkStore(store).add("b1", name="Mill\x1b[31m", content=["The fox"])
        LinkStore(store).add("b2", name="River", content=["The owl"])
    listed = lorelm("history", "links").stdout
    assert "The fox" in listed
    assert "The owl" in listed
    assert "\x1b" not in listed
    assert secret not in listed
    [link_id] = re.findall(r"([0-9a-f]{32}) +b1 +Mill", listed)
    lorelm("history", "links", "--revoke", link_id)
    assert "The fox" not in lorelm("history", "links").stdout
    refused = lorelm("history", "links", "--revoke", link_id, code=2)
    assert "there is no such link" in refused.stderr
