"""What pages of other origins can do, and what they cannot."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

MakeClient = Callable[..., FlaskClient]

ORIGIN = "https://example.org"
FROM_ORIGIN = {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}
LOOK_ALIKES = (
    *("null", "*", "", "http://example.org", "https://example.org:8443"),
    *("https://www.example.org", "https://example.org.evil.net", "https://evil-example.org"),
    *("https://example.org/", "https://EXAMPLE.org", "https://example.org, https://evil.net"),
    "https://example.org https://evil.net",
)


@pytest.fixture
def make_client(tiny_bundle: Path, tmp_path: Path) -> Iterator[MakeClient]:
    apps = []

    def make(**settings: object) -> FlaskClient:
        usual = {"allow_origin": [ORIGIN], "history": f"sqlite:///{tmp_path}/history.db"}
        app = create_app(ServerSettings(bundles=[tiny_bundle], **(usual | settings)))
        apps.append(app)
        return app.test_client()

    yield make
    for app in apps:
        server_state(app).close()


def preflight(client: FlaskClient, path: str, origin: str, headers: str = "") -> TestResponse:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    if headers:
        asked["Access-Control-Request-Headers"] = headers
    return client.options(path, headers=asked)


def cors_headers(response: TestResponse) -> list[str]:
    return [name for name, _ in response.headers if name.startswith("Access-Control-")]


def test_a_page_of_an_allowed_origin_uses_the_api(make_client: MakeClient) -> None:
    client = make_client()
    for path, body in (
        ("/api/generate", {"prompt": "The", "max_len": 3}),
        ("/v1/completions", {"model": "tales", "prompt": "The", "max_tokens": 3}),
        ("/tokenize", {"prompt": "The"}),
    ):
        asked = preflight(client, path, ORIGIN, "content-type")
        assert asked.status_code == 204
        assert asked.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert asked.headers["Access-Control-Allow-Headers"] == "content-type"
        assert "POST" in asked.headers["Access-Control-Allow-Methods"]
        response = client.post(path, json=body, headers=FROM_ORIGIN)
        assert response.status_code == 200
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Origin" in response.vary
        for each in (asked, response):
            assert "Access-Control-Allow-Credentials" not in each.headers
            assert "Set-Cookie" not in each.headers


def test_it_can_read_errors_and_when_to_try_again(make_client: MakeClient) -> None:
    client = make_client(rate_limit="1/minute")
    wrong = client.post("/api/generate", json={"prompt": 3}, headers=FROM_ORIGIN)
    assert (wrong.status_code, wrong.headers["Access-Control-Allow-Origin"]) == (422, ORIGIN)
    limited = client.post("/api/generate", json={"prompt": "The"}, headers=FROM_ORIGIN)
    assert (limited.status_code, limited.headers["Access-Control-Allow-Origin"]) == (429, ORIGIN)
    assert limited.headers["Access-Control-Expose-Headers"] == "Retry-After, X-Request-Id"


@pytest.mark.parametrize("origin", LOOK_ALIKES)
def test_an_origin_that_only_looks_alike_gets_nothing(make_client: MakeClient, origin: str) -> None:
    client = make_client()
    asked = preflight(client, "/api/generate", origin, "content-type")
    foreign = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    sent = client.post("/api/generate", json={"prompt": "The"}, headers=foreign)
    read = client.get("/api/model", headers=foreign)
    assert sent.status_code == 403
    for response in (asked, sent, read):
        assert cors_headers(response) == []
        assert "Origin" in response.vary  # a cache may hold both


def test_by_default_no_origin_is_allowed(make_client: MakeClient) -> None:
    client = make_client(allow_origin=())
    response = client.get("/api/model", headers=FROM_ORIGIN)
    assert cors_headers(response) == []
    assert "Origin" not in response.vary
    assert client.post("/api/check", json={"text": "a"}, headers=FROM_ORIGIN).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", "/"), ("POST", "/embed"), ("POST", "/history/delete-all")),
        *(("GET", "/"), ("GET", "/history"), ("GET", "/history/export.json"), ("GET", "/metrics")),
    ],
)
def test_pages_history_and_metrics_are_not_open_to_it(
    make_client: MakeClient, method: str, path: str
) -> None:
    client = make_client()
    client.get("/")  # a cookie, which a page of the same site could make the browser send
    assert cors_headers(preflight(client, path, ORIGIN)) == []
    response = client.open(path, method=method, headers=FROM_ORIGIN, data={"prompt": "The"})
    assert cors_headers(response) == []
    if method == "POST":
        assert response.status_code == 403


def test_a_cookie_that_comes_along_is_not_read(make_client: MakeClient) -> None:
    client = make_client()
    client.get("/")
    foreign = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"}
    client.post("/api/generate", json={"prompt": "From elsewhere", "max_len": 3}, headers=foreign)
    client.post("/api/generate", json={"prompt": "From here", "max_len": 3})
    history = client.get("/history").get_data(as_text=True)
    assert "From here" in history
    assert "From elsewhere" not in history


def test_it_cannot_pass_itself_off_as_our_page(make_client: MakeClient) -> None:
    client = make_client()
    asked = preflight(client, "/api/generate", ORIGIN, "content-type, lorelm-page, x-stainless-os")
    assert asked.headers["Access-Control-Allow-Headers"] == "content-type, x-stainless-os"
    posing = FROM_ORIGIN | {"Lorelm-Page": "1"}
    assert client.post("/api/generate", json={"prompt": "The"}, headers=posing).status_code == 403


def test_a_preflight_needs_no_key_and_the_request_does(make_client: MakeClient) -> None:
    client = make_client(api_key="mellon")
    asked = preflight(client, "/api/generate", ORIGIN, "authorization")
    assert asked.status_code == 204
    assert asked.headers["Access-Control-Allow-Headers"] == "authorization"
    body = {"prompt": "The", "max_len": 3}
    refused = client.post("/api/generate", json=body, headers=FROM_ORIGIN)
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, ORIGIN)
    knows = FROM_ORIGIN | {"Authorization": "Bearer mellon"}
    assert client.post("/api/generate", json=body, headers=knows).status_code == 200


def test_only_the_page_for_frames_may_be_shown_in_a_frame(make_client: MakeClient) -> None:
    client = make_client(allow_origin=[ORIGIN, "http://localhost:8000"])
    policy = "frame-ancestors 'self' https://example.org http://localhost:8000"
    page = client.get("/embed")
    assert page.headers["Content-Security-Policy"].endswith(policy)
    assert "Set-Cookie" not in page.headers
    for path in ("/", "/history", "/model", "/nothing"):
        ancestors = client.get(path).headers["Content-Security-Policy"].rpartition("; ")[2]
        assert ancestors == "frame-ancestors 'self'"


def test_without_allowed_origins_there_is_no_page_for_frames(make_client: MakeClient) -> None:
    client = make_client(allow_origin=())
    for response in (client.get("/embed"), client.post("/embed", data={"prompt": "The"})):
        assert response.status_code == 404
        assert "--allow-origin" in response.get_data(as_text=True)
        assert response.headers["Content-Security-Policy"].endswith("frame-ancestors 'self'")


def test_the_page_for_frames_is_a_form_without_a_script(make_client: MakeClient) -> None:
    client = make_client()
    page = client.post("/embed", data={"prompt": "The fox"}).get_data(as_text=True)
    assert 'action="embed"' in page
    assert 'id="results"' in page
    assert client.post("/embed", data={"prompt": "x", "max_len": "0"}).status_code == 422
