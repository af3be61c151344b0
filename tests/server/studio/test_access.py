"""Who may use the studio, and the attacks that were tried."""

import secrets
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from tests.server.studio.conftest import ORIGIN, Studio

from lorelm.server.studio import access
from lorelm.server.studio.access import Links, signing_key
from lorelm.server.studio.app import KEY_FILE, create_studio
from lorelm.server.studio.settings import StudioSettings


def new_client(studio: Studio) -> FlaskClient:
    return studio.client.application.test_client()


def new_token(studio: Studio) -> str:
    settings = studio.state.settings
    return Links(signing_key(settings.folder / KEY_FILE), settings.start).new_token()


def test_a_link_opens_the_studio_once(studio: Studio) -> None:
    link = f"/enter?token={new_token(studio)}"
    first, second = new_client(studio), new_client(studio)
    assert first.get("/texts").status_code == 401
    assert first.get(link).status_code == 303
    assert first.get("/texts").status_code == 200
    refused = second.get(link)
    assert refused.status_code == 403
    assert "used before" in refused.text
    assert second.get("/texts").status_code == 401
    assert first.get(link).status_code == 303  # the back button


def test_a_guessed_token_opens_nothing(studio: Studio) -> None:
    client = new_client(studio)
    other = Links(b"another key", studio.state.settings.start).new_token()
    real = new_token(studio)
    for token in (
        "",
        "x",
        secrets.token_urlsafe(),
        other,
        real[:-1],
        real[:-1] + "!",
        real.upper(),
    ):
        assert client.get("/enter", query_string={"token": token}).status_code == 403
    assert client.get("/texts").status_code == 401


def test_a_link_of_yesterday_is_too_old(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    token = new_token(studio)
    later = time.time() + access._LINK_SECONDS + 2
    monkeypatch.setattr(time, "time", lambda: later)
    assert new_client(studio).get(f"/enter?token={token}").status_code == 403


def test_a_session_lives_through_a_restart(studio: Studio) -> None:
    app, state, _ = create_studio(studio.state.settings)
    client = app.test_client()
    for cookie in studio.client._cookies.values():  # type: ignore[union-attr]
        client.set_cookie(cookie.key, cookie.value)
    assert client.get("/texts").status_code == 200
    state.close()


def test_a_forged_session_is_none(studio: Studio) -> None:
    client = new_client(studio)
    [cookie] = studio.client._cookies.values()  # type: ignore[union-attr]
    payload, _, signature = cookie.value.rpartition(".")
    client.set_cookie(cookie.key, f"{payload}.{signature[::-1]}")
    assert client.get("/texts").status_code == 401
    assert cookie.http_only
    assert cookie.same_site == "Lax"


@pytest.mark.parametrize("path", ["/texts", "/train", "/models", "/write/english/", "/nowhere"])
def test_nothing_is_shown_without_a_session(studio: Studio, path: str) -> None:
    response = new_client(studio).get(path)
    assert response.status_code == 401
    assert "Tales" not in response.text


def test_the_api_of_a_model_needs_the_session(studio: Studio) -> None:
    client = new_client(studio)
    response = client.post("/write/english/api/generate", json={"prompt": "The"})
    assert response.status_code == 401
    with client.get("/static/style.css") as style:
        assert style.status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5000", "127.0.0.1.evil.example"])
def test_a_site_whose_name_leads_here_reads_nothing(studio: Studio, host: str) -> None:
    for path in ("/texts", "/static/style.css", f"/enter?token={new_token(studio)}"):
        assert studio.client.get(path, headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost:8000", "[::1]:5000"])
def test_names_of_this_machine_are_trusted(studio: Studio, host: str) -> None:
    assert new_client(studio).get("/texts", headers={"Host": host}).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
    ],
)
def test_a_page_of_another_site_changes_nothing(studio: Studio, headers: dict[str, str]) -> None:
    for path in ("/texts", "/train", "/models", "/models/Fox/delete", "/deleted/1-texts"):
        response = studio.client.post(path, headers=headers, data={"pasted": "Stolen words."})
        assert response.status_code == 403
    assert studio.state.library.names("texts") == []


