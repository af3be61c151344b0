import json
from pathlib import Path

import pytest
from tests.errors import raises_code

from lorelm.errors import InputError
from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

ENDLESS = {"prompt": "", "max_len": 1000, "min_len": 1000}


def test_each_request_is_a_line_without_prompts_or_texts(tiny_bundle: Path, tmp_path: Path) -> None:
    log = tmp_path / "access.jsonl"
    app = create_app(ServerSettings(bundles=[tiny_bundle], access_log=str(log)))
    client = app.test_client()
    client.post("/api/generate", json={"prompt": "The secret fox"})
    with client.post("/api/generate", json={"prompt": "The secret fox", "stream": True}) as stream:
        length = len(stream.get_data())
        assert len(log.read_text().splitlines()) == 1  # a stream is logged when it ends
    client.get("/nothing")
    with client.post("/api/generate", json=ENDLESS | {"stream": True, "num_samples": 9}) as stream:
        server_state(app).close()
        stream.get_data()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/api/generate", 200),
        ("POST", "/api/generate", 200),
        ("GET", "/nothing", 404),
        ("POST", "/api/generate", 503),
    ]
    assert all(line["client"] == "127.0.0.1" and line["seconds"] > 0 for line in lines)
    assert lines[0]["bytes"] > 100
    assert lines[1]["bytes"] == length
    assert lines[1]["error"] is None
    assert "shut down before the text ended" in lines[3]["error"]
    assert "secret" not in log.read_text()


def test_an_unwritable_log_does_not_stop_the_server(
    tiny_bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "log").mkdir()
    log = tmp_path / "log" / "access.jsonl"
    app = create_app(ServerSettings(bundles=[tiny_bundle], access_log=str(log)))
    log.unlink()
    (tmp_path / "log").rmdir()
    assert app.test_client().get("/").status_code == 200
    assert "cannot be written" in caplog.text
    server_state(app).close()


def test_a_log_that_cannot_be_opened_is_an_error(tiny_bundle: Path, tmp_path: Path) -> None:
    with raises_code(InputError, "access_log.unwritable"):
        create_app(
            ServerSettings(bundles=[tiny_bundle], access_log=str(tmp_path / "nowhere" / "log"))
        )
