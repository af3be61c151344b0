"""Replicas below a path of a site with TLS, as `deploy/nginx-prefix.conf` has them."""

import json
import os
import re
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from urllib.error import HTTPError

import pytest
from tests.deploy.cluster import (
    DEPLOY,
    HERE,
    Program,
    Replica,
    free_port,
    is_open,
    nginx_program,
    wait_for,
)

pytestmark = pytest.mark.system

CONF = (DEPLOY / "nginx-prefix.conf").read_text(encoding="utf-8")
PREFIX = "/lorelm"


def nginx_command(folder: Path, address: str, replica: str) -> list[str]:
    """Write the files of nginx with a certificate, and return its command."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=lorelm.example.org"),
            *("-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")),
        ],
        check=True,
        capture_output=True,
    )
    conf = CONF.replace("listen 443 ssl;", f"listen {address} ssl;")
    conf = re.sub(r"/etc/ssl/lorelm/|/etc/nginx/", f"{folder}/", conf)
    (folder / "site.conf").write_text(conf, encoding="utf-8")
    addresses = (replica, f"{HERE}:{free_port()}")
    servers = "".join(f"server {each} max_fails=10 fail_timeout=2s;\n" for each in addresses)
    (folder / "lorelm-replicas.conf").write_text(servers, encoding="utf-8")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} pid {folder}/nginx.pid; events {{}}"
        f"http {{ access_log off; {paths} include site.conf; }}",
        encoding="utf-8",
    )
    return [nginx_program(), "-p", f"{folder}/", "-c", "nginx.conf", "-e", "stderr"]


@pytest.fixture(scope="module")
def replica(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    started = Replica(
        [str(tiny_bundle), "--no-history"], HERE, tmp_path_factory.mktemp("replica") / "log"
    )
    started.start()
    wait_for(started.is_ready)
    yield started
    if started.is_running():
        started.stop()


@pytest.fixture(scope="module")
def site(replica: Replica, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of nginx in front of one replica that answers and one that is down."""
    address = f"{HERE}:{free_port()}"
    folder = tmp_path_factory.mktemp("nginx")
    command = nginx_command(folder, address, replica.address)
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    assert "warn" not in tested.stderr
    proxy = Program([*command, "-g", "daemon off;"], folder / "output")
    proxy.start()
    wait_for(lambda: is_open(address))
    yield f"https://{address}"
    proxy.stop()


def ask(url: str, body: object = None) -> tuple[int, str, HTTPResponse | HTTPError]:
    trusting = ssl._create_unverified_context()  # its certificate is signed by itself
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        answer = urllib.request.urlopen(asked, context=trusting, timeout=30)
    except HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.read().decode(), answer


def test_pages_api_and_streams_come_through(site: str) -> None:
    for _ in range(4):  # in turn, the replica that is down is asked first
        status, text, answer = ask(f"{site}{PREFIX}/api/generate", {"prompt": "The", "seed": 3})
        assert status == 200
        assert json.loads(text)["samples"][0]["seed"] == 3
        assert len(answer.headers["X-Request-Id"]) == 32
    _, stream, _ = ask(f"{site}{PREFIX}/api/generate", {"prompt": "The", "stream": True})
    assert "event: done" in stream
    assert "<textarea" in ask(f"{site}{PREFIX}")[1]  # redirected to the address with a slash
    assert ask(f"{site}{PREFIX}/static/api.js")[0] == 200
    docs = ask(f"{site}{PREFIX}/docs")[1]
    assert f"{site}{PREFIX}/" in docs  # the examples show the public address


def test_what_is_not_for_clients_stays_inside(site: str) -> None:
    assert ask(f"{site}{PREFIX}/metrics")[0] == 404
    assert ask(f"{site}/metrics")[0] == 404


def test_without_replicas_the_api_answers_in_json(site: str, replica: Replica) -> None:
    replica.stop()
    try:
        status, text, _ = ask(f"{site}{PREFIX}/api/generate", {"prompt": "The"})
        assert (status, json.loads(text)["error"]["code"]) == (502, "proxy.unanswered")
    finally:
        replica.start()
        wait_for(lambda: ask(f"{site}{PREFIX}/readyz")[0] == 200)  # nginx tries it again


def test_both_examples_say_the_same() -> None:
    """All directives of the server, and the replies of nginx itself; the prefix is another one."""
    whole = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    kinds = r"^\s+((?:proxy_(?!pass|buffering|temp)|client_max|zone|least|return 502).*;)$"
    given = set(re.findall(kinds, CONF, re.M))
    assert {
        line.replace('Prefix ""', f"Prefix {PREFIX}") for line in re.findall(kinds, whole, re.M)
    } == given
