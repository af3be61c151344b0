"""A real Redis server on a port of its own: :class:`Redis`."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest


class Redis:
    """Redis, which can be stopped and started again.

    Skips the test where there is none.
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("no redis-server: apt-get install redis-server (.ci/run does)")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self._port = taken.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}"
        self._command = [
            *(program, "--port", str(self._port), "--bind", "127.0.0.1"),
            *("--save", "", "--dir", str(folder)),
        ]
        self.start()

    def start(self) -> None:
        self._server = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        give_up = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port)).close()
                break
            except OSError:
                assert time.monotonic() < give_up
                time.sleep(0.02)

    def stop(self) -> None:
        self._server.terminate()
        self._server.wait(timeout=20)
