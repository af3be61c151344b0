import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

import lorelm


def test_a_reply_is_what_python_gives(client: FlaskClient, tiny_bundle: Path) -> None:
    asked = {
        "prompt": "The fox",
        "max_len": 12,
        "temperature": 1.5,
        "top_k": 9,
        "top_p": 0.9,
        "min_p": 0.01,
        "repetition_penalty": 1.2,
        "seed": 11,
        "num_samples": 3,
        "stop": ["river", "?"],
    }
    reply = client.post("/api/generate", json=asked).get_json()
    expected = lorelm.load(tiny_bundle).generate(**asked)
    assert reply["prompt"] == "The fox"
    assert reply["unknown_words"] == list(expected.unknown_words)
    assert [sample["text"] for sample in reply["samples"]] == [s.text for s in expected.samples]
    assert [sample["seed"] for sample in reply["samples"]] == [11, 12, 13]
    assert {sample["finish_reason"] for sample in reply["samples"]} <= {"eos", "length", "stop"}


def test_only_the_prompt_is_needed_and_null_means_not_given(client: FlaskClient) -> None:
    fields = ("max_len", "temperature", "top_k", "top_p", "min_p", "seed", "num_samples", "stop")
    for body in ({"prompt": ""}, {"prompt": "", **dict.fromkeys(fields)}):
        response = client.post("/api/generate", json=body)
        assert response.status_code == 200
        assert len(response.get_json()["samples"]) == 1


def test_one_stop_text_may_stand_alone(client: FlaskClient) -> None:
    asked = {"prompt": "The fox", "seed": 3}
    alone = client.post("/api/generate", json=asked | {"stop": "the"}).get_json()
    listed = client.post("/api/generate", json=asked | {"stop": ["the"]}).get_json()
    assert alone == listed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", None),
        ("prompt", 3),
        ("prompt", "x" * 20_001),
        ("prompt", "\ud800"),
        ("max_len", 0),
        ("max_len", "40"),
        ("max_len", 1001),
        ("temperature", -1),
        ("temperature", "warm"),
        ("temperature", True),
        ("top_k", -1),
        ("top_k", 2.5),
        ("top_p", 0),
        ("top_p", 1.1),
        ("min_p", -0.1),
        ("repetition_penalty", 0),
        ("seed", -1),
        ("seed", 2**60),
        ("num_samples", 0),
        ("num_samples", 17),
        ("stop", [""]),
        ("stop", 5),
        ("stop", [5]),
        ("warmth", 1),
    ],
)
def test_a_wrong_field_is_named(client: FlaskClient, field: str, value: object) -> None:
    response = client.post("/api/generate", json={"prompt": "The fox", field: value})
    error = response.get_json()["error"]
    assert response.status_code == 422
    assert error["field"] == field
    assert field in error["message"]


def test_a_number_that_is_none_is_refused(client: FlaskClient) -> None:
    for word in ("NaN", "Infinity", "-Infinity"):
        response = client.post(
            "/api/generate",
            data=f'{{"prompt": "", "temperature": {word}}}',
            content_type="application/json",
        )
        assert response.status_code == 422
        assert response.get_json()["error"]["field"] == "temperature"


def test_a_missing_prompt_is_named(client: FlaskClient) -> None:
    response = client.post("/api/generate", json={"max_len": 3})
    assert response.status_code == 422
    assert response.get_json()["error"]["field"] == "prompt"


@pytest.mark.parametrize("body", ["[]", "3", '"text"', "null"])
def test_json_that_is_no_object_is_refused(client: FlaskClient, body: str) -> None:
    response = client.post("/api/generate", data=body, content_type="application/json")
    assert response.status_code == 422
    assert response.get_json()["error"]["field"] == "body"


def test_what_is_not_json_is_refused_in_json(client: FlaskClient) -> None:
    response = client.post("/api/generate", data="{", content_type="application/json")
    assert (response.status_code, response.is_json) == (400, True)
    response = client.post("/api/generate", data="[" * 100_000, content_type="application/json")
    assert (response.status_code, response.is_json) == (400, True)
    response = client.post("/api/generate", data="prompt=x", content_type="text/plain")
    assert (response.status_code, response.is_json) == (415, True)


def test_other_errors_below_api_are_json_too(client: FlaskClient) -> None:
    for response, status in (
        (client.get("/api/generate"), 405),
        (client.get("/api/nothing"), 404),
        (client.post("/api/generate", json={"prompt": "x" * 300_000}), 413),
    ):
        assert response.status_code == status
        assert response.get_json()["error"]["message"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    ["prompt", "max_len", "temperature", "top_k", "top_p", "min_p", "seed", "num_samples", "stop"]
)


@given(body=JSON | st.dictionaries(FIELDS, JSON))
def test_no_body_makes_the_server_fail(client: FlaskClient, body: object) -> None:
    response = client.post("/api/generate", data=json.dumps(body), content_type="application/json")
    assert response.status_code in (200, 422)
    assert response.is_json


def test_healthz(client: FlaskClient) -> None:
    assert client.get("/healthz").get_json() == {"status": "ok"}


def test_copies_are_told_and_forbidden(client: FlaskClient) -> None:
    asked = {"prompt": "The", "num_samples": 16, "seed": 1, "temperature": 0.3}
    copied = [
        span
        for sample in client.post("/api/generate", json=asked).json["samples"]
        for span in sample["copied_spans"]
    ]
    assert copied
    assert all(span.keys() == {"start", "end", "num_tokens"} for span in copied)
    novel = client.post("/api/generate", json=asked | {"novel_span": 6}).json["samples"]
    assert [sample["copied_spans"] for sample in novel] == [[]] * 16


@pytest.mark.parametrize("value", [2, 51, -1, "six"])
def test_a_novel_span_that_cannot_be_kept_is_a_422(client: FlaskClient, value: object) -> None:
    answer = client.post("/api/generate", json={"prompt": "The", "novel_span": value})
    assert answer.status_code == 422
    assert answer.json["error"]["field"] == "novel_span"
