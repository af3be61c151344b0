import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from tests.server.redis import Redis

from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state


@pytest.fixture(scope="session")
def client(tiny_bundle: Path) -> Iterator[FlaskClient]:
    app = create_app(ServerSettings(bundles=[tiny_bundle]))
    yield app.test_client()
    server_state(app).close()


@pytest.fixture(scope="session")
def scene_client(scene_bundle: Path) -> Iterator[FlaskClient]:
    app = create_app(ServerSettings(bundles=[scene_bundle]))
    yield app.test_client()
    server_state(app).close()


@pytest.fixture
def new_app(tiny_bundle: Path, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Create applications that share a history in SQLite."""
    apps = []

    def make(**settings: Any) -> Any:
        url = f"sqlite:///{tmp_path / 'history.db'}"
        usual: dict[str, Any] = {"bundles": [tiny_bundle], "history": url}
        app = create_app(ServerSettings(**(usual | settings)))
        apps.append(app)
        return app

    yield make
    for app in apps:
        server_state(app).close()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A new Redis server."""
    server = Redis(tmp_path)
    yield server
    server.stop()


NGINX_CONF = """
daemon off;
master_process off;
pid nginx.pid;
events {{ }}
http {{
    access_log off;
    client_body_temp_path temporary;
    proxy_temp_path temporary;
    fastcgi_temp_path temporary;
    uwsgi_temp_path temporary;
    scgi_temp_path temporary;
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""


@pytest.fixture(scope="session")
def start_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Start a real nginx with a `location` block in a directory; return its address.

    Skips the test where there is no nginx.
    """
    # Debian has it where only root's PATH looks.
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("no nginx: apt-get install nginx-light (.ci/run does)")
    processes: list[subprocess.Popen[bytes]] = []

    def start(location: str) -> str:
        folder, port = tmp_path_factory.mktemp("nginx"), free_port()
        conf, log = folder / "nginx.conf", folder / "error.log"
        conf.write_text(NGINX_CONF.format(port=port, location=location), encoding="utf-8")
        command = [program, "-p", f"{folder}/", "-c", str(conf), "-e", str(log)]
        processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        wait_until_open(port, processes[-1], log)
        return f"http://127.0.0.1:{port}/"

    yield start
    stop(processes)


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and token of a real Jupyter server with its proxy, as on a hub."""
    folder, port, token = tmp_path_factory.mktemp("jupyter"), free_port(), "mellon"
    options = {
        "ServerApp.base_url": "/user/frodo/",
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "ServerApp.root_dir": folder,
        "IdentityProvider.token": token,
    }
    places = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    log = folder / "jupyter.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyter_server"),
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            env=os.environ | {place: str(folder / place.lower()) for place in places},
            stdout=output,
            stderr=output,
        )
    wait_until_open(port, process, log)
    yield f"http://127.0.0.1:{port}/user/frodo/", token
    stop([process])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > give_up:
                process.kill()
                process.wait()
                pytest.fail(log.read_text(encoding="utf-8"))
            time.sleep(0.02)


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(timeout=20)
