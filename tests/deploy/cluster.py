"""Two replicas of `lorelm serve` with what they share, behind nginx as `deploy/` has it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil
import pytest
from tests.deploy.machines import Machine

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"
NUM_WORKERS: Final = 2
HERE: Final = "127.0.0.1"


def wait_for(is_true: Callable[[], bool], seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server((HERE, 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


class Program:
    """A program that can be ended and started again; its output goes to a file."""

    def __init__(self, command: Sequence[str], log: Path, machine: Machine | None = None) -> None:
        self.log = log
        self._command = [*(machine.prefix if machine else ()), *command]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> psutil.Process:
        """The program itself: `ip netns exec` becomes it."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def start(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None


class Replica(Program):
    """A `lorelm serve` with workers."""

    def __init__(
        self, options: Sequence[str], address: str, log: Path, machine: Machine | None = None
    ) -> None:
        port = free_port()
        self.address = f"{address}:{port}"
        listening = ("--host", address, "--port", str(port), "--workers", str(NUM_WORKERS))
        command = (sys.executable, "-m", "lorelm", "serve", *options, *listening)
        super().__init__((*command, "--proxy-hops", "1"), log, machine)

    def workers(self) -> list[psutil.Process]:
        found = []
        with suppress(psutil.Error):
            for child in self.process.children():
                with suppress(psutil.Error):  # it has just ended
                    if "spawn_main" in " ".join(child.cmdline()):
                        found.append(child)
        return found

    def has_replaced(self, killed: psutil.Process) -> bool:
        """Return whether another worker serves in the place of one that was killed."""
        workers = self.workers()
        if len(workers) < NUM_WORKERS or killed in workers:
            return False
        folder = Path(workers[0].environ()["PROMETHEUS_MULTIPROC_DIR"])
        return not [*folder.glob(f"gauge*_{killed.pid}.db")] and self.is_ready()

    def num_texts(self) -> float:
        """How many it has written since it was started."""
        return self.metric("lorelm_samples_total")

    def is_ready(self) -> bool:
        with suppress(OSError):
            return self.metric("lorelm_slots") == NUM_WORKERS * 64
        return False

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=2) as response:
            text = response.read().decode()
        return sum(map(float, re.findall(rf"^{name}(?:{{.*}})? (.+)$", text, re.M)))


def nginx_program() -> str:
    # Debian has it where only root's PATH looks.
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("no nginx: apt-get install nginx-light (.ci/run does)")
    return program


def nginx_folder(replicas: Sequence[str], address: str, folder: Path) -> Path:
    """Make a folder with the files of nginx; only its addresses and folders are others."""
    folder.mkdir()
    conf = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    conf = conf.replace("listen 8080;", f"listen {address};")
    conf = re.sub(r"/tmp/|/var/log/nginx/", f"{folder}/", conf)
    (folder / "nginx.conf").write_text(conf, encoding="utf-8")
    upstream = (DEPLOY / "lorelm-replicas.conf").read_text(encoding="utf-8")
    shipped = re.findall(r"127\.0\.0\.1:\d+", upstream)
    for before, after in zip(shipped, replicas, strict=True):
        upstream = upstream.replace(before, after)
    (folder / "lorelm-replicas.conf").write_text(upstream, encoding="utf-8")
    return folder


def nginx(replicas: Sequence[str], address: str, folder: Path, machine: Machine | None) -> Program:
    nginx_folder(replicas, address, folder)
    # It writes into a folder of root's.
    own = f"daemon off; pid {folder}/nginx.pid; {'user root;' if os.geteuid() == 0 else ''}"
    command = (nginx_program(), "-p", f"{folder}/", "-c", "nginx.conf", "-e", "stderr", "-g", own)
    return Program(command, folder / "output", machine)


class Cluster:
    """nginx and two replicas, with a database and a Redis that they share."""

    def __init__(self, url: str, replicas: Sequence[Replica]) -> None:
        self.url = url
        self.replicas = replicas

    def is_ready(self) -> bool:
        return all(each.is_ready() for each in self.replicas)


@contextmanager
def cluster_of(
    options: Sequence[str], folder: Path, machines: Sequence[Machine] = ()
) -> Iterator[Cluster]:
    """Run nginx and two replicas: on three machines, or all on this one."""
    front, *others = machines or (None, None, None)
    replicas = [
        Replica(options, each.address if each else HERE, folder / f"replica-{number}.log", each)
        for number, each in enumerate(others, 1)
    ]
    address = f"{front.address if front else HERE}:{free_port()}"
    proxy = nginx([each.address for each in replicas], address, folder / "nginx", front)
    programs = [*replicas, proxy]
    for each in programs:
        each.start()
    try:
        cluster = Cluster(f"http://{address}/", replicas)
        wait_for(cluster.is_ready)
        wait_for(lambda: is_open(address))
        yield cluster
    finally:
        codes = [each.stop() for each in programs if each.is_running()]
    assert not any(codes), codes


def is_open(address: str) -> bool:
    host, port = address.split(":")
    with suppress(OSError):
        socket.create_connection((host, int(port)), timeout=1).close()
        return True
    return False


def redis(address: str, port: int, folder: Path) -> Program:
    """A Redis that keeps nothing on the disk."""
    if shutil.which("redis-server") is None:
        pytest.skip("no Redis: apt-get install redis-server (.ci/run does)")
    command = ("redis-server", "--bind", address, "--port", str(port), "--save", "")
    return Program((*command, "--protected-mode", "no", "--dir", str(folder)), folder / "redis.log")


def redis_url(address: str, port: int) -> str:
    return f"redis://{address}:{port}/0"
