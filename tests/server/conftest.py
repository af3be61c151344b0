import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings


@pytest.fixture(scope="session")
def client(tiny_bundle: Path) -> FlaskClient:
    return create_app(ServerSettings(bundle=tiny_bundle)).test_client()


@pytest.fixture(scope="session")
def start_server() -> Iterator[Callable[..., str]]:
    """Starts `lorelm serve` as a person would, on a free port; returns its address.

    All of them are ended with SIGTERM at the end, and must end well.
    """
    servers: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> str:
        command = [sys.executable, "-m", "lorelm", "serve", *arguments, "--port", "0"]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        servers.append(server)
        assert server.stderr
        line = server.stderr.readline()
        address = re.search(r"http://\S+/", line)
        assert address, line + server.stderr.read()
        return address.group()

    yield start
    for server in servers:
        server.terminate()
        assert server.wait(timeout=20) == 0
        assert server.stderr
        server.stderr.close()
