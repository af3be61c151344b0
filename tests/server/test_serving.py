"""The server as a process of its own, asked over the network."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from flask import request

from lorelm.bundle import EMBEDDED_PATH, Bundle
from lorelm.errors import ServerError
from lorelm.server.app import create_app
from lorelm.server.serving import open_port, url_of
from lorelm.server.settings import ServerSettings

LORELM = [sys.executable, "-m", "lorelm"]


def ask(url: str, **body: object) -> dict[str, object]:
    post = urllib.request.Request(
        url + "api/generate", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(post) as response:
        reply: dict[str, object] = json.load(response)
    return reply


def test_the_embedded_model_answers(start_server: Callable[..., str]) -> None:
    url = start_server()
    with urllib.request.urlopen(url) as response:
        assert "Shakespeare" in response.read().decode()
    reply = ask(url, prompt="My lord, the", seed=1)
    assert reply["unknown_words"] == []


def test_a_bundle_of_the_users_own_answers_the_same_as_python(
    start_server: Callable[..., str], tiny_bundle: Path
) -> None:
    import lorelm

    reply = ask(start_server(str(tiny_bundle)), prompt="The fox", seed=1)
    expected = lorelm.load(tiny_bundle).generate("The fox", seed=1)
    assert reply["samples"][0]["text"] == expected.text


def test_serving_takes_less_than_200_mb(start_server: Callable[..., str]) -> None:
    port = int(re.findall(r":(\d+)/", start_server())[0])
    [server] = [
        child
        for child in psutil.Process().children()
        if any(c.laddr.port == port for c in child.net_connections() if c.status == "LISTEN")
    ]
    assert server.memory_info().rss < 200e6


def test_serving_does_not_import_what_it_does_not_need() -> None:
    code = (
        "import sys; from lorelm.server.app import create_app; "
        "from lorelm.server.settings import ServerSettings; import lorelm.cli.serve; "
        "create_app(ServerSettings()); "
        "print([m for m in ('torch', 'polars', 'onnx', 'matplotlib') if m in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"


def test_ctrl_c_ends_it_cleanly(tiny_bundle: Path) -> None:
    server = subprocess.Popen(
        [*LORELM, "serve", str(tiny_bundle), "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert server.stderr
    assert "Ctrl-C" in server.stderr.readline()
    server.send_signal(signal.SIGINT)
    assert server.wait(timeout=20) == 0
    assert server.stderr.read() == "lorelm: stopped\n"
    server.stderr.close()


def test_a_port_in_use_is_one_line_that_names_a_free_one(tiny_bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [*LORELM, "serve", str(tiny_bundle), "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stdout == ""
    pattern = rf"lorelm: port {port} is in use by another program: try --port (\d+)\n"
    match = re.fullmatch(pattern, ended.stderr)
    assert match
    open_port("127.0.0.1", int(match.group(1))).close()


def test_a_host_that_is_not_this_machine_is_refused() -> None:
    for host in ("no.such.host.invalid", "192.0.2.1"):
        with pytest.raises(ServerError, match="is no address of this machine"):
            open_port(host, 0)


def test_the_address_to_open_is_one_that_a_browser_can_open() -> None:
    with open_port("0.0.0.0", 0) as listening:
        assert url_of(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}/"


@pytest.mark.parametrize(
    ("proxy_hops", "client", "host"),
    [(0, "127.0.0.1", "localhost"), (1, "9.9.9.2", "b.example"), (2, "9.9.9.1", "a.example")],
)
def test_exactly_so_many_proxies_are_believed(
    tiny_bundle: Path, proxy_hops: int, client: str, host: str
) -> None:
    app = create_app(ServerSettings(bundle=tiny_bundle, proxy_hops=proxy_hops))
    app.add_url_rule("/who", view_func=lambda: f"{request.remote_addr} {request.host}")
    response = app.test_client().get(
        "/who",
        headers={
            "X-Forwarded-For": "9.9.9.1, 9.9.9.2",
            "X-Forwarded-Host": "a.example, b.example",
        },
    )
    assert response.get_data(as_text=True) == f"{client} {host}"


def test_the_embedded_bundle_is_small_and_says_how_it_was_made() -> None:
    files = {file.name: file.stat().st_size for file in EMBEDDED_PATH.iterdir()}
    assert set(files) == {
        *("manifest.json", "vocabulary.json", "step.int8.onnx", "MODEL_CARD.md"),
        *("metrics.jsonl", "spelling.npz", "copies.npz", "weights.safetensors"),
    }
    assert files["step.int8.onnx"] + files["weights.safetensors"] < 20e6
    assert files["copies.npz"] < 5.1 * Bundle.load(EMBEDDED_PATH).manifest.corpus.train_tokens
    assert "lorelm train shakespeare" in (EMBEDDED_PATH / "MODEL_CARD.md").read_text()
