"""Drafts by the API, and attacks on those of another browser."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from lorelm.server.drafts.requests import MAX_DRAFT_CHARACTERS
from lorelm.server.state import server_state

NewApp = Callable[..., Flask]

CONTENT = ["The fox ", ["sat", -1.5], " by ", ["the", -0.25, 6]]
PAGE = {"Lorelm-Page": "1"}


@pytest.fixture
def person(new_app: NewApp) -> FlaskClient:
    """A browser with its own cookie."""
    client = new_app().test_client()
    client.get("/")
    return client


def keep(client: FlaskClient, name: str = "The mill", **others: Any) -> Any:
    body = {"name": name, "content": CONTENT, "model": "tales"} | others
    reply = client.post("/api/drafts", json=body)
    assert reply.status_code == 200, reply.get_data(as_text=True)
    return reply.get_json()


def listed(client: FlaskClient, query: str = "") -> list[str]:
    reply = client.get(f"/api/drafts{query}")
    assert reply.status_code == 200
    return [draft["name"] for draft in reply.get_json()["drafts"]]


def test_a_draft_is_kept_opened_saved_renamed_starred_and_deleted(person: FlaskClient) -> None:
    kept = keep(person)
    address = f"/api/drafts/{kept['id']}"
    opened = person.get(address)
    assert opened.get_json() == kept | {"content": CONTENT}
    assert opened.headers["Cache-Control"] == "no-store"
    saved = person.put(address, json={"version": 1, "content": ["New"], "model": "tales"})
    assert saved.get_json()["version"] == 2
    person.patch(address, json={"name": " The \n river ", "starred": True})
    [draft] = person.get("/api/drafts").get_json()["drafts"]
    assert (draft["name"], draft["starred"], draft["excerpt"]) == ("The river", True, "New")
    assert draft["content"] is None
    deleted = person.delete(address).get_json()
    assert deleted["content"] == ["New"]
    assert person.get(address).status_code == 404
    again = keep(person, **{name: deleted[name] for name in ("name", "content", "starred")})
    assert (again["name"], again["starred"]) == ("The river", True)


def test_a_save_over_another_version_is_refused(person: FlaskClient) -> None:
    address = f"/api/drafts/{keep(person)['id']}"
    person.put(address, json={"version": 1, "content": ["One tab"]})
    refused = person.put(address, json={"version": 1, "content": ["Other tab"]})
    assert refused.status_code == 409
    error = refused.get_json()["error"]
    assert error["code"] == "draft.conflict"
    assert "'The mill' was saved in another tab" in error["message"]
    assert person.get(address).get_json()["content"] == ["One tab"]


def test_a_list_has_pages_and_a_search(person: FlaskClient) -> None:
    for number in range(45):
        keep(person, f"Draft {number}")
    names: list[str] = []
    query = "/api/drafts"
    while True:
        page = person.get(query).get_json()
        names += [draft["name"] for draft in page["drafts"]]
        if page["next"] is None:
            break
        query = f"/api/drafts?after={page['next']}"
    assert names == [f"Draft {number}" for number in reversed(range(45))]
    assert listed(person, "?q=draft%207") == ["Draft 7"]
    assert person.get("/api/drafts?after=x").status_code == 422


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "x" * 101}, "name"),
        ({"name": " \n"}, "name"),
        ({"name": 3}, "name"),
        ({"content": "text"}, "content"),
        ({"content": [3]}, "content"),
        ({"content": [["word"]]}, "content"),
        ({"content": [["word", 0.5]]}, "content"),
        ({"content": [["word", True]]}, "content"),
        ({"content": [["word", "x"]]}, "content"),
        ({"content": [["word", float("nan")]]}, "content"),
        ({"content": [["word", float("-inf")]]}, "content"),
        ({"content": [["word", -1, 2.5]]}, "content"),
        ({"content": [["word", -1, -1]]}, "content"),
        ({"content": [["word", -1, 2, 3]]}, "content"),
        ({"content": ["x" * (MAX_DRAFT_CHARACTERS + 1)]}, "content"),
        ({"starred": "yes"}, "starred"),
        ({"model": "x" * 201}, "model"),
        ({"version": 1}, "version"),
    ],
)
def test_what_is_no_draft_is_refused(person: FlaskClient, change: Any, field: str) -> None:
    reply = person.post("/api/drafts", json={"name": "x", "content": ["x"]} | change)
    assert reply.status_code == 422
    assert reply.get_json()["error"]["field"] == field
    assert listed(person) == []


def test_a_body_that_is_too_long_is_refused(person: FlaskClient) -> None:
    body = b'{"name": "x", "content": ["' + b"x" * 300_000 + b'"]}'
    reply = person.post("/api/drafts", data=body, content_type="application/json")
    assert reply.status_code == 413
    assert "longer than 262,144 bytes" in reply.get_json()["error"]["message"]


def test_drafts_are_those_of_the_browser(person: FlaskClient) -> None:
    mine = keep(person)
    address = f"/api/drafts/{mine['id']}"
    other = person.application.test_client()
    other.get("/")
    assert listed(other) == []
    assert other.get(address).status_code == 404
    assert other.put(address, json={"version": 1, "content": []}).status_code == 404
    assert other.patch(address, json={"name": "x"}).status_code == 404
    assert other.delete(address).status_code == 404
    assert person.get(address).get_json()["content"] == CONTENT


def test_without_a_cookie_there_are_no_drafts(person: FlaskClient) -> None:
    address = f"/api/drafts/{keep(person)['id']}"
    program = person.application.test_client(use_cookies=False)
    for reply in (program.get("/api/drafts"), program.get(address), program.delete(address)):
        assert reply.status_code == 403
        assert "Lorelm-Page" in reply.get_json()["error"]["message"]
    new = program.get("/api/drafts", headers=PAGE)  # of our page, in a browser that is new
    assert new.get_json()["drafts"] == []
    assert "Set-Cookie" in new.headers


def test_a_forged_cookie_has_no_drafts(person: FlaskClient) -> None:
    keep(person)
    [cookie] = person._cookies.values()  # type: ignore[attr-defined]
    value = ("A" if cookie.value[0] != "A" else "B") + cookie.value[1:]
    thief = person.application.test_client()
    thief.set_cookie(cookie.key, value)
    assert thief.get("/api/drafts").status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_sites_change_nothing(person: FlaskClient, site: str) -> None:
    address = f"/api/drafts/{keep(person)['id']}"
    foreign = {"Sec-Fetch-Site": site, "Origin": "https://evil.example"}
    body = {"name": "x", "content": ["x"]}
    for reply in (
        person.post("/api/drafts", json=body, headers=foreign),
        person.put(address, json={"version": 1, "content": []}, headers=foreign),
        person.patch(address, json={"name": "x"}, headers=foreign),
        person.delete(address, headers=foreign),
    ):
        assert reply.status_code == 403
    # A form, from a browser that does not name the site.
    form = person.post("/api/drafts", data='{"name": "x"}', content_type="text/plain")
    assert form.status_code == 415
    assert listed(person) == ["The mill"]


def test_an_allowed_origin_reaches_no_drafts(new_app: NewApp) -> None:
    client = new_app(allow_origin=["https://example.org"]).test_client()
    client.get("/")
    keep(client)
    foreign = {"Origin": "https://example.org", "Sec-Fetch-Site": "cross-site"}
    assert client.post("/api/drafts", json={"name": "x"}, headers=foreign).status_code == 403
    for reply in (
        client.get("/api/drafts", headers=foreign),
        client.options("/api/drafts", headers=foreign | {"Access-Control-Request-Method": "PUT"}),
    ):
        assert "Access-Control-Allow-Origin" not in reply.headers


def test_a_rebound_host_name_has_a_cookie_of_its_own(person: FlaskClient) -> None:
    """A page that makes its own name lead here gets the answers, but the name has no cookie."""
    keep(person)
    reply = person.get("/api/drafts", base_url="http://evil.example:5000", headers=PAGE)
    assert reply.get_json()["drafts"] == []


def test_making_drafts_counts_towards_the_rate_limit_and_saving_does_not(new_app: NewApp) -> None:
    client = new_app(rate_limit="2/minute").test_client()
    client.get("/")
    address = f"/api/drafts/{keep(client)['id']}"
    for version in range(1, 6):
        body = {"version": version, "content": [f"text {version}"]}
        assert client.put(address, json=body).status_code == 200
    keep(client)
    assert client.post("/api/drafts", json={"name": "x", "content": []}).status_code == 429


def test_drafts_need_the_api_key(new_app: NewApp) -> None:
    client = new_app(api_key="mellon").test_client()
    assert client.get("/api/drafts", headers=PAGE).status_code == 401


def test_drafts_survive_a_restart(new_app: NewApp) -> None:
    first = new_app()
    client = first.test_client()
    client.get("/")
    keep(client)
    server_state(first).close()
    again = new_app().test_client()
    [cookie] = client._cookies.values()  # type: ignore[attr-defined]
    again.set_cookie(cookie.key, cookie.value)
    assert listed(again) == ["The mill"]


def test_without_a_history_there_are_no_drafts_on_the_server(client: FlaskClient) -> None:
    assert client.get("/api/drafts", headers=PAGE).status_code == 404


def test_the_document_names_drafts_and_links_where_they_are_kept(new_app: NewApp) -> None:
    paths = new_app(share_links=True).test_client().get("/openapi.json").get_json()["paths"]
    assert set(paths["/api/drafts"]) == {"get", "post"}
    assert set(paths["/api/drafts/{draft_id}"]) == {"get", "put", "patch", "delete"}
    assert set(paths["/api/links"]) == {"get", "post"}
    assert "/api/links" not in new_app().test_client().get("/openapi.json").get_json()["paths"]
