"""Links to texts, and attacks on them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from tests.errors import raises_code

from lorelm.errors import InputError
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

NewApp = Callable[..., Flask]

CONTENT: list[Any] = ["The fox ", ["sat", -1.5], " by ", ["the", -0.25, 6], "\n", ["OWL:", -3]]


@pytest.fixture
def writer(new_app: NewApp) -> FlaskClient:
    """A browser with its own cookie, on a server that lets it share."""
    client = new_app(share_links=True).test_client()
    client.get("/")
    return client


def share(client: FlaskClient, **others: Any) -> Any:
    body = {"name": "The mill", "content": CONTENT, "model": "tales"} | others
    reply = client.post("/api/links", json=body)
    assert reply.status_code == 200, reply.get_data(as_text=True)
    return reply.get_json()


def test_anybody_with_the_link_reads_the_text_until_it_is_revoked(writer: FlaskClient) -> None:
    made = share(writer)
    reader = writer.application.test_client()
    page = reader.get(f"/{made['path']}")
    assert page.status_code == 200
    text = page.get_data(as_text=True)
    assert re.search(r"<h1><bdi>The mill</bdi></h1>", text)
    sample = re.search(r'<p class="sample" lang="" dir="auto">(.*?)</p>', text, re.DOTALL)
    assert sample is not None
    assert re.sub("<.*?>", "", sample[1]) == "The fox sat by the\nOWL:"
    assert '<span class="word p1">sat</span>' in text
    assert '<span class="word p0 copied">the</span>' in text
    assert '<span class="word p3 cue">OWL:</span>' in text
    [link] = writer.get("/api/links").get_json()["links"]
    assert link == {name: made[name] for name in made if name != "path"}
    assert writer.delete(f"/api/links/{link['id']}").status_code == 200
    assert reader.get(f"/{made['path']}").status_code == 404
    assert writer.get("/api/links").get_json()["links"] == []


def test_names_that_somebody_typed_are_bold_too(
    new_app: NewApp, scene_bundle: Path, tiny_bundle: Path
) -> None:
    bundles = [scene_bundle, tiny_bundle]
    client = new_app(share_links=True, bundles=bundles).test_client()
    client.get("/")
    typed = "OWL: Who?\nBOB: I\n"
    content = [typed, ["HARE:", -1], ["No", -1], " OWL: a\nOWL: b", ["\n", -1], "ZED: c"]
    for model in ("script.txt", "model"):  # as the page calls it, and as requests do
        text = shared_page(client, content=content, model=model)
        for name in ("OWL:", "BOB:", "ZED:"):
            assert f'<span class="cue">{name}</span>' in text
        assert text.count(">OWL:<") == 2  # not the one in the middle of a line
        assert "the tinted words" in text
    alone = shared_page(client, content=[typed], model="")
    assert alone.count('class="cue"') == 2
    assert "the tinted words" not in alone
    # A model without speakers reads no names.
    assert 'class="cue"' not in shared_page(client, content=[typed], model="tales")


def shared_page(client: FlaskClient, **others: Any) -> str:
    page = client.get(f"/{share(client, **others)['path']}")
    assert page.status_code == 200
    return page.get_data(as_text=True)


def test_its_page_is_private(writer: FlaskClient) -> None:
    made = share(writer)
    page = writer.get(f"/{made['path']}")
    missing = writer.get("/shared/nothing")
    for response in (page, missing):
        assert response.headers["Cache-Control"] == "no-store"
        assert "noindex" in response.headers["X-Robots-Tag"]
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in response.headers
    text = page.get_data(as_text=True)
    assert "<script" not in text
    assert "<form" not in text


def test_html_in_a_text_is_text(writer: FlaskClient) -> None:
    attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    made = share(writer, name=attack[:100], content=[attack, [attack, -1]], model=attack)
    page = writer.get(f"/{made['path']}").get_data(as_text=True)
    assert "<script>" not in page
    assert "<img" not in page
    assert (
        page.count("&lt;script&gt;alert(1)") == 8
    )  # title, preview (3), heading, model, and both parts


def test_guesses_lead_nowhere(writer: FlaskClient) -> None:
    made = share(writer)
    secret = made["path"].removeprefix("shared/")
    for guess in (made["id"], "", secret[:-1], f"{secret}/", secret + "%00", "../api/links", "%"):
        response = writer.get(f"/shared/{guess}")
        assert response.status_code == 404, guess
        assert "The fox" not in response.get_data(as_text=True)


def test_only_its_writer_lists_and_revokes_a_link(writer: FlaskClient) -> None:
    made = share(writer)
    other = writer.application.test_client()
    other.get("/")
    assert other.get("/api/links").get_json()["links"] == []
    assert other.delete(f"/api/links/{made['id']}").status_code == 404
    program = writer.application.test_client(use_cookies=False)
    assert program.get("/api/links").status_code == 403
    assert program.delete(f"/api/links/{made['id']}").status_code == 403
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert writer.post("/api/links", json={}, headers=foreign).status_code == 403
    assert writer.delete(f"/api/links/{made['id']}", headers=foreign).status_code == 403
    assert writer.get(f"/{made['path']}").status_code == 200


def test_a_link_works_after_a_restart(new_app: NewApp) -> None:
    first = new_app(share_links=True)
    client = first.test_client()
    client.get("/")
    path = share(client)["path"]
    server_state(first).close()
    assert new_app(share_links=True).test_client().get(f"/{path}").status_code == 200
    # Without the setting, links that were made before are closed too.
    assert new_app().test_client().get(f"/{path}").status_code == 404


def test_by_default_there_are_no_links(new_app: NewApp) -> None:
    client = new_app().test_client()
    client.get("/")
    assert client.post("/api/links", json={"name": "x", "content": []}).status_code == 404
    assert client.get("/shared/x").status_code == 404


def test_a_reader_needs_no_api_key_and_a_writer_does(new_app: NewApp) -> None:
    client = new_app(share_links=True, api_key="mellon").test_client()
    knows = {"Authorization": "Bearer mellon"}
    client.get("/", headers=knows)
    body = {"name": "x", "content": ["x"]}
    assert client.post("/api/links", json=body).status_code == 401
    made = client.post("/api/links", json=body, headers=knows).get_json()
    assert client.get(f"/{made['path']}").status_code == 200
    assert client.get("/api/links").status_code == 401
    assert client.get("/").status_code == 401


def test_the_access_log_holds_no_secret(new_app: NewApp, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    client = new_app(share_links=True, access_log=str(log)).test_client()
    client.get("/")
    path = share(client)["path"]
    client.get(f"/{path}")
    text = log.read_text(encoding="utf-8")
    assert path.removeprefix("shared/") not in text
    assert json.loads(text.splitlines()[-1])["path"] == "/shared/<secret>"


def test_links_need_a_history() -> None:
    with raises_code(InputError, "server.links_without_history"):
        ServerSettings(share_links=True)
