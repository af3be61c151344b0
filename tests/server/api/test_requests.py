"""Scenes in the JSON API."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

import lorelm

TURNS = [{"speaker": "OWL", "text": "Who is at the mill?"}, {"speaker": "a fox", "text": "Me."}]


@pytest.fixture(scope="module")
def model(scene_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(scene_bundle)


def events(text: str) -> dict[str, list[dict[str, Any]]]:
    """Return the data of the events by their names; tokens have none."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in text.strip().split("\n\n"):
        *name, data = each.split("\n")
        key = name[0].removeprefix("event: ") if name else "token"
        found.setdefault(key, []).append(json.loads(data.removeprefix("data: ")))
    return found


@pytest.mark.parametrize(
    ("asked", "prompt"),
    [
        ({"speaker": "hare"}, "HARE:"),
        ({"speaker": "HARE", "prompt": "Nothing"}, "HARE: Nothing"),
        ({"speaker": "HARE", "turns": TURNS}, "OWL: Who is at the mill?\nA fox: Me.\nHARE:"),
        ({"turns": TURNS}, "OWL: Who is at the mill?\nA fox: Me.\n"),
        ({"turns": [{"text": "Night."}, *TURNS[:1]]}, "Night.\nOWL: Who is at the mill?\n"),
    ],
)
def test_a_scene_is_continued_as_python_does(
    scene_client: FlaskClient, model: lorelm.LanguageModel, asked: dict[str, Any], prompt: str
) -> None:
    asked = {"prompt": "", "seed": 3, "num_samples": 4, "max_len": 60} | asked
    reply = scene_client.post("/api/generate", json=asked).get_json()
    expected = model.generate(**asked)
    assert reply["prompt"] == expected.prompt == prompt
    texts = [sample["text"] for sample in reply["samples"]]
    assert texts == [sample.text for sample in expected.samples]
    assert reply["unknown_words"] == expected.unknown_words
    assert all("\n" not in text for text in texts) == ("speaker" in asked)
    streamed = scene_client.post("/api/generate", json=asked | {"stream": True})
    by_name = events(streamed.get_data(as_text=True))
    assert by_name["start"][0]["prompt"] == prompt
    ends = sorted(by_name["sample"], key=lambda sample: sample["sample"])
    assert [sample["text"] for sample in ends] == texts
    # What was generated reads on: the text of the reply is a prompt for what follows.
    assert model.prompts.read(prompt + texts[0]).text == prompt + texts[0]


def test_others_go_on_where_one_line_is_not_enough(scene_client: FlaskClient) -> None:
    asked = {"prompt": "", "speaker": "OWL", "seed": 1, "max_len": 60, "single_turn": False}
    [sample] = scene_client.post("/api/generate", json=asked).get_json()["samples"]
    assert "\nHARE:" in sample["text"] or "\nOLD MOLE:" in sample["text"]


def test_the_speakers_of_a_model_are_listed(client: FlaskClient, scene_client: FlaskClient) -> None:
    assert scene_client.get("/api/model").get_json()["speakers"] == ["OWL", "OLD MOLE", "HARE"]
    assert client.get("/api/model").get_json()["speakers"] == []


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ({"speaker": 3}, ["speaker"]),
        ({"speaker": "x" * 101}, ["speaker"]),
        ({"turns": "OWL: no"}, ["turns"]),
        ({"turns": [3, {"text": "yes"}, "no"]}, ["turns[0]", "turns[2]"]),
        ({"turns": [{"speaker": "OWL"}, {"text": 3}]}, ["turns[0].text", "turns[1].text"]),
        ({"turns": [{"speaker": "x" * 101, "text": ""}]}, ["turns[0].speaker"]),
        ({"turns": [{"text": "", "name": "OWL"}]}, ["turns[0].name"]),
        ({"turns": [{"text": ""}] * 501}, ["turns"]),
        ({"turns": [{"text": "x" * 10_001}] * 2}, ["turns"]),
        ({"turns": [{"text": 3}], "speaker": 3, "n": 0}, ["n", "speaker", "turns[0].text"]),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_every_wrong_field_is_named(
    scene_client: FlaskClient, asked: dict[str, Any], fields: list[str]
) -> None:
    response = scene_client.post("/api/generate", json={"prompt": ""} | asked)
    assert response.status_code == 422
    problems = response.get_json()["error"]["fields"]
    assert sorted(each["field"] for each in problems) == fields


def test_a_name_that_is_too_long_is_told_how_long_it_may_be(scene_client: FlaskClient) -> None:
    asked = {"prompt": "", "speaker": "x" * 101}
    message = scene_client.post("/api/generate", json=asked).get_json()["error"]["message"]
    assert message == "speaker: must have at most 100 characters"


def test_turns_that_are_null_are_not_given(scene_client: FlaskClient) -> None:
    plain = scene_client.post("/api/generate", json={"prompt": "OWL:", "seed": 1}).get_json()
    nulls = {"prompt": "OWL:", "seed": 1, "turns": None, "speaker": None}
    assert scene_client.post("/api/generate", json=nulls).get_json() == plain


def test_a_speaker_needs_a_model_with_speakers(client: FlaskClient) -> None:
    response = client.post("/api/generate", json={"prompt": "", "speaker": "OWL"})
    error = response.get_json()["error"]
    assert (response.status_code, error["field"]) == (422, "speaker")
    assert error["code"] == "setting.no_speakers"
    lines = {"prompt": "", "turns": [{"speaker": "OWL", "text": "The fox sat."}], "seed": 1}
    assert client.post("/api/generate", json=lines).get_json()["prompt"] == "The fox sat.\n"
