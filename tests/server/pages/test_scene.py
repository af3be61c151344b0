import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from lorelm.server.app import create_app
from lorelm.server.pages.scene import cue_after, is_cue
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

SPEAKERS = ["OWL", "OLD MOLE", "HARE"]
EXAMPLES = json.loads(Path(__file__).with_name("cues.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def scenes(scene_bundle: Path, tiny_bundle: Path) -> Iterator[FlaskClient]:
    """A server of a model with speakers, and of one without."""
    history = f"sqlite:///{scene_bundle.parent / 'pages.db'}"
    app = create_app(ServerSettings(bundles=[scene_bundle, tiny_bundle], history=history))
    yield app.test_client()
    server_state(app).close()


def choices(page: str) -> list[list[str]]:
    """The speakers of each field on the page."""
    fields = re.findall(r'<select[^>]*name="next_speaker">(.*?)</select>', page, re.DOTALL)
    return [
        re.findall("<option dir=.auto.(?: selected)?>(.*?)</option>", field) for field in fields
    ]


def samples(page: str) -> list[str]:
    """The texts of the samples, prompts included."""
    found = re.findall('<p class="sample" lang="" dir="auto">(.*?)</p>', page, re.DOTALL)
    return [html.unescape(re.sub("<[^>]*>", "", each)).rstrip() for each in found]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: repr(example["text"]))
def test_a_line_begins_where_the_last_one_has_ended(example: dict[str, str]) -> None:
    assert cue_after(example["text"], example["speaker"]) == example["cue"]


def test_a_name_with_a_colon_is_a_cue() -> None:
    assert [is_cue(text) for text in ("OLD MOLE:", ":", "::", "OWL", "")] == [True, *[False] * 4]


def test_the_page_offers_the_speakers_of_the_model(scenes: FlaskClient) -> None:
    page = scenes.get("/").get_data(as_text=True)
    assert choices(page)[0] == SPEAKERS
    data = re.search('<script type="application/json" id="page-data">(.*?)</script>', page)
    assert data
    assert json.loads(data[1])["speakers"] == {"model": SPEAKERS}


def test_speakers_of_the_text_are_offered_before_those_of_the_model(scenes: FlaskClient) -> None:
    form = {"prompt": "Joan: Who?\nOwl: I.\nBOB: No.\nJOAN: Oh.", "next_speaker": "BOB"}
    page = scenes.post("/", data=form).get_data(as_text=True)
    assert choices(page)[0] == ["Joan", "OWL", "BOB", "OLD MOLE", "HARE"]
    assert '<option dir="auto" selected>BOB</option>' in page
    assert '<b class="cue">BOB:</b>' in page


def test_a_page_without_speakers_has_no_scenes(client: FlaskClient) -> None:
    form = {"prompt": "OWL: Who is at the mill?", "next_speaker": "OWL", "seed": "3"}
    for page in (client.get("/"), client.post("/", data=form)):
        text = page.get_data(as_text=True)
        assert page.status_code == 200
        assert not re.search("speaker|scene|cue", text)


def test_a_speaker_answers_with_a_line(scenes: FlaskClient) -> None:
    form = {"prompt": "OWL: Who is at the mill?", "next_speaker": "HARE", "seed": "3"}
    page = scenes.post("/", data=form).get_data(as_text=True)
    prompt = form["prompt"] + "\nHARE:"
    body = {"prompt": prompt, "single_turn": True, "seed": 3, "model": "model"}
    reply = scenes.post("/api/generate", json=body).get_json()["samples"][0]
    assert reply["finish_reason"] == "stop"
    assert "\n" not in reply["text"]
    assert samples(page) == [prompt + reply["text"]]
    assert '<b class="cue">OWL:</b>' in page
    assert '<b class="cue">HARE:</b>' in page
    assert '<option dir="auto" selected>HARE</option>' in page
    assert len(choices(page)) > 1  # who speaks after it is a choice too


def test_anyone_lets_the_scene_run_on(scenes: FlaskClient) -> None:
    form = {"prompt": "OWL: Who is at the mill?", "next_speaker": "", "seed": "3", "max_len": "60"}
    page = scenes.post("/", data=form).get_data(as_text=True)
    body = {"prompt": form["prompt"], "seed": 3, "max_len": 60}
    reply = scenes.post("/api/generate", json=body).get_json()["samples"][0]
    assert samples(page) == [form["prompt"] + reply["text"]]
    assert re.search('<span class="word p[0-4][^"]* cue"[^>]*>(HARE|OLD MOLE|OWL):</span>', page)


def test_a_model_without_speakers_ignores_the_choice(scenes: FlaskClient) -> None:
    form = {"prompt": "The fox", "next_speaker": "HARE", "model": "tales"}
    [text] = samples(scenes.post("/", data=form).get_data(as_text=True))
    assert "HARE" not in text


def test_a_full_prompt_loses_its_beginning_to_the_cue(scenes: FlaskClient) -> None:
    form = {"prompt": "a. " * 6_600 + "b." * 100, "next_speaker": "HARE", "max_len": "2"}
    [text] = samples(scenes.post("/", data=form).get_data(as_text=True))
    assert "b.\nHARE:" in text


def test_the_history_gives_the_speaker_back(scenes: FlaskClient) -> None:
    scenes.get("/")  # gives the browser its id
    form = {"prompt": "OWL: Where is the hill?", "next_speaker": "OLD MOLE", "seed": "3"}
    written = samples(scenes.post("/", data=form).get_data(as_text=True))
    state = server_state(scenes.application)
    assert state.history is not None
    state.history.writer.flush(10)
    [record, *_] = re.findall(r"\?from=([\w-]+)", scenes.get("/history").get_data(as_text=True))
    page = scenes.get(f"/?from={record}").get_data(as_text=True)
    assert '<option dir="auto" selected>OLD MOLE</option>' in page
    assert "OLD MOLE:</textarea>" in page
    again = scenes.post("/", data={"again": record}).get_data(as_text=True)
    assert samples(again) == written


def test_unknown_speakers_are_named_with_near_ones(scenes: FlaskClient) -> None:
    text = "HAER: The mill.\nOWL: Who is Zorpo?\nGUEST: The mill.\nSOMEONE: Oh!"
    answer = scenes.post("/api/check", json={"text": text}).get_json()
    found = {each["word"]: each["nearest"] for each in answer["unknown_words"]}
    assert found == {"HAER:": ["HARE:"], "GUEST:": [], "Zorpo": []}
