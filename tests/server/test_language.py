"""The language of a page: by the browser, by the reader's choice, and what stays English."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def language_of(response: TestResponse) -> str:
    found = re.search(r'<html lang="(\w+)" dir="ltr">', response.text)
    assert found is not None
    assert response.headers["Content-Language"] == found[1]
    assert {"accept-language", "cookie"} <= {*response.vary.as_set()}
    return found[1]


@pytest.fixture
def visitor(new_app: Callable[..., Any]) -> FlaskClient:
    client: FlaskClient = new_app(allow_origin=["https://a.example"]).test_client()
    return client


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr-CH, en;q=0.9", "fr"),
        ("nl, fr;q=0.5, en;q=0.3", "fr"),
        ("en-GB,de;q=0.5", "en"),
        ("nl", "en"),
        ("*", "en"),
        ("not a header;;q=x", "en"),
    ],
)
def test_the_browser_chooses(visitor: FlaskClient, accepted: str, language: str) -> None:
    page = visitor.get("/", headers={"Accept-Language": accepted})
    assert language_of(page) == language


def test_a_reader_chooses_and_is_remembered(visitor: FlaskClient) -> None:
    german = {"Accept-Language": "de"}
    chosen = visitor.get("/?lang=fr", headers=german)
    assert language_of(chosen) == "fr"
    [cookie] = [each for each in chosen.headers.getlist("Set-Cookie") if "language" in each]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert language_of(visitor.get("/history", headers=german)) == "fr"
    assert language_of(visitor.get("/?lang=en", headers=german)) == "en"
    assert language_of(visitor.get("/", headers=german)) == "en"


def test_a_language_is_chosen_in_any_case(visitor: FlaskClient) -> None:
    chosen = visitor.get("/?lang=DE", headers={"Accept-Language": "fr"})
    assert language_of(chosen) == "de"
    assert "lorelm_language=de;" in str(chosen.headers)


@pytest.mark.parametrize("wrong", ["tlh", "", "../de", "de%00", "de-AT"])
def test_an_unknown_language_is_not_chosen(visitor: FlaskClient, wrong: str) -> None:
    page = visitor.get(f"/?lang={wrong}", headers={"Accept-Language": "fr"})
    assert language_of(page) == "fr"
    assert "lorelm_language" not in str(page.headers)
    visitor.set_cookie("lorelm_language", wrong)
    assert language_of(visitor.get("/", headers={"Accept-Language": "fr"})) == "fr"


def test_the_links_to_other_languages_keep_the_rest_of_the_address(visitor: FlaskClient) -> None:
    page = visitor.get("/history?q=a%26b&lang=de").text
    assert 'href="?q=a%26b&amp;lang=fr" lang="fr" hreflang="fr">Français</a>' in page
    assert re.search(r'lang="de" hreflang="de" aria-current="true">Deutsch</a>', page)


def test_the_answer_to_a_form_has_no_link_that_would_lose_the_form(visitor: FlaskClient) -> None:
    link = 'hreflang="fr"'
    assert link in visitor.get("/").text
    results = visitor.post("/?lang=de", data={"prompt": "The fox"})
    assert language_of(results) == "de"
    for page in (
        results,
        visitor.post("/", data={"prompt": "The fox", "max_len": "many"}),
        visitor.post("/history/delete"),
        visitor.post("/nothing"),
    ):
        assert "<h1>" in page.text
        assert link not in page.text
    assert link in visitor.get("/history/delete").text


def test_numbers_and_texts_are_in_the_language(visitor: FlaskClient) -> None:
    page = visitor.post("/?lang=de", data={"prompt": "The fox", "seed": 4, "temperature": "0.5"})
    assert "Startwert 4." in page.text
    assert re.search(r"\d\u00a0%; oder: ", page.text)
    assert 'src="static/messages-de.js"' in page.text
    with visitor.get("/static/messages-de.js") as script:
        assert script.status_code == 200


@pytest.mark.parametrize("order", [("fr", "en"), ("en", "fr")])
def test_no_reader_sees_the_language_of_the_one_before(
    visitor: FlaskClient, order: tuple[str, str]
) -> None:
    legends = {"en": ">20%<", "fr": ">20\u00a0%<"}
    pages = {language: visitor.get(f"/?lang={language}").text for language in order}
    for language, page in pages.items():
        assert {each for each in legends.values() if each in page} == {legends[language]}


CONSTANTS = {
    "'Length' | translated": {"en": "Length", "de": "Länge"},
    "1234 | number": {"en": "1,234", "de": "1.234"},
    "0.5 | significant": {"en": "0.5", "de": "0,5"},
    "0.2 | percent": {"en": "20%", "de": "20\u00a0%"},
}


@pytest.mark.parametrize("expression", CONSTANTS)
def test_a_constant_in_a_template_is_in_the_language(
    new_app: Callable[..., Any], expression: str
) -> None:
    app = new_app()
    template = app.jinja_env.from_string(f"{{{{ {expression} }}}}")
    for language in ("de", "en", "de"):
        with app.test_request_context(f"/?lang={language}"):
            assert template.render() == CONSTANTS[expression][language]


def test_the_writing_page_describes_itself_to_search_engines(visitor: FlaskClient) -> None:
    [english] = re.findall('<meta name="description" content="(.*)">', visitor.get("/").text)
    [german] = re.findall('<meta name="description" content="(.*)">', visitor.get("/?lang=de").text)
    assert english == "Start a text, and a small language model continues it."
    assert german == "Beginnen Sie einen Text, und ein kleines Sprachmodell setzt ihn fort."


def test_an_error_has_a_heading_in_the_language_and_a_sentence_in_english(
    visitor: FlaskClient,
) -> None:
    page = visitor.get("/nothing?lang=fr")
    assert page.status_code == 404
    assert "<h1>Introuvable</h1>" in page.text
    assert '<p role="alert" lang="en" dir="auto">' in page.text


def test_a_refusal_has_a_label_in_the_language_and_a_sentence_in_english(
    visitor: FlaskClient,
) -> None:
    wrong = {"prompt": "The fox", "seed": str(2**53 - 1), "num_samples": "2"}
    page = visitor.post("/?lang=de", data=wrong)
    assert page.status_code == 422
    [shown] = re.findall('<p id="error"[^>]*>(.*)</p>', page.text)
    assert re.fullmatch('Startwert: <span lang="en" dir="auto">must be at most .*</span>', shown)


def test_the_api_and_its_page_are_english(visitor: FlaskClient) -> None:
    german = {"Accept-Language": "de"}
    docs = visitor.get("/docs", headers=german)
    assert language_of(docs) == "en"
    assert "messages-de.js" not in docs.text
    wrong = visitor.post("/api/generate", json={"prompt": 1}, headers=german)
    assert "Content-Language" not in wrong.headers
    assert "text" in wrong.get_json()["error"]["message"]


def test_a_frame_keeps_the_language_of_its_address(visitor: FlaskClient) -> None:
    page = visitor.get("/embed?lang=de").text
    assert 'action="embed?lang=de"' in page
    assert 'class="languages"' not in page
    assert 'action="embed"' in visitor.get("/embed", headers={"Accept-Language": "de"}).text