@pytest.fixture
def guarded(tmp_path: Path) -> FlaskClient:
    settings = StudioSettings(folder=tmp_path / "studio", password="mellon")
    return create_studio(settings)[0].test_client()


def test_a_password_opens_the_studio_for_others(guarded: FlaskClient) -> None:
    host = {"Host": "studio.example:5000"}
    assert 'type="password"' in guarded.get("/texts", headers=host).text
    assert guarded.post("/login", headers=host, data={"password": "mellon"}).status_code == 303
    assert guarded.get("/texts", headers=host).status_code == 200


def test_wrong_passwords_are_slow(guarded: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    answers = []
    for password in ("friend", "mellon", "mellon"):
        answers.append(guarded.post("/login", data={"password": password}).status_code)
    assert answers == [401, 429, 429]
    now[0] += 1.1
    assert guarded.post("/login", data={"password": "mellon"}).status_code == 303
    assert guarded.get("/texts").status_code == 200


def test_another_password_ends_the_sessions(guarded: FlaskClient, tmp_path: Path) -> None:
    guarded.post("/login", data={"password": "mellon"})
    settings = StudioSettings(folder=tmp_path / "studio", password="speak")
    other = create_studio(settings)[0].test_client()
    for cookie in guarded._cookies.values():  # type: ignore[union-attr]
        other.set_cookie(cookie.key, cookie.value)
    assert other.get("/texts").status_code == 401


def test_the_key_can_be_read_by_its_owner_alone(studio: Studio) -> None:
    assert (studio.state.settings.folder / KEY_FILE).stat().st_mode & 0o077 == 0


def test_every_page_has_the_security_headers(studio: Studio) -> None:
    for path in ("/texts", "/train", "/models", "/write", "/nowhere"):
        headers = studio.client.get(path).headers
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("is_opened", [True, False])
def test_a_shared_text_is_open_only_where_the_studio_says_so(
    studio: Studio, tiny_bundle: Path, is_opened: bool
) -> None:
    shutil.copytree(tiny_bundle, studio.state.library.root / "models" / "Fox")
    app, state, links = create_studio(replace(studio.state.settings, share_links=is_opened))
    writer, reader = app.test_client(), app.test_client()
    writer.get(f"/enter?token={links.new_token()}")
    writer.get("/write/Fox/")
    made = writer.post(
        "/write/Fox/api/links",
        json={"name": "A tale", "content": ["The fox ran."], "model": ""},
        headers=ORIGIN,
    )
    assert made.status_code == (200 if is_opened else 404), made.text
    path = made.get_json()["path"] if is_opened else "shared/" + "a" * 32
    read = reader.get(f"/write/Fox/{path}")
    assert read.status_code == (200 if is_opened else 401)
    assert ("The fox ran." in read.text) == is_opened
    for name in ("Fox", "Nobody"):  # the page's style, whose address tells of no model
        with reader.get(f"/write/{name}/static/style.css") as style:
            assert style.status_code == (200 if is_opened else 401)
    for other in ("", "api/drafts", "history", "shared", "static/../history"):
        assert reader.get(f"/write/Fox/{other}").status_code in (401, 404)
    assert reader.post("/write/Fox/shared/x").status_code == 401
    state.stop(0)
    state.close()


def test_links_of_an_earlier_start_open_nothing(studio: Studio) -> None:
    token = new_token(studio)
    app, state, _ = create_studio(replace(studio.state.settings, start="another"))
    assert app.test_client().get(f"/enter?token={token}").status_code == 403
    state.close()


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_key_that_was_cut_short_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "studio.key").write_bytes(content)
    key = signing_key(tmp_path / "studio.key")
    assert len(key) == 64
    assert signing_key(tmp_path / "studio.key") == key
    assert (tmp_path / "studio.key").stat().st_mode & 0o077 == 0


def test_wrong_passwords_of_others_keep_nobody_out(guarded: FlaskClient) -> None:
    other = {"REMOTE_ADDR": "10.0.0.9"}
    for _ in range(3):
        guarded.post("/login", data={"password": "guess"}, environ_base=other)
    assert guarded.post("/login", data={"password": "mellon"}).status_code == 303
