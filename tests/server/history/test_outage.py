"""Generation continues while the history is unavailable."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from tests.conftest import PostgresServer
from tests.systems import end, needs_signals

from lorelm.errors import HistoryError
from lorelm.history.store import HistoryStore
from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings

pytestmark = pytest.mark.system

LORELM = [sys.executable, "-m", "lorelm"]


def generate(url: str, seed: int) -> str:
    body = json.dumps({"prompt": "The", "seed": seed, "max_len": 5}).encode()
    request = urllib.request.Request(
        url + "api/generate", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)["samples"][0]["text"]  # type: ignore[no-any-return]


def metric(url: str, name: str) -> float:
    with urllib.request.urlopen(url + "metrics") as response:
        found = re.search(rf"^{name} (\S+)$", response.read().decode(), re.M)
    assert found
    return float(found[1])


def wait_for(url: str, name: str, value: float) -> None:
    give_up = time.monotonic() + 30
    while metric(url, name) != value:
        assert time.monotonic() < give_up
        time.sleep(0.05)


def texts_by_seed(history_url: str) -> list[tuple[int, str]]:
    with HistoryStore(history_url) as store:
        return sorted((record.seed, record.text) for record in store.iterate())


def test_generation_goes_on_while_the_database_is_dead_and_nothing_is_lost(
    start_server: Callable[..., str],
    tiny_bundle: Path,
    postgres_server: PostgresServer,
    postgres_url: str,
) -> None:
    url = start_server(str(tiny_bundle), "--history", postgres_url)
    with ThreadPoolExecutor(8) as people:
        before = [people.submit(generate, url, seed) for seed in range(100)]
        before[50].result()
        postgres_server.kill()
        try:
            texts = [future.result() for future in before]
            texts += people.map(lambda seed: generate(url, seed), range(100, 400))
            num_written = metric(url, "lorelm_history_records_written_total")
            assert num_written < 400
            assert metric(url, "lorelm_history_queue_depth") == 400 - num_written
        finally:
            postgres_server.start()
    wait_for(url, "lorelm_history_queue_depth", 0)
    assert texts_by_seed(postgres_url) == list(enumerate(texts))
    assert metric(url, "lorelm_history_records_lost_total") == 0


def test_the_pages_report_that_the_history_is_unavailable(
    new_app: Callable[..., Flask],
    postgres_server: PostgresServer,
    postgres_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = new_app(history=postgres_url).test_client()
    postgres_server.kill()
    try:
        assert client.get("/").status_code == 200
        assert client.post("/", data={"prompt": "The"}).status_code == 200
        answer = client.get("/history")
        assert answer.status_code == 503
        assert "the history is not available now" in answer.get_data(as_text=True)
        assert "postgresql" not in answer.get_data(as_text=True)
        assert "cannot be read" in caplog.text  # for the operator
        assert client.get("/history/export.json").status_code == 503
    finally:
        postgres_server.start()
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:  # the writer tries again after a pause
        page = client.get("/history").get_data(as_text=True)
        if "<article>" in page:
            break
        time.sleep(0.1)
    assert page.count("<article>") == 1


@needs_signals
@pytest.mark.parametrize("signals", [1, 2], ids=["SIGTERM", "SIGTERM twice"])
def test_queued_records_are_written_when_the_server_stops(
    tiny_bundle: Path, tmp_path: Path, signals: int
) -> None:
    history_url = f"sqlite:///{tmp_path / 'history.db'}"
    server = subprocess.Popen(
        [*LORELM, "serve", str(tiny_bundle), "--port", "0", "--history", history_url],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr
    address = re.search(r"http://\S+/", server.stderr.readline())
    assert address
    texts = [generate(address.group(), seed) for seed in range(5)]
    for _ in range(signals):
        server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=20) == 0
    server.stderr.close()
    assert texts_by_seed(history_url) == list(enumerate(texts))


def test_a_removed_file_is_an_outage_until_it_is_back(
    start_server: Callable[..., str], tiny_bundle: Path, tmp_path: Path
) -> None:
    path, elsewhere = tmp_path / "history.db", tmp_path / "elsewhere"
    elsewhere.mkdir()
    url = start_server(str(tiny_bundle), "--history", f"sqlite:///{path}")
    texts = [generate(url, 0)]
    wait_for(url, "lorelm_history_records_written_total", 1)
    for file in tmp_path.glob("history.db*"):
        file.rename(elsewhere / file.name)
    texts += [generate(url, seed) for seed in (1, 2, 3)]
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(url + "history")
    assert metric(url, "lorelm_history_records_written_total") == 1
    assert not path.exists()
    for file in elsewhere.iterdir():
        file.rename(tmp_path / file.name)
    wait_for(url, "lorelm_history_records_written_total", 4)
    assert texts_by_seed(f"sqlite:///{path}") == list(enumerate(texts))


def test_a_history_named_on_the_command_line_must_open(tiny_bundle: Path) -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/nowhere"
    with pytest.raises(HistoryError, match="cannot be opened"):
        create_app(ServerSettings(bundles=[tiny_bundle], history=url))
    ended = subprocess.run(
        [*LORELM, "serve", str(tiny_bundle), "--port", "0", "--history", url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert re.fullmatch(r"lorelm: the history in .* cannot be opened.*\n", ended.stderr)


def test_without_a_writable_default_history_the_server_runs_without_one(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    server = subprocess.Popen(
        [*LORELM, "serve", str(tiny_bundle), "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"LORELM_DATA": str(tmp_path / "file")},
    )
    assert server.stderr
    assert "serving without a history" in server.stderr.readline()
    address = re.search(r"http://\S+/", server.stderr.readline())
    assert address
    with urllib.request.urlopen(address.group()) as response:
        assert "are not kept" in response.read().decode()
    end(server)
    server.stderr.close()


def test_deleting_waits_for_queued_records(new_app: Callable[..., Flask], tmp_path: Path) -> None:
    client = new_app().test_client()
    client.get("/")
    client.post("/", data={"prompt": "The"})
    [token] = re.findall(r'name="token" value="([^"]+)"', client.get("/history").text)[:1]
    with sqlite3.connect(tmp_path / "history.db") as other:
        other.execute("BEGIN IMMEDIATE")
        client.post("/", data={"prompt": "The"})
        assert "The newest texts are missing here" in client.get("/history").text
        answer = client.post("/history/delete-all", data={"token": token})
        assert answer.status_code == 503
        assert "nothing was deleted" in answer.text
        answer = client.get("/history/export.json")
        assert answer.status_code == 503
        assert "nothing was exported" in answer.text
    other.close()
    assert client.get("/history").text.count("<article>") == 2
    assert client.post("/history/delete-all", data={"token": token}).status_code == 303
    assert client.get("/history").text.count("<article>") == 0


def test_history_and_no_history_exclude_each_other(tiny_bundle: Path) -> None:
    ended = subprocess.run(
        [*LORELM, "serve", str(tiny_bundle), "--no-history", "--history", "sqlite:///x.db"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "exclude each other" in ended.stderr


def test_no_history_overrides_the_environment(
    start_server: Callable[..., str], tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORELM_HISTORY", "sqlite:///nowhere/history.db")
    with urllib.request.urlopen(start_server(str(tiny_bundle), "--no-history")) as response:
        assert "are not kept" in response.read().decode()
