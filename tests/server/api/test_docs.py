from collections.abc import Callable
from pathlib import Path

from flask.testing import FlaskClient
from openapi_spec_validator import validate
from playwright.sync_api import Browser

from lorelm.server.api.requests import GenerateRequest, SceneTurn, ScoreRequest
from lorelm.server.app import create_app
from lorelm.server.openai.chat_requests import ChatRequest
from lorelm.server.openai.requests import CompletionRequest, TokenizeRequest
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state


def test_the_document_is_an_openapi_document(client: FlaskClient) -> None:
    validate(client.get("/openapi.json").get_json())


def test_the_document_names_every_address_for_programs(client: FlaskClient) -> None:
    documented = {
        (method.upper(), path)
        for path, operations in client.get("/openapi.json").get_json()["paths"].items()
        for method in operations
    }
    pages = {"/", "/embed", "/model", "/docs", "/openapi.json", "/static/{name}"}
    served = {
        (method, rule.rule.replace("<path:", "{").replace(">", "}").replace("filename", "name"))
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert documented == {(method, path) for method, path in served if path not in pages}


def test_every_field_is_explained(client: FlaskClient) -> None:
    schemas = client.get("/openapi.json").get_json()["components"]["schemas"]
    requests = (GenerateRequest, ScoreRequest, CompletionRequest, ChatRequest, TokenizeRequest)
    for kind in (*requests, SceneTurn):
        properties = schemas[kind.__name__]["properties"]
        assert set(properties) == set(kind.model_fields)
        assert all(field["description"] for field in properties.values())


def test_the_docs_page_names_every_address(
    browser: Browser, start_server: Callable[..., str], tiny_bundle: Path
) -> None:
    url = start_server(str(tiny_bundle))
    page = browser.new_page(viewport={"width": 360, "height": 700})
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(url + "docs")
    assert page.get_by_role("heading", name="POST /api/generate").is_visible()
    assert "Below 1 sober, above 1 wild" in page.inner_text("main")
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    page.close()
    assert overflow <= 0
    assert complaints == []
    assert all(address.startswith(url) for address in asked)


def test_the_document_states_the_limits_of_this_server(tiny_bundle: Path) -> None:
    app = create_app(ServerSettings(bundles=[tiny_bundle], max_tokens_limit=30))
    schemas = app.test_client().get("/openapi.json").get_json()["components"]["schemas"]
    server_state(app).close()
    for request, name in (
        ("GenerateRequest", "max_len"),
        ("CompletionRequest", "max_tokens"),
        ("ChatRequest", "max_completion_tokens"),
    ):
        field = schemas[request]["properties"][name]
        assert field["maximum"] == 30
        assert field.get("default", 30) <= 30
        assert "to 30" in field["description"]
