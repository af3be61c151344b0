import base64
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from tests.errors import raises_code

from lorelm.errors import InputError
from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

MakeClient = Callable[..., FlaskClient]


@pytest.fixture
def make_client(tiny_bundle: Path) -> Iterator[MakeClient]:
    apps = []

    def make(**settings: object) -> FlaskClient:
        app = create_app(ServerSettings(bundles=[tiny_bundle], **settings))
        apps.append(app)
        return app.test_client()

    yield make
    for app in apps:
        server_state(app).close()


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (None, 401),
        ("Bearer mellon!", 200),
        ("Bearer mellon", 401),
        ("Bearer ", 401),
        ("Bearer mellón", 401),
        (basic("anybody", "mellon!"), 200),
        (basic("", "mellon!"), 200),
        (basic("mellon!", "x"), 401),
        ("Basic nonsense", 401),
        ("mellon!", 401),
    ],
)
def test_requests_need_the_api_key(make_client: MakeClient, given: str | None, status: int) -> None:
    client = make_client(api_key="mellon!")
    headers = {"Authorization": given} if given else {}
    for method, path, body in (
        ("GET", "/", None),
        ("GET", "/api/model", None),
        ("GET", "/metrics", None),
        ("POST", "/api/generate", {"prompt": "The"}),
        ("POST", "/v1/completions", {"model": "tales", "prompt": "The"}),
        (
            "POST",
            "/v1/chat/completions",
            {"model": "tales", "messages": [{"role": "user", "content": "The"}]},
        ),
        ("POST", "/tokenize", {"prompt": "The"}),
    ):
        response = client.open(path, method=method, json=body, headers=headers)
        assert response.status_code == status, path
        if status == 401:
            assert response.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_key_may_have_any_characters(make_client: MakeClient) -> None:
    client = make_client(api_key="schlüssel")
    as_sent = "Bearer schlüssel".encode().decode("latin-1")  # bytes, as WSGI shows them
    for given, status in ((as_sent, 200), (basic("", "schlüssel"), 200), ("Bearer schlussel", 401)):
        headers = {"Authorization": given}
        assert client.get("/api/model", headers=headers).status_code == status


def test_health_checks_need_no_key(make_client: MakeClient) -> None:
    client = make_client(api_key="mellon!")
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
    with client.get("/static/style.css") as response:
        assert response.status_code == 200


def test_an_error_has_the_format_of_its_path(make_client: MakeClient) -> None:
    client = make_client(api_key="mellon!")
    assert client.get("/v1/models").get_json()["error"]["code"] == "invalid_api_key"
    assert "Bearer KEY" in client.get("/api/model").get_json()["error"]["message"]
    assert "<h1>Unauthorized</h1>" in client.get("/").get_data(as_text=True)


def test_an_empty_key_is_rejected() -> None:
    with raises_code(InputError, "server.empty_key"):
        ServerSettings(api_key="")


def test_a_client_over_the_limit_learns_when_to_try_again(make_client: MakeClient) -> None:
    client = make_client(rate_limit="3/minute")
    for _ in range(3):
        assert client.post("/api/generate", json={"prompt": "The"}).status_code == 200
    refused = client.post("/api/generate", json={"prompt": "The"})
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert "3 per 1 minute" in refused.get_json()["error"]["message"]
    assert client.post("/", data={"prompt": "The"}).status_code == 429
    assert client.get("/").status_code == 200  # pages do not count
    assert client.get("/metrics").status_code == 200
    other = client.post(
        "/api/generate", json={"prompt": "The"}, environ_base={"REMOTE_ADDR": "192.0.2.7"}
    )
    assert other.status_code == 200


def test_wrong_keys_count_towards_the_limit_and_the_history_does_not(
    make_client: MakeClient, tmp_path: Path
) -> None:
    client = make_client(
        api_key="mellon", rate_limit="3/minute", history=f"sqlite:///{tmp_path}/history.db"
    )
    knows = {"Authorization": "Bearer mellon"}
    for _ in range(5):
        client.post("/history/delete", headers=knows)
    for guess in ("a", "b", "c"):
        refused = client.get("/api/model", headers={"Authorization": f"Bearer {guess}"})
        assert refused.status_code == 401
    assert client.get("/", headers={"Authorization": "Bearer d"}).status_code == 429


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"rate_limit": "often"}, "rate_limit.invalid"),
        (
            {"rate_limit": "60/minute", "rate_limit_storage": "tape://x"},
            "rate_limit.invalid_storage",
        ),
    ],
)
def test_an_invalid_limit_is_explained(
    make_client: MakeClient, settings: dict[str, str], code: str
) -> None:
    with raises_code(InputError, code):
        make_client(**settings)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """Address of a new Redis server."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server: apt-get install redis-server (.ci/run does)")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", tmp_path],
        stdout=subprocess.DEVNULL,
    )
    give_up = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert time.monotonic() < give_up
            time.sleep(0.02)
    yield f"redis://127.0.0.1:{port}"
    server.terminate()
    server.wait(timeout=20)


def test_several_servers_share_the_limit_in_redis(make_client: MakeClient, redis_url: str) -> None:
    one, two = (make_client(rate_limit="3/minute", rate_limit_storage=redis_url) for _ in range(2))
    statuses = [
        client.post("/api/generate", json={"prompt": "The"}).status_code
        for client in (one, two, one, two, one)
    ]
    assert statuses == [200, 200, 200, 429, 429]


def test_if_the_storage_fails_a_server_counts_in_memory(make_client: MakeClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = make_client(rate_limit="2/minute", rate_limit_storage=f"redis://127.0.0.1:{port}")
    statuses = [client.post("/api/generate", json={"prompt": "The"}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
