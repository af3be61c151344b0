"""The server as a process, over the network."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from flask import request
from tests.errors import raises_code
from tests.systems import end, needs_signals

from lorelm.bundle import EMBEDDED_PATH
from lorelm.errors import ServerError
from lorelm.server.app import create_app
from lorelm.server.serving import open_port, url_of
from lorelm.server.settings import ServerSettings

pytestmark = pytest.mark.system

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
        assert "150 books" in response.read().decode()
    reply = ask(url, prompt="My friend, the", seed=1)
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


def read_start(server: subprocess.Popen[str]) -> str:
    """Return what a server prints when it is ready."""
    assert server.stderr
    lines = [server.stderr.readline()]
    while lines[-1] and not lines[-1].startswith("  access"):
        lines.append(server.stderr.readline())
    return "".join(lines)


LONG = {"prompt": "", "max_len": 10_000, "min_len": 10_000, "num_alternatives": 0}


@contextmanager
def server_process(tiny_bundle: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a server and kill it at the end; return its address too."""
    command = [*LORELM, "serve", str(tiny_bundle), "--port", "0", "--max-tokens-limit", "10000"]
    server = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    address = re.search(r"127\.0\.0\.1:\d+", read_start(server))
    assert address
    assert server.stderr
    try:
        yield server, address.group()
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


def begin(address: str, body: dict[str, object]) -> http.client.HTTPResponse:
    """Start a stream; return when its first tokens have come."""
    connection = http.client.HTTPConnection(address, timeout=60)
    headers = {"Content-Type": "application/json", "Connection": "close"}
    connection.request("POST", "/api/generate", json.dumps(body | {"stream": True}), headers)
    response = connection.getresponse()
    assert response.status == 200
    for _ in range(5):  # three lines of the start, two of the tokens
        response.readline()
    return response


def gauge(address: str, name: str) -> float:
    with urllib.request.urlopen(f"http://{address}/metrics") as response:
        [line] = [x for x in response.read().decode().splitlines() if x.startswith(name + "{")]
    return float(line.split()[-1])


def wait_for(is_true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def wait_until_it_refuses(address: str) -> None:
    """Wait until the server has begun to stop."""
    refusals = []

    def is_refused() -> bool:
        try:
            ask(f"http://{address}/", prompt="The", max_len=1)
        except urllib.error.HTTPError as error:
            refusals.append((error.code, error.headers["Retry-After"]))
            error.close()
        return bool(refusals)

    wait_for(is_refused)
    assert refusals == [(503, "1")]


@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "reply"])
def test_a_client_that_disconnects_frees_its_slots(tiny_bundle: Path, is_stream: bool) -> None:
    with server_process(tiny_bundle, "--num-slots", "4") as (_, address):
        asked = LONG | {"num_samples": 4, "stream": is_stream}
        client = socket.create_connection(tuple(address.split(":")))
        body = json.dumps(asked).encode()
        head = f"POST /api/generate HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        client.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        wait_for(lambda: gauge(address, "lorelm_slots_in_use") == 4)
        client.close()
        wait_for(lambda: gauge(address, "lorelm_slots_in_use") == 0)
        assert ask(f"http://{address}/", prompt="The", max_len=3)["samples"]


def test_clients_that_hold_their_connections_do_no_harm(tiny_bundle: Path) -> None:
    """2,000 that say nothing, 300 that stop within their request, 70 that read no stream."""
    resource = pytest.importorskip("resource")  # which Windows does not have
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("so many files may not be open here")
    stream = json.dumps(LONG | {"max_len": 200, "min_len": 200, "stream": True}).encode()
    head = b"POST /api/generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    whole = head + b"Content-Length: %d\r\n\r\n" % len(stream) + stream
    held: list[socket.socket] = []
    with server_process(tiny_bundle) as (_, address):
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
        try:
            for said in [b""] * 2000 + [whole[:-9]] * 150 + [whole[:40]] * 150 + [whole] * 70:
                held.append(socket.create_connection(tuple(address.split(":"))))
                held[-1].sendall(said)
            assert ask(f"http://{address}/", prompt="The", max_len=3)["samples"]
            wait_for(lambda: gauge(address, "lorelm_slots_in_use") == 0)
        finally:
            for connection in held:
                connection.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("length", [300_000, 3_000_000_000])
def test_a_long_body_is_rejected_without_reading_it(tiny_bundle: Path, length: int) -> None:
    with server_process(tiny_bundle) as (_, address):
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=20) as client:
            head = f"POST /api/generate HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
            client.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n")
            client.sendall(b"x" * 300_000)
            assert client.recv(1000).startswith(b"HTTP/1.1 413")
        assert ask(f"http://{address}/", prompt="The", max_len=3)["samples"]


