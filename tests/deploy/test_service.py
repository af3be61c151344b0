"""Two replicas behind nginx, as `deploy/` has them, are one service."""

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPMessage
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.conftest import PostgresServer
from tests.deploy.cluster import HERE, Cluster, cluster_of, free_port, redis, redis_url, wait_for

import lorelm

pytestmark = pytest.mark.system

PROMPT = "The fox"
LIMIT = 40


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: HTTPMessage
    body: str

    @property
    def text(self) -> str:
        return str(json.loads(self.body)["samples"][0]["text"])


def ask(url: str, path: str, body: object = None, **headers: str) -> Answer:
    """Send a request to nginx or to a replica."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
        headers = {"Content-Type": "application/json"} | headers
        method = "GET" if body is None else "POST"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        said = response.read().decode()
        return Answer(status=response.status, headers=response.headers, body=said)


@pytest.fixture(scope="module")
def cluster(
    tiny_bundle: Path, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    counts = redis(HERE, port, folder)
    counts.start()
    limits = ("--rate-limit", f"{LIMIT}/hour", "--rate-limit-storage", redis_url(HERE, port))
    history = postgres_server.new_database()
    with cluster_of([str(tiny_bundle), "--history", history, *limits], folder) as cluster:
        yield cluster
    counts.stop()


def test_two_replicas_are_one_service(cluster: Cluster, tiny_bundle: Path) -> None:
    """In one test, for the limit counts all requests."""
    urls = [f"http://{each.address}/" for each in cluster.replicas]
    body = {"prompt": PROMPT, "seed": 3}
    texts = {ask(url, "/api/generate", body).text for url in (*urls, *[cluster.url] * 8)}
    assert texts == {lorelm.load(tiny_bundle).generate(PROMPT, seed=3).text}

    # A cookie of one is one of the other, and so is the history.
    with_page = {"Lorelm-Page": "1"}
    first = ask(urls[0], "/api/generate", {"prompt": "The owl", "seed": 4}, **with_page)
    cookie = first.headers["Set-Cookie"].partition(";")[0]
    second = ask(urls[1], "/api/generate", body, Cookie=cookie, **with_page)
    assert second.headers["Set-Cookie"] is None or cookie in second.headers["Set-Cookie"]
    wait_for(lambda: ask(urls[1], "/history", Cookie=cookie).body.count("<article>") == 2)
    assert "The owl" in ask(urls[1], "/history", Cookie=cookie).body

    # Both count, for clients behind nginx and for others.
    num_before = 12
    statuses = Counter(ask(url, "/api/generate", body).status for url in urls * LIMIT)
    assert statuses[200] == LIMIT - num_before
    assert statuses[429] == 2 * LIMIT - statuses[200]
    assert ask(cluster.url, "/api/generate", body).status == 429

    served = [each.metric("lorelm_requests_total") for each in cluster.replicas]
    assert min(served) > LIMIT


def test_what_is_not_for_clients_stays_inside(cluster: Cluster) -> None:
    assert ask(cluster.url, "/metrics").status == 404
    assert ask(cluster.url, "/readyz").status == 200


def test_a_page_and_its_files_come_through(cluster: Cluster) -> None:
    page = ask(cluster.url, "/")
    assert "<textarea" in page.body
    assert ask(cluster.url, "/static/api.js").status == 200
    assert len(page.headers["X-Request-Id"]) == 32
