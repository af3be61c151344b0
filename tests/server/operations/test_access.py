import base64
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from tests.errors import raises_code
from tests.server.redis import Redis
from werkzeug.test import TestResponse

from lorelm.errors import InputError
from lorelm.server.app import create_app
from lorelm.server.keys.key import now
from lorelm.server.keys.key_file import KeyFile
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
    assert "<h1>Log in first</h1>" in client.get("/").get_data(as_text=True)


@pytest.mark.parametrize("name", ["api_key", "admin_key"])
@pytest.mark.parametrize("key", ["replace-this", "replace-this-too", "Changeme!", "change-me"])
def test_the_placeholder_of_an_example_is_rejected(name: str, key: str) -> None:
    with raises_code(InputError, "server.placeholder_key"):
        ServerSettings(**{name: key})


def test_metrics_are_for_the_operator_where_keys_are_in_a_file(
    make_client: MakeClient, tmp_path: Path
) -> None:
    file = KeyFile(tmp_path / "keys.json")
    user, prometheus = file.add("anna"), file.add("prometheus", metrics_only=True)
    client = make_client(keys=file.path, api_key="friend", admin_key="mellon")

    def status(path: str, key: str | None, **given: object) -> int:
        return client.open(path, headers=bearer(key) if key else {}, **given).status_code

    keys = (user, "friend", prometheus, "mellon", None)
    assert [status("/metrics", key) for key in keys] == [403, 403, 200, 200, 401]
    assert [status("/api/model", key) for key in keys] == [200, 200, 403, 200, 401]
    body = {"prompt": "The", "max_len": 1}
    assert status("/api/generate", prometheus, method="POST", json=body) == 403
    assert status("/history/", prometheus) == 403
    refused = client.get("/metrics", headers=bearer(user))
    assert "--metrics-only" in refused.text


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


def test_what_is_open_to_all_is_never_refused_for_the_limit(
    make_client: MakeClient, key_file: KeyFile
) -> None:
    old = key_file.add("old")
    key_file.change("old", revoked_at=now())
    client = make_client(keys=key_file.path, rate_limit="3/minute")
    for path in ("/healthz", "/readyz", "/static/style.css"):
        for key in (old, "wrong"):
            for _ in range(4):
                with client.get(path, headers=bearer(key)) as response:
                    assert response.status_code == 200


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"rate_limit": "often"}, "rate_limit.invalid"),
        ({"rate_limit": "0/minute"}, "rate_limit.invalid"),
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


def test_an_invalid_storage_is_named_without_its_password(make_client: MakeClient) -> None:
    with raises_code(InputError, "rate_limit.invalid_storage") as caught:
        make_client(rate_limit="9/minute", rate_limit_storage="redis://me:se/cret@host:port")
    assert "'redis://…@host:port' is no storage" in str(caught.value)


def test_several_servers_share_the_limit_in_redis(make_client: MakeClient, redis: Redis) -> None:
    one, two = (make_client(rate_limit="3/minute", rate_limit_storage=redis.url) for _ in range(2))
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


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def metrics_of(client: FlaskClient, keys: KeyFile) -> str:
    return client.get("/metrics", headers=bearer(keys.add("prometheus", metrics_only=True))).text


def test_a_key_of_the_file_opens_the_server_until_it_is_revoked(
    make_client: MakeClient, key_file: KeyFile
) -> None:
    key, other = key_file.add("class-7b"), key_file.add("bob")
    client = make_client(keys=key_file.path)
    assert client.get("/").status_code == client.get("/v1/models").status_code == 401
    assert client.get("/", headers={"Authorization": basic("me", key)}).status_code == 200
    assert client.get("/v1/models", headers=bearer(key)).status_code == 200
    key_file.change("class-7b", revoked_at=now())
    refused = client.get("/v1/models", headers=bearer(key))
    assert refused.status_code == 401
    assert refused.get_json()["error"]["code"] == "invalid_api_key"
    assert "'class-7b' is revoked" in refused.get_json()["error"]["message"]
    assert client.get("/v1/models", headers=bearer(other)).status_code == 200


def test_keys_of_all_kinds_work_side_by_side(make_client: MakeClient, key_file: KeyFile) -> None:
    key = key_file.add("bob")
    client = make_client(keys=key_file.path, api_key="open", admin_key="secret")
    for given, status in ((key, 200), ("open", 200), ("secret", 200), ("x", 401)):
        assert client.get("/api/model", headers=bearer(given)).status_code == status


def test_a_key_of_the_file_does_not_open_the_whole_history(
    make_client: MakeClient, key_file: KeyFile, tmp_path: Path
) -> None:
    key = key_file.add("bob")
    client = make_client(
        keys=key_file.path, admin_key="secret", history=f"sqlite:///{tmp_path}/history.db"
    )
    assert client.get("/history/whole", headers=bearer(key)).status_code == 401
    assert client.get("/history/whole", headers=bearer("secret")).status_code == 200


def test_each_key_has_its_own_rate_limit(make_client: MakeClient, key_file: KeyFile) -> None:
    few, usual = key_file.add("few", rate_limit="1/minute"), key_file.add("usual")
    client = make_client(keys=key_file.path, rate_limit="2/minute")

    def statuses(key: str) -> list[int]:
        body = {"prompt": "The"}
        sent = [client.post("/api/generate", json=body, headers=bearer(key)) for _ in range(3)]
        assert int(sent[0].headers["X-RateLimit-Remaining"]) < 3
        return [answer.status_code for answer in sent]

    assert statuses(few) == [200, 429, 429]
    assert statuses(usual) == [200, 200, 429]
    key_file.change("few", rate_limit="3/minute")  # a limit of its own has its own count
    assert statuses(few) == [200, 200, 200]


