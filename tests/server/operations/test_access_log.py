import json
from pathlib import Path

import pytest

from lorelm.errors import InputError
from lorelm.server.app import SERVED_MODEL, create_app
from lorelm.server.settings import ServerSettings


def test_each_request_is_a_line_that_does_not_say_what_was_written(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    log = tmp_path / "access.jsonl"
    app = create_app(ServerSettings(bundle=tiny_bundle, access_log=str(log)))
    client = app.test_client()
    client.post("/api/generate", json={"prompt": "The secret fox"})
    client.post("/api/generate", json={"prompt": "The secret fox", "stream": True}).get_data()
    client.get("/nothing")
    app.extensions[SERVED_MODEL].engine.stop(grace_seconds=0)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/api/generate", 200),
        ("POST", "/api/generate", 200),
        ("GET", "/nothing", 404),
    ]
    assert [line["is_stream"] for line in lines] == [False, True, False]
    assert all(line["client"] == "127.0.0.1" and line["seconds"] > 0 for line in lines)
    assert lines[0]["bytes"] > 100
    assert "secret" not in log.read_text()


def test_a_log_that_cannot_be_written_is_one_line(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the access log .*nowhere.* cannot be written"):
        create_app(ServerSettings(bundle=tiny_bundle, access_log=str(tmp_path / "nowhere" / "log")))
