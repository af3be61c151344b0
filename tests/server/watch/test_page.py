"""The page of a run, over HTTP."""

import json
import socket
import time
import urllib.request
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lorelm.server.watch.page import WatchServer, watch_app
from lorelm.server.watch.parts import about
from lorelm.server.watch.watched_run import WatchedRun

pytestmark = pytest.mark.system

ABOUT = about("<tales>.txt", Path("my-model"), is_live=True)


@pytest.fixture
def run() -> WatchedRun:
    return WatchedRun(ABOUT)


def test_the_page_has_the_headers_and_the_files_of_the_others(run: WatchedRun) -> None:
    client = watch_app(run).test_client()
    page = client.get("/", headers={"Host": "127.0.0.1:4321"})
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "<strong><bdi>&lt;tales&gt;.txt</bdi></strong>" in page.text
    for name in ("watch.css", "watch.js", "style.css"):
        assert f"static/{name}" in page.text
        with client.get(f"/static/{name}", headers={"Host": "localhost"}) as file:
            assert file.status_code == 200
    assert client.get("/api/generate", headers={"Host": "localhost"}).status_code == 404


def test_another_name_of_this_machine_is_refused(run: WatchedRun) -> None:
    """A site whose name leads to 127.0.0.1 would otherwise read the samples."""
    client = watch_app(run).test_client()
    for path in ("/", "/events"):
        assert client.get(path, headers={"Host": "evil.example"}).status_code == 400


def test_it_listens_on_this_machine_alone_and_stops(run: WatchedRun) -> None:
    with WatchServer(run) as server:
        address = urlsplit(server.url)
        assert address.hostname == "127.0.0.1"
        assert address.port
        assert urllib.request.urlopen(server.url).status == 200
    give_up = time.monotonic() + 5
    while not is_refused(address.port):
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_a_stream_gets_the_end_before_the_server_stops(run: WatchedRun) -> None:
    run.put(stage="training")
    with WatchServer(run) as server:
        connection = HTTPConnection("127.0.0.1", urlsplit(server.url).port or 0, timeout=10)
        connection.request("GET", "/events")
        response = connection.getresponse()
        assert response.getheader("Content-Type") == "text/event-stream; charset=utf-8"
        assert event(response.readline()) == {"stage": "training"}
        run.put(end={"message": "stopped"})
    rest = [event(line) for line in response if line.startswith(b"data: ")]
    assert rest == [{"end": {"message": "stopped"}}]
    connection.close()


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


def event(line: bytes) -> object:
    return json.loads(line.removeprefix(b"data: "))