def test_tokens_of_a_day_are_counted_in_streams_and_samples_too(
    make_client: MakeClient, key_file: KeyFile
) -> None:
    key = key_file.add("bob", tokens_per_day=50)
    client = make_client(keys=key_file.path)
    asked = {"prompt": "The fox", "max_len": 10, "min_len": 10}

    def ask(**more: object) -> TestResponse:
        return client.post("/api/generate", json=asked | more, headers=bearer(key))

    assert ask(num_samples=2).status_code == 200
    with ask(stream=True, max_len=900, min_len=900) as stream:
        next(stream.response)  # cut off after the first event, or later
    give_up = time.monotonic() + 10
    while (refused := ask()).status_code != 429:  # the stream is counted in the background
        assert time.monotonic() < give_up
    error = refused.get_json()["error"]
    assert error["code"] == "quota.tokens"
    assert "'bob' has used up its 50 tokens" in error["message"]
    assert 0 < int(refused.headers["Retry-After"]) <= 24 * 3600
    metrics = metrics_of(client, key_file)
    used = re.search(r'lorelm_key_generated_tokens_total{key="bob"} (\d+)', metrics)
    assert used
    assert int(used[1]) >= 50
    score = client.post("/api/score", json={"text": "The fox"}, headers=bearer(key))
    assert score.status_code == 200  # it generates nothing
    completion = {"model": "tales", "prompt": "The"}
    refused = client.post("/v1/completions", json=completion, headers=bearer(key))
    assert refused.get_json()["error"]["type"] == "insufficient_quota"
    key_file.change("bob", tokens_per_day=10_000)
    assert ask().status_code == 200


def test_logs_and_metrics_name_the_key_and_never_hold_it(
    make_client: MakeClient, key_file: KeyFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    key = key_file.add("class-7b")
    log = tmp_path / "access.jsonl"
    client = make_client(keys=key_file.path, access_log=str(log))
    client.post("/api/generate", json={"prompt": "The"}, headers=bearer(key))
    client.get("/", headers=bearer("guessed"))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["key"] for line in lines] == ["class-7b", None]
    assert "with the key class-7b: POST /api/generate 200" in caplog.text
    metrics = metrics_of(client, key_file)
    assert 'lorelm_key_requests_total{key="class-7b"} 1.0' in metrics
    for text in (log.read_text(), caplog.text, metrics):
        assert key not in text
        assert "guessed" not in text


def test_a_path_cannot_forge_a_line_of_the_log(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert make_client().get("/x%0Arequest%20forged%1B[2J").status_code == 404
    assert "GET /x%0Arequest%20forged%1B%5B2J 404" in caplog.text


def test_a_broken_file_is_said_and_does_not_close_the_server(
    make_client: MakeClient, key_file: KeyFile
) -> None:
    key = key_file.add("prometheus", metrics_only=True)
    client = make_client(keys=key_file.path)
    assert client.get("/readyz").get_json() == {"status": "ready", "keys_file": None}
    key_file.path.write_text("")
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert "cannot be read" in ready.get_json()["keys_file"]
    assert str(key_file.path) not in ready.get_data(as_text=True)
    answer = client.get("/metrics", headers=bearer(key))
    assert "lorelm_keys_file_broken 1.0" in answer.get_data(as_text=True)


def test_a_storage_that_does_not_answer_is_given_up(make_client: MakeClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        client = make_client(rate_limit="9/minute", rate_limit_storage=url)
        assert client.post("/api/generate", json={"prompt": ""}).status_code == 200


def test_requests_that_were_counting_when_the_storage_failed_are_answered(
    make_client: MakeClient,
) -> None:
    """Both have a connection to it; the second one breaks when the first request is answered."""
    with socket.create_server(("127.0.0.1", 0)) as storage, ThreadPoolExecutor(2) as pool:
        storage.settimeout(20)
        port = storage.getsockname()[1]
        client = make_client(rate_limit="9/minute", rate_limit_storage=f"redis://127.0.0.1:{port}")
        asked = [
            pool.submit(client.application.test_client().post, "/api/generate", json={"prompt": ""})
            for _ in range(2)
        ]
        first, second = (storage.accept()[0] for _ in asked)
        storage.close()
        first.close()
        wait(asked, timeout=20, return_when=FIRST_COMPLETED)
        second.close()
        assert [each.result().status_code for each in asked] == [200, 200]


def test_a_server_without_keys_does_not_look_at_one(make_client: MakeClient) -> None:
    client = make_client(rate_limit="1/minute")
    for _ in range(3):
        assert client.get("/v1/models", headers=bearer("dummy")).status_code == 200


def test_an_unknown_key_is_said_to_be_one(make_client: MakeClient) -> None:
    client = make_client(api_key="open")
    answer = client.get("/v1/models", headers=bearer("opne"))
    assert "this API key is not known" in answer.get_json()["error"]["message"]
    assert "requires an API key" in client.get("/v1/models").get_json()["error"]["message"]


def test_a_storage_is_looked_at_where_nothing_is_limited_yet(make_client: MakeClient) -> None:
    with raises_code(InputError, "rate_limit.invalid_storage"):
        make_client(rate_limit_storage="nowhere://x")
