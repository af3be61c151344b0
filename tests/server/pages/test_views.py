import html
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from lorelm.bundle import Bundle
from lorelm.corpus.readers import read_documents
from lorelm.evaluation.evaluate import evaluate_bundle
from lorelm.evaluation.summary import (
    copies_table,
    findings,
    prediction_table,
    structure_tables,
)
from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings


class Elements(HTMLParser):
    """The attributes of each element of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_form_continues_a_prompt_and_keeps_its_values(client: FlaskClient) -> None:
    response = client.post("/", data={"prompt": "The fox", "max_len": "7", "temperature": "0.3"})
    page = response.get_data(as_text=True)
    assert response.status_code == 200
    assert re.search('<span class="prompt">The fox</span> <span class="word p[0-4]', page)
    inputs = {a.get("name"): a.get("value") for tag, a in Elements(page).found if tag == "input"}
    assert (inputs["max_len"], inputs["temperature"], inputs["top_p"]) == ("7", "0.3", "1")
    assert "The fox</textarea>" in page


def test_the_form_continues_a_generated_text(client: FlaskClient) -> None:
    asked = {"prompt": "The fox", "max_len": "4", "min_p": "0.01", "seed": "5"}
    page = Elements(client.post("/", data=asked).get_data(as_text=True)).found
    hidden = {a["name"]: a["value"] for tag, a in page if a.get("type") == "hidden"}
    reply = client.post(
        "/api/generate", json={"prompt": "The fox", "max_len": 4, "min_p": 0.01, "seed": 5}
    )
    text = reply.get_json()["samples"][0]["text"]
    assert hidden == asked | {"prompt": "The fox" + text}


def test_two_temperatures_are_compared_with_one_seed(client: FlaskClient) -> None:
    form = {"prompt": "The", "compare": "true", "temperature": "0.8", "temperature_b": "0.8"}
    page = client.post("/", data=form).get_data(as_text=True)
    texts = re.findall('<p class="sample" lang="" dir="auto">(.*?)</p>', page, re.DOTALL)
    assert len(texts) == 2
    assert texts[0] == texts[1]
    assert page.count("<bdi>tales</bdi>, temperature 0.8</h2>") == 2
    other = client.post("/", data=form | {"temperature_b": "0"}).get_data(as_text=True)
    assert "<bdi>tales</bdi>, temperature 0</h2>" in other


def refusal_on(page: str) -> str:
    """Return what a page says is wrong, without tags."""
    [shown] = re.findall('<p id="error"[^>]*>(.*)</p>', page)
    return re.sub("<[^>]*>", "", shown)


def test_an_invalid_second_temperature_is_named(client: FlaskClient) -> None:
    form = {"prompt": "The", "compare": "true", "temperature": "0.8", "temperature_b": "1000"}
    answer = client.post("/", data=form)
    assert answer.status_code == 422
    assert "Second temperature: must be a number from 0.001" in refusal_on(answer.text)
    assert client.post("/", data=form | {"compare": ""}).status_code == 200


def test_a_line_break_of_a_form_is_one_character(client: FlaskClient) -> None:
    """Browsers send two, and let a person write as if it were one."""
    page = client.post("/", data={"prompt": "The\r\n" * 5_000, "max_len": "9"})
    assert page.status_code == 200
    [text] = re.findall('<span class="prompt">(.*?)</span>', page.get_data(as_text=True), re.DOTALL)
    assert text == "The\n" * 5_000
    hidden = {
        a["name"]: a["value"]
        for tag, a in Elements(page.get_data(as_text=True)).found
        if a.get("type") == "hidden"
    }
    assert len(hidden["prompt"]) == 20_000  # it has grown, and can still be gone on with
    assert client.post("/", data=hidden).status_code == 200


def test_the_form_shows_every_sample(client: FlaskClient) -> None:
    page = client.post("/", data={"prompt": "The", "num_samples": "3"}).get_data(as_text=True)
    assert page.count('<p class="sample" lang="" dir="auto">') == 3


def test_an_empty_prompt_begins_a_document(client: FlaskClient) -> None:
    response = client.post("/", data={"prompt": "", "max_len": "7", "temperature": "0.3"})
    assert response.status_code == 200
    assert '<span class="prompt"></span><span class="word' in response.get_data(as_text=True)


def test_prompts_are_escaped(client: FlaskClient) -> None:
    page = client.post("/", data={"prompt": "<script>alert(1)</script>"}).get_data(as_text=True)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_unknown_words_are_named(client: FlaskClient) -> None:
    page = client.post("/", data={"prompt": "The dragon"}).get_data(as_text=True)
    assert "Unknown words: <bdi>dragon" in page


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_len": "many"}, "Length: must be a whole number from 1 to 1,000"),
        ({"max_len": "0"}, "Length: must be a whole number from 1"),
        ({"max_len": "5000"}, "Length: must be a whole number from 1 to 1,000"),
        ({"temperature": "-1"}, "Temperature: must be a number from 0.001 to 100, or 0"),
        ({"temperature": "nan"}, "Temperature: must be a number from 0.001 to 100, or 0"),
        ({"warmth": "1"}, "warmth: is not a field of this request"),
    ],
)
def test_an_invalid_value_is_explained_and_the_form_stays(
    client: FlaskClient, fields: dict[str, str], message: str
) -> None:
    response = client.post("/", data={"prompt": "The fox"} | fields)
    page = response.get_data(as_text=True)
    assert response.status_code == 422
    assert message in refusal_on(page)
    assert "The fox</textarea>" in page


def test_all_wrong_values_are_explained_at_once(client: FlaskClient) -> None:
    fields = {"compare": "true", "max_len": "0", "temperature_b": "-1", "seed": "x"}
    page = client.post("/", data={"prompt": "The fox"} | fields).get_data(as_text=True)
    for label in ("Length", "Second temperature", "Seed"):
        assert f"{label}: must be a" in refusal_on(page)


def test_every_address_on_the_page_is_relative(client: FlaskClient) -> None:
    for page in (client.get("/"), client.post("/", data={"prompt": "The fox"})):
        for _, attributes in Elements(page.get_data(as_text=True)).found:
            for name in ("href", "src", "action"):
                address = attributes.get(name)
                assert address is None or not address.startswith(("/", "http"))


def test_the_page_works_under_any_prefix(client: FlaskClient) -> None:
    page = Elements(client.get("/").get_data(as_text=True)).found
    for tag, attributes in page:
        if tag in ("link", "script"):
            address = attributes.get("href") or attributes.get("src") or ""
            with client.get("/" + address) as response:
                assert response.status_code == 200


def test_an_unknown_page_is_a_404_in_html(client: FlaskClient) -> None:
    response = client.get("/nothing")
    assert response.status_code == 404
    assert 'href="static/style.css"' in response.get_data(as_text=True)
    assert 'href="../static/style.css"' in client.get("/a/b").get_data(as_text=True)
    assert "<h1>Not found</h1>" in response.get_data(as_text=True)


def test_the_policy_allows_no_other_sites_and_no_inline_scripts(client: FlaskClient) -> None:
    for response in (client.get("/"), client.get("/nothing"), client.get("/api/x")):
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_copied_words_are_marked(client: FlaskClient) -> None:
    marked = 0
    for _ in range(30):
        form = {"prompt": "The", "max_len": "20", "temperature": "0.3"}
        page = client.post("/", data=form).get_data(as_text=True)
        marks = re.findall('<span class="word p. copied" title="([^"]*)"', page)
        assert all("Copied from the training text" in title for title in marks)
        assert bool(marks) == ("Underlined words are copied" in page)
        marked += len(marks)
    assert marked > 3


def test_with_copies_forbidden_nothing_is_marked(client: FlaskClient) -> None:
    for _ in range(20):
        form = {"prompt": "The", "max_len": "20", "temperature": "0.3", "novel_span": "6"}
        page = client.post("/", data=form).get_data(as_text=True)
        assert not re.search('<span class="word p. copied" title', page)
        assert re.search(r'<input id="novel_span"[^>]*checked', page)


def test_a_model_without_a_copy_index_has_no_such_setting(older_bundle: Path) -> None:
    client = create_app(ServerSettings(bundles=[older_bundle])).test_client()
    assert "novel_span" not in client.get("/").get_data(as_text=True)
    assert "It has not been evaluated" in client.get("/model").get_data(as_text=True)
    response = client.post("/", data={"prompt": "The", "novel_span": "6"})
    assert response.status_code == 422
    assert "needs an index of the training text" in response.get_data(as_text=True)


def test_the_model_page_shows_the_metrics_of_the_manifest(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(tiny_bundle, tmp_path / "evaluated"))
    bundle = Bundle.load(path)
    (tmp_path / "other.txt").write_text("The fox sat by the mill.\nThe wren slept.\n")
    documents = read_documents(tmp_path / "other.txt")
    metrics = evaluate_bundle(bundle, documents=documents).metrics
    bundle.record_metrics(metrics)
    client = create_app(ServerSettings(bundles=[path])).test_client()
    page = html.unescape(client.get("/model").get_data(as_text=True))
    for finding in findings(metrics):
        assert finding in page
    for table in (prediction_table(metrics), copies_table(metrics)):
        assert table is not None
        for row in table.rows:
            for cell in row:
                assert f">{cell}<" in page


def pages_of(settings: ServerSettings) -> tuple[str, str]:
    client = create_app(settings).test_client()
    return tuple(client.get(path).get_data(as_text=True) for path in ("/", "/model"))


def test_a_title_takes_the_place_of_the_name_of_the_file(tiny_bundle: Path) -> None:
    settings = ServerSettings(bundles=[tiny_bundle], title="Tales <of> the Mill")
    for page in pages_of(settings):
        assert re.search(r"<title>Tales &lt;of&gt; the Mill\b", page)
        header = page[page.index("<header>") : page.index("</header>")]
        assert "Tales &lt;of&gt; the Mill" in header
        assert "tales.txt" not in header
    untitled, model = pages_of(ServerSettings(bundles=[tiny_bundle]))
    assert "<title>LoreLM – tales.txt</title>" in untitled
    assert "<title>The model of tales.txt – LoreLM</title>" in model


def test_of_several_models_each_keeps_its_name_under_a_title(
    tiny_bundle: Path, beaten_bundle: Path
) -> None:
    page, model = pages_of(ServerSettings(bundles=[tiny_bundle, beaten_bundle], title="Two"))
    assert "<h1><bdi>Two</bdi></h1>" in page
    facts = page[page.index('<ul class="facts"') : page.index("</ul>")]
    assert facts.count("tales.txt") == 2
    assert "The model of tales.txt" in model


def test_the_pages_say_that_a_model_is_mixed(beaten_bundle: Path) -> None:
    metrics = Bundle.load(beaten_bundle).manifest.metrics
    page, model = pages_of(ServerSettings(bundles=[beaten_bundle]))
    assert "mixed with an n-gram model" in page
    assert f"perplexity {metrics.mixture_perplexity:.0f}" in page
    assert "It is served as a mixture" in model
    for each in pages_of(ServerSettings(bundles=[beaten_bundle], mixture=False)):
        assert "mixed with an n-gram model" not in each
        assert "It is served as a mixture" not in each


def test_the_model_page_says_what_speakers_are_worth(scene_bundle: Path) -> None:
    structure = Bundle.load(scene_bundle).manifest.metrics.structure
    _, model = pages_of(ServerSettings(bundles=[scene_bundle]))
    tables = structure_tables(structure)
    assert len(tables) == 2
    for table in tables:
        for row in table.rows:
            for cell in row:
                assert f">{cell}<" in model
