import os
import re
import shlex
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_history import record
from tests.docs.markdown import ROOT, commands

from lorelm.history.store import HistoryStore

pytestmark = pytest.mark.system

Lorelm = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A history of ten records, where the environment says."""
    url = f"sqlite:///{tmp_path}/of-tests.db"
    with HistoryStore(url) as store:
        store.add([record(number) for number in range(10)])
    monkeypatch.setenv("LORELM_HISTORY", url)
    return url


def num_records(url: str) -> int:
    with HistoryStore(url) as store:
        return store.stats().num_records


def test_the_commands_of_the_guide_bring_a_history_back(lorelm: Lorelm, url: str) -> None:
    guide = [
        shlex.split(line)[1:]
        for line in commands(ROOT / "docs" / "guides" / "history.md")
        if re.match("lorelm history (backup|restore|upgrade)", line)
    ]
    backup, restore, before_upgrade, upgrade = guide
    assert "10 records" in lorelm(*backup).stderr
    with HistoryStore(url) as store:
        store.prune(keep=2)
    assert "10 records" in lorelm(*restore).stderr
    assert num_records(url) == 10
    assert "10 records" in lorelm(*before_upgrade).stderr
    assert "is of this version: 10 records" in lorelm(*upgrade).stderr


def test_a_history_that_exists_is_kept(lorelm: Lorelm, url: str, tmp_path: Path) -> None:
    lorelm("history", "backup", "backup.db")
    with HistoryStore(url) as store:
        store.prune(keep=2)
    refused = lorelm("history", "restore", "backup.db", code=1)
    assert refused.stderr == (
        f"lorelm: there is a history in {tmp_path}/of-tests.db already: --yes replaces it\n"
    )
    assert num_records(url) == 2


def test_a_wrong_file_is_said_in_a_line(lorelm: Lorelm, url: str, tmp_path: Path) -> None:
    (tmp_path / "novel.txt").write_text("Once upon a time")
    ended = lorelm("history", "restore", "novel.txt", "--yes", code=1)
    assert ended.stderr == (
        "lorelm: novel.txt is no backup of a history (file is not a database)\n"
    )
    ended = lorelm("history", "backup", "novel.txt", code=1)
    assert "novel.txt exists and is no backup of a history: name another file" in ended.stderr
    ended = lorelm("history", "backup", "novel.txt/backup.db", code=1)
    assert "cannot be copied to novel.txt/backup.db: " in ended.stderr
    assert num_records(url) == 10


def test_the_commands_for_postgresql_do_what_is_said(
    lorelm: Lorelm, postgres_server: Any, tmp_path: Path
) -> None:
    url = postgres_server.new_database().replace("tests@", "tests:speak%20friend@")
    with HistoryStore(url) as store:
        store.add([record(number) for number in range(10)])
    path = f"{os.environ['PATH']}:{postgres_server.programs}"

    def run_command_of(name: str) -> None:
        ended = lorelm("history", name, "backup of PostgreSQL", "--history", url, code=1)
        assert "friend" not in ended.stderr
        command = ended.stderr.rpartition("own program: ")[2]
        subprocess.run(
            shlex.split(command), cwd=tmp_path, env=os.environ | {"PATH": path}, check=True
        )

    run_command_of("backup")
    with HistoryStore(url) as store:
        store.prune(keep=2)
    run_command_of("restore")
    assert num_records(url) == 10


def test_an_old_history_is_upgraded_by_a_command(lorelm: Lorelm, url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "of-tests.db")) as database, database:
        database.execute("DROP TABLE history_drafts")
        database.execute("DROP TABLE history_links")
        database.execute("UPDATE history_version SET version_num = '0001'")
    said = lorelm("history", "upgrade").stderr
    assert said == f"the history in {tmp_path}/of-tests.db was upgraded: 10 records\n"
    assert "is of this version" in lorelm("history", "upgrade").stderr


def test_nothing_is_not_upgraded(lorelm: Lorelm, tmp_path: Path) -> None:
    nothing = f"sqlite:///{tmp_path}/nothing.db"
    assert "nothing.db" in lorelm("history", "upgrade", "--history", nothing, code=1).stderr
    assert not (tmp_path / "nothing.db").exists()
