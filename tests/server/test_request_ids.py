import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from lorelm.runtime.onnx_runtime import BoundBatch
from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

NEW = re.compile(r"[0-9a-f]{32}")


@pytest.fixture
def faulty_app(
    new_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Flask:
    """An application with a model that fails at each step, and an access log."""

    def fail(*_: object, **__: object) -> Any:
        raise ZeroDivisionError("deep inside")

    app = new_app(access_log=str(tmp_path / "access.jsonl"))
    monkeypatch.setattr(BoundBatch, "step", fail)
    return app


def logged_ids(folder: Path) -> list[str]:
    lines = (folder / "access.jsonl").read_text().splitlines()
    return [json.loads(line)["request_id"] for line in lines]


def test_an_id_that_the_client_gives_is_kept(client: FlaskClient) -> None:
    for given in ("a", "3f-2.A_b", "x" * 128):
        response = client.get("/healthz", headers={"X-Request-Id": given})
        assert response.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", "a\tb", "ä", "a,b", '"a"'])
def test_another_one_is_replaced(client: FlaskClient, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-Id": given}
    ids = [client.get("/healthz", headers=headers).headers["X-Request-Id"] for _ in range(2)]
    assert all(NEW.fullmatch(each) for each in ids)
    assert ids[0] != ids[1]


def test_every_response_has_one(client: FlaskClient) -> None:
    for path in ("/", "/nothing", "/static/style.css", "/api/generate", "/metrics", "/v1/models"):
        response = client.get(path)
        assert NEW.fullmatch(response.headers["X-Request-Id"]), path
        response.close()
    with client.post("/api/generate", json={"prompt": "", "stream": True}) as stream:
        assert NEW.fullmatch(stream.headers["X-Request-Id"])


def test_refusals_have_one_too(new_app: Callable[..., Flask]) -> None:
    client = new_app(api_key="friend", rate_limit="1/minute").test_client()
    statuses = []
    for _ in range(2):
        response = client.post("/api/generate", json={}, headers={"X-Request-Id": "mine"})
        assert response.headers["X-Request-Id"] == "mine"
        statuses.append(response.status_code)
    assert statuses == [401, 429]


def test_the_access_log_has_it(tiny_bundle: Path, tmp_path: Path) -> None:
    log = tmp_path / "access.jsonl"
    app = create_app(ServerSettings(bundles=[tiny_bundle], access_log=str(log)))
    client = app.test_client()
    for number, body in enumerate(({"prompt": ""}, {"prompt": "", "stream": True})):
        headers = {"X-Request-Id": f"of-{number}"}
        with client.post("/api/generate", json=body, headers=headers) as response:
            response.get_data()
    client.get("/healthz", headers={"X-Request-Id": "no id"})
    server_state(app).close()
    *given, new = logged_ids(tmp_path)
    assert given == ["of-0", "of-1"]
    assert NEW.fullmatch(new)


@pytest.mark.parametrize("path", ["/api/generate", "/v1/completions"])
def test_a_fault_of_ours_is_found_by_it(
    path: str,
    faulty_app: Flask,
    tiny_bundle: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    response = faulty_app.test_client().post(
        path, json={"model": tiny_bundle.name, "prompt": "The"}, headers={"X-Request-Id": "mine"}
    )
    error = response.get_json()["error"]
    assert response.status_code == 500
    assert error["request_id"] == "mine"
    assert error["message"].endswith("; the log says what (request mine)")
    assert has_traceback(caplog, "mine")
    assert logged_ids(tmp_path) == ["mine"]


@pytest.mark.parametrize("path", ["/api/generate", "/v1/completions"])
def test_so_is_one_that_ends_a_stream(
    path: str,
    faulty_app: Flask,
    tiny_bundle: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with faulty_app.test_client().post(
        path,
        json={"model": tiny_bundle.name, "prompt": "The", "stream": True},
        headers={"X-Request-Id": "mine"},
    ) as stream:
        assert "; the log says what (request mine)" in stream.get_data(as_text=True)
    assert has_traceback(caplog, "mine")
    assert logged_ids(tmp_path) == ["mine"]


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_so_is_an_exception_of_a_view(
    accept: str,
    new_app: Callable[..., Flask],
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = new_app()
    app.add_url_rule("/broken/<secret>", "broken", lambda secret: 1 / 0)
    response = app.test_client().get(
        "/broken/mellon", headers={"X-Request-Id": "mine", "Accept": accept}
    )
    assert response.status_code == 500
    assert response.headers["X-Request-Id"] == "mine"
    assert "(request mine)" in response.get_data(as_text=True)
    assert has_traceback(caplog, "mine", error="division by zero")
    assert "GET /broken/<secret>" in caplog.text
    assert "mellon" not in caplog.messages[-1]


def has_traceback(
    caplog: pytest.LogCaptureFixture, request_id: str, error: str = "deep inside"
) -> bool:
    """Return whether the log has one traceback of a request."""
    found = [
        record.exc_info
        for record in caplog.records
        if f"request {request_id} failed" in record.getMessage()
    ]
    return len(found) == 1 and found[0] is not None and error in str(found[0][1])
