"""Several processes behind one port, with everything that may happen to them."""

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import uvicorn

import lorelm
from lorelm.history.store import HistoryStore
from lorelm.server.app import create_app
from lorelm.server.keys.key import now
from lorelm.server.keys.key_file import KeyFile
from lorelm.server.serving import Load, gateway_for, open_port, uvicorn_config
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state
from lorelm.server.workers import SharingLoop, cause_of_death

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.name == "nt", reason="the signals are those of other systems"),
]

LONG = {"prompt": "", "max_len": 10_000, "min_len": 10_000, "num_alternatives": 0}


class Server:
    """`lorelm serve` with workers."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def ask(self, **body: object) -> dict[str, object]:
        with self.open(**body) as response:
            reply: dict[str, object] = json.load(response)
        return reply

    def open(self, **body: object) -> "urllib.request._UrlopenRet":
        headers = {"Content-Type": "application/json"}
        url = f"{self.url}api/generate"
        return urllib.request.urlopen(
            urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=60
        )

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"{self.url}metrics") as response:
            text = response.read().decode()
        return sum(map(float, re.findall(rf"^{name}(?:{{.*}})? (.+)$", text, re.M)))

    def workers(self) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):  # it has just ended
                if "spawn_main" in " ".join(child.cmdline()):
                    found.append(child)
        return found


@contextmanager
def running(bundle: Path, *options: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "lorelm", "serve", str(bundle), "--port", "0"]
    options = ("--workers", "2", "--max-tokens-limit", "10000", *options)
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    assert process.stderr
    url = re.search(r"http://\S+", process.stderr.readline())
    assert url
    server = Server(process, url.group())
    workers = server.workers()
    try:
        yield server
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stderr.close()
        _, left = psutil.wait_procs(workers, timeout=20)
        assert not left


def wait_for(is_true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 40
    while not is_true():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_they_answer_as_one(tiny_bundle: Path, tmp_path: Path) -> None:
    history = f"sqlite:///{tmp_path}/history.db"
    with running(tiny_bundle, "--history", history, "--rate-limit", "30/minute") as server:
        texts, statuses = set(), Counter[int]()
        for _ in range(40):
            try:
                reply = server.ask(prompt="The fox", seed=3)
                texts.add(reply["samples"][0]["text"])  # type: ignore[index]
                statuses[200] += 1
            except urllib.error.HTTPError as error:
                statuses[error.code] += 1
                error.close()
        assert texts == {lorelm.load(tiny_bundle).generate("The fox", seed=3).text}
        assert statuses == {200: 30, 429: 10}
        assert server.metric("lorelm_requests_total") >= 40
        assert server.metric("lorelm_slots") == 2 * 64
        wait_for(lambda: server.metric("lorelm_history_records_written_total") == 30)
        assert len(server.workers()) == 2


def test_all_follow_the_file_of_keys(tiny_bundle: Path, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key, other = keys.add("few", tokens_per_day=200), keys.add("other")
    with running(tiny_bundle, "--no-history", "--keys", str(keys.path)) as server:

        def status(key: str) -> int:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            body = json.dumps({"prompt": "The fox", "max_len": 10, "min_len": 10}).encode()
            asked = urllib.request.Request(f"{server.url}api/generate", body, headers)
            try:
                with urllib.request.urlopen(asked) as response:
                    code: int = response.status
            except urllib.error.HTTPError as error:
                code = error.code
                error.close()
            return code

        assert Counter(status(key) for _ in range(30)) == {200: 20, 429: 10}
        assert {status(other) for _ in range(10)} == {200}
        keys.change("other", revoked_at=now())
        assert {status(other) for _ in range(10)} == {401}


def test_they_share_connections_that_come_at_once(tiny_bundle: Path) -> None:
    with running(tiny_bundle, "--no-history") as server:
        port = int(server.url.rsplit(":", 1)[1].strip("/"))
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(64)]

        def nums() -> list[int]:
            return [
                sum(each.laddr[1] == port and each.raddr != () for each in worker.net_connections())
                for worker in server.workers()
            ]

        wait_for(lambda: sum(nums()) == 64)
        found = nums()
        for connection in held:
            connection.close()
        assert min(found) >= 8, found


@pytest.mark.parametrize("level", ["warning", "error"])
def test_the_log_says_that_one_died_and_how(tiny_bundle: Path, level: str) -> None:
    with running(tiny_bundle, "--no-history", "--log-level", level) as server:
        killed, _ = server.workers()
        killed.kill()
        assert server.process.stderr
        for line in server.process.stderr:
            if "ERROR lorelm.server.workers" in line:
                break
        assert f"worker {killed.pid} was killed by SIGKILL" in line
        assert "takes its place" in line


@pytest.mark.slow
def test_one_that_cannot_start_is_tried_less_and_less_often(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    keys.add("one")
    with running(tiny_bundle, "--no-history", "--keys", str(keys.path)) as server:
        keys.path.write_bytes(b"{")
        server.workers()[0].kill()
        assert server.process.stderr
        moments = []
        for line in server.process.stderr:
            if "ended with the exit code 1" in line:
                moments.append(time.monotonic())
                if len(moments) == 3:
                    break
        assert moments[2] - moments[0] > 2.5  # pauses of 1 and 2 seconds, or longer ones


def test_the_end_of_a_process_in_words() -> None:
    assert cause_of_death(1) == "ended with the exit code 1"
    assert cause_of_death(-11) == "was killed by SIGSEGV"
    assert cause_of_death(-99) == "was killed by signal 99"


def test_one_that_is_killed_comes_back_and_the_other_goes_on(tiny_bundle: Path) -> None:
    with running(tiny_bundle, "--no-history") as server:
        num_before = server.metric("lorelm_slots")
        killed, _ = server.workers()
        killed.kill()
        wait_for(lambda: len(server.workers()) == 2 and killed not in server.workers())
        wait_for(lambda: server.metric("lorelm_workers_died_total") == 1)
        wait_for(lambda: server.metric("lorelm_slots") == num_before)
        for _ in range(10):
            assert server.ask(prompt="The", max_len=3)["samples"]


def test_one_that_dies_while_it_is_asked_whether_it_lives_comes_back(tiny_bundle: Path) -> None:
    with running(tiny_bundle, "--no-history") as server:
        stuck, _ = server.workers()
        stuck.suspend()
        time.sleep(1)  # the supervisor asks every half a second, and waits a minute
        stuck.kill()
        wait_for(lambda: len(server.workers()) == 2 and stuck not in server.workers())


def test_what_a_killed_one_had_queued_for_the_history_is_written(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    path = tmp_path / "history.db"
    with running(tiny_bundle, "--history", f"sqlite:///{path}") as server:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # nothing can be written meanwhile
            seeds = [*range(20)]
            for seed in seeds:
                server.ask(prompt="The fox", seed=seed, max_len=5)
            for killed in server.workers():
                killed.kill()
                wait_for(lambda killed=killed: killed not in server.workers())  # type: ignore[misc]
                wait_for(lambda: len(server.workers()) == 2)
            other.execute("ROLLBACK")
        with HistoryStore(f"sqlite:///{path}") as store:
            wait_for(lambda: sorted(each.seed for each in store.iterate()) == seeds)


def test_models_are_loaded_anew_without_a_refused_request(tiny_bundle: Path) -> None:
    with running(tiny_bundle, "--no-history") as server:
        before = server.workers()
        problems: list[Exception] = []
        is_over = threading.Event()

        def keep_asking() -> None:
            while not is_over.is_set():
                try:
                    server.ask(prompt="The fox", max_len=20)
                except Exception as error:
                    problems.append(error)

        clients = [threading.Thread(target=keep_asking) for _ in range(4)]
        for client in clients:
            client.start()
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: not set(before) & set(server.workers()) and len(server.workers()) == 2)
        time.sleep(0.5)
        is_over.set()
        for client in clients:
            client.join()
        assert problems == []
        wait_for(lambda: server.metric("lorelm_slots") == 2 * 64)


@pytest.mark.parametrize("grace_seconds", ["60", "0.2"])
def test_running_requests_finish_before_they_end(tiny_bundle: Path, grace_seconds: str) -> None:
    with running(tiny_bundle, "--no-history", "--grace-seconds", grace_seconds) as server:
        samples = 2 if grace_seconds == "60" else 16
        with server.open(**LONG, num_samples=samples, stream=True) as stream:
            stream.readline()
            server.process.send_signal(signal.SIGTERM)
            rest = stream.read().decode()
        assert server.process.wait(30) == 0
        if grace_seconds == "60":
            assert rest.count('"num_tokens":10000') == samples
            assert rest.endswith("event: done\ndata: {}\n\n")
        else:
            assert "the server shut down before the text ended" in rest


def test_the_port_is_closed_while_they_end(tiny_bundle: Path) -> None:
    """A proxy is refused then, and asks another server, instead of waiting for nobody."""
    with running(tiny_bundle, "--no-history", "--grace-seconds", "60") as server:
        port = int(server.url.rsplit(":", 1)[1].strip("/"))

        def is_refused() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            except ConnectionRefusedError:
                return True
            return False

        with server.open(**LONG, num_samples=16, stream=True) as stream:
            stream.readline()
            server.process.send_signal(signal.SIGTERM)
            wait_for(is_refused)
            assert server.process.poll() is None
            server.process.send_signal(signal.SIGINT)
            stream.read()


def test_connections_that_wait_at_the_end_are_answered(tiny_bundle: Path) -> None:
    """Without taking them, the kernel would reset them."""
    app = create_app(ServerSettings(bundles=[tiny_bundle]))
    config = uvicorn_config(gateway_for(app, Load.of(ServerSettings())), lifespan="off")
    server = uvicorn.Server(config)
    listening = open_port("127.0.0.1", 0)
    address = listening.getsockname()
    clients: list[socket.socket] = []

    async def connect_at_the_end() -> None:
        serving = asyncio.create_task(server._serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        for _ in range(20):  # the loop does not run meanwhile, so nobody takes them
            client = socket.create_connection(address, timeout=20)
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            clients.append(client)
        server.should_exit = True
        await server.shutdown([listening])
        await serving

    with asyncio.Runner(loop_factory=SharingLoop) as runner:
        runner.run(connect_at_the_end())
    server_state(app).close()
    for client in clients:
        with client, client.makefile("rb") as reply:
            said = reply.read()
        assert said.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close" in said


def test_a_model_that_cannot_be_loaded_is_said_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lorelm", "serve", str(tmp_path / "gone"), "--workers", "2"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("lorelm: ")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        *((given, "is neither a number above 0 nor auto") for given in ("0", "-1", "many", "1.5")),
        ("20000", "20000 workers would wait for one another"),
    ],
)
def test_a_wrong_number_is_refused(given: str, said: str) -> None:
    command = [sys.executable, "-m", "lorelm", "serve", "--workers", given]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert said in ended.stderr


def test_they_end_without_the_supervisor(tiny_bundle: Path) -> None:
    with running(tiny_bundle, "--no-history") as server:
        workers = server.workers()
        server.process.kill()
        _, left = psutil.wait_procs(workers, timeout=20)
        assert not left


def test_they_end_with_their_terminal(tiny_bundle: Path) -> None:
    leader, follower = os.openpty()
    command = [sys.executable, "-m", "lorelm", "serve", str(tiny_bundle), "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-c", IN_TERMINAL, *command, "--no-history", "--workers", "2"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    said = b""
    while b"http://" not in said:
        said += os.read(leader, 1000)
    os.close(leader)
    process.wait(30)


IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Run a command with the terminal at its standard input as its own."""