def test_an_empty_key_variable_is_an_error(tiny_bundle: Path) -> None:
    ended = subprocess.run(
        [*LORELM, "serve", str(tiny_bundle), "--port", "0"],
        env=os.environ | {"LORELM_API_KEY": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 2
    assert "LORELM_API_KEY is empty" in ended.stderr


@needs_signals
def test_while_stopping_running_requests_finish_and_new_ones_are_rejected(
    tiny_bundle: Path,
) -> None:
    with server_process(tiny_bundle, "--grace-seconds", "60") as (server, address):
        # About two seconds: another request has to come in before the server has ended.
        response = begin(address, LONG | {"num_samples": 4})
        server.send_signal(signal.SIGTERM)
        wait_until_it_refuses(address)
        rest = response.read().decode()
        response.close()
        assert rest.count('"alternatives"') > 39_900
        assert rest.count('"num_tokens":10000') == 4
        assert rest.endswith("event: done\ndata: {}\n\n")
        assert server.wait(timeout=20) == 0
        assert server.stderr
        assert server.stderr.read() == "lorelm: stopped\n"


@needs_signals
def test_after_the_grace_period_the_rest_is_aborted(tiny_bundle: Path) -> None:
    with server_process(tiny_bundle, "--grace-seconds", "0.2") as (server, address):
        response = begin(address, LONG | {"num_samples": 16})
        server.send_signal(signal.SIGINT)
        rest = response.read().decode()
        response.close()
        assert "event: error" in rest
        assert "the server shut down before the text ended" in rest
        assert server.wait(timeout=20) == 0


@needs_signals
def test_a_second_ctrl_c_does_not_wait(tiny_bundle: Path) -> None:
    with server_process(tiny_bundle, "--grace-seconds", "60") as (server, address):
        # Three quarters of the slots: a client that may be refused must not wait for one.
        responses = [begin(address, LONG | {"num_samples": 16}) for _ in range(3)]
        server.send_signal(signal.SIGINT)
        wait_until_it_refuses(address)
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0
        for response in responses:
            response.close()


def test_all_of_256_streams_are_complete(tiny_bundle: Path) -> None:
    """There are more streams than slots: some wait."""
    complete: list[int] = []

    def listen(seed: int) -> None:
        asked = {"prompt": "The fox", "seed": seed, "max_len": 40, "min_len": 40}
        response = begin(address, asked)
        text = response.read().decode()
        response.close()
        if '"num_tokens":40' in text and text.endswith("event: done\ndata: {}\n\n"):
            complete.append(seed)

    with server_process(tiny_bundle, "--num-slots", "16") as (_, address):
        clients = [threading.Thread(target=listen, args=(seed,)) for seed in range(256)]
        for client in clients:
            client.start()
        for client in clients:
            client.join(timeout=120)
    assert sorted(complete) == list(range(256))


@pytest.mark.parametrize("named_by", ["--history", "LORELM_HISTORY"])
def test_the_start_says_what_named_the_history(
    named_by: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/own.db"
    is_option = named_by == "--history"
    server = subprocess.Popen(
        [*LORELM, "serve", str(tiny_bundle), "--port", "0", *["--history", url] * is_option],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ if is_option else os.environ | {"LORELM_HISTORY": url},
    )
    assert f"\n  history  {tmp_path}/own.db (from {named_by})\n" in read_start(server)
    end(server)
    assert server.stderr
    server.stderr.close()


@needs_signals
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_stop_the_server_cleanly(name: str, tiny_bundle: Path) -> None:
    server = subprocess.Popen(
        [*LORELM, "serve", str(tiny_bundle), "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert server.stderr
    assert "Ctrl-C" in read_start(server)
    server.send_signal(signal.Signals[name])
    assert server.wait(timeout=20) == 0
    assert server.stderr.read() == "lorelm: stopped\n"
    server.stderr.close()


@needs_signals
def test_with_nohup_the_server_outlives_its_terminal(tiny_bundle: Path) -> None:
    command = [*LORELM, "serve", str(tiny_bundle), "--port", "0"]
    server = subprocess.Popen(
        ["nohup", *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert server.stderr
    line = server.stderr.readline()
    while "Ctrl-C" not in line:  # nohup itself has something to say
        line = server.stderr.readline()
    address = re.findall(r"http://\S+/", line)[0]
    server.send_signal(signal.SIGHUP)
    assert ask(address, prompt="The", max_len=3)["samples"]
    end(server)
    server.stderr.close()


def test_the_error_for_a_port_in_use_names_a_free_one(tiny_bundle: Path) -> None:
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


def test_a_host_of_another_machine_is_rejected() -> None:
    for host in ("no.such.host.invalid", "192.0.2.1"):
        with raises_code(ServerError, "server.unknown_address"):
            open_port(host, 0)


def test_the_printed_address_works_in_a_browser() -> None:
    with open_port("0.0.0.0", 0) as listening:
        assert url_of(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}/"


@pytest.mark.parametrize(
    ("proxy_hops", "client", "host"),
    [(0, "127.0.0.1", "localhost"), (1, "9.9.9.2", "b.example"), (2, "9.9.9.1", "a.example")],
)
def test_exactly_the_given_number_of_proxies_is_trusted(
    tiny_bundle: Path, proxy_hops: int, client: str, host: str
) -> None:
    app = create_app(ServerSettings(bundles=[tiny_bundle], proxy_hops=proxy_hops))
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
        *("metrics.jsonl", "spelling.npz", "weights.safetensors"),
    }
    assert sum(files.values()) < 42e6
    assert "python base/embed.py" in (EMBEDDED_PATH / "MODEL_CARD.md").read_text()
