import gc
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

import lorelm
from lorelm.bundle import Bundle
from lorelm.generation.engine.engine import Engine
from lorelm.generation.sequence import Sequence
from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state


def test_a_reply_is_what_python_gives(client: FlaskClient, tiny_bundle: Path) -> None:
    asked = {
        "prompt": "The fox",
        "max_len": 12,
        "temperature": 1.5,
        "top_k": 9,
        "top_p": 0.9,
        "min_p": 0.01,
        "repetition_penalty": 1.2,
        "frequency_penalty": 0.2,
        "presence_penalty": 0.1,
        "logit_bias": {"fox": 1.5},
        "banned_words": ["owl"],
        "min_len": 3,
        "num_alternatives": 2,
        "seed": 11,
        "num_samples": 3,
        "stop": ["river", "?"],
    }
    reply = client.post("/api/generate", json=asked).get_json()
    model = lorelm.load(tiny_bundle)
    expected = model.generate(**asked)
    assert reply["samples"] == json.loads(json.dumps(asdict(expected)))["samples"]
    assert reply["fingerprint"] == Bundle.load(tiny_bundle).fingerprint
    assert reply["model"] == "tales"
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


def test_a_single_stop_text_needs_no_list(client: FlaskClient) -> None:
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
        ("stop", ["x"] * 17),
        ("stop", ["x" * 201]),
        ("min_len", 0),
        ("min_len", 41),
        ("frequency_penalty", 2.5),
        ("presence_penalty", -3),
        ("logit_bias", {"fox": 101}),
        ("logit_bias", {"dragon": 1}),
        ("logit_bias", ["fox"]),
        ("banned_words", ["the fox"]),
        ("banned_words", [""]),
        ("num_alternatives", 21),
        ("stream", "yes"),
        ("timeout_seconds", 0),
        ("timeout_seconds", "soon"),
        ("stop", 5),
        ("stop", [5]),
        ("warmth", 1),
    ],
)
def test_a_wrong_field_is_named(client: FlaskClient, field: str, value: object) -> None:
    body = json.dumps({"prompt": "The fox", field: value})
    response = client.post("/api/generate", data=body, content_type="application/json")
    error = response.get_json()["error"]
    assert response.status_code == 422
    assert error["field"] == field
    assert field in error["message"]


def test_a_number_in_quotes_is_rejected(client: FlaskClient) -> None:
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
def test_json_other_than_an_object_is_rejected(client: FlaskClient, body: str) -> None:
    response = client.post("/api/generate", data=body, content_type="application/json")
    assert response.status_code == 422
    assert response.get_json()["error"]["field"] == "body"


def test_invalid_json_is_rejected_in_json(client: FlaskClient) -> None:
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
def test_no_json_body_makes_the_server_fail(client: FlaskClient, body: object) -> None:
    response = client.post("/api/generate", data=json.dumps(body), content_type="application/json")
    assert response.status_code in (200, 422)
    assert response.is_json


def test_healthz(client: FlaskClient) -> None:
    assert client.get("/healthz").get_json() == {"status": "ok"}


def test_copies_are_reported_and_can_be_forbidden(client: FlaskClient) -> None:
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
def test_an_unsupported_novel_span_is_a_422(client: FlaskClient, value: object) -> None:
    answer = client.post("/api/generate", json={"prompt": "The", "novel_span": value})
    assert answer.status_code == 422
    assert answer.json["error"]["field"] == "novel_span"


def events(response: Any) -> list[tuple[str, Any]]:
    """The events of a stream: their names and what they hold."""
    found = []
    for block in response.get_data(as_text=True).split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((lines.get("event", "tokens"), json.loads(lines["data"])))
    return found


def test_a_stream_is_the_reply_in_parts(client: FlaskClient) -> None:
    asked = {"prompt": "The dragon", "seed": 3, "num_samples": 3, "stop": ["mill", "er, w"]}
    asked |= {"temperature": 1.3, "num_alternatives": 2}
    whole = client.post("/api/generate", json=asked).get_json()
    response = client.post("/api/generate", json=asked | {"stream": True})
    assert response.content_type.startswith("text/event-stream")
    assert response.headers["X-Accel-Buffering"] == "no"
    (first, start), *middle, (last, _) = events(response)
    assert (first, last) == ("start", "done")
    assert start == {
        "prompt": "The dragon",
        "unknown_words": ["dragon"],
        "seeds": [3, 4, 5],
        "model": whole["model"],
        "fingerprint": whole["fingerprint"],
    }
    for place, sample in enumerate(whole["samples"]):
        *parts, (name, end) = [(n, data) for n, data in middle if data["sample"] == place]
        assert {name for name, _ in parts} == {"tokens"}
        assert [token for _, data in parts for token in data["tokens"]] == sample["tokens"]
        assert name == "sample"
        assert end == sample | {"tokens": None, "sample": place}


def test_a_streamed_token_has_its_probability_and_alternatives(client: FlaskClient) -> None:
    response = client.post("/api/generate", json={"prompt": "The", "seed": 1, "stream": True})
    found = [data for name, data in events(response) if name == "tokens"]
    tokens = [token for data in found for token in data["tokens"]]
    assert len(tokens) > 3
    for token in tokens:
        assert token["log_probability"] <= 0
        assert len(token["alternatives"]) == 3


def test_an_invalid_stream_request_is_rejected_before_the_first_byte(client: FlaskClient) -> None:
    asked = {"prompt": "The", "stream": True, "temperature": -1}
    response = client.post("/api/generate", json=asked)
    assert response.status_code == 422
    assert response.is_json


def test_a_score_is_that_of_python(client: FlaskClient, tiny_bundle: Path) -> None:
    text = "The fox sat by the dragon."
    scored = client.post("/api/score", json={"text": text, "num_alternatives": 2}).get_json()
    expected = lorelm.load(tiny_bundle).score(text, num_alternatives=2)
    assert scored["tokens"] == json.loads(json.dumps([asdict(token) for token in expected]))
    assert "".join(token["text"] for token in scored["tokens"]) == text
    total = sum(token.log_probability or 0 for token in expected)
    assert scored["log_probability"] == pytest.approx(total)
    assert scored["unknown_words"] == ["dragon"]
    assert scored["fingerprint"] == Bundle.load(tiny_bundle).fingerprint


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": 3}, "text"),
        ({"text": "x" * 20_001}, "text"),
        ({"text": "x", "num_alternatives": 21}, "num_alternatives"),
        ({"text": "x", "temperature": 1}, "temperature"),
    ],
)
def test_a_wrong_field_of_a_score_is_named(client: FlaskClient, body: Any, field: str) -> None:
    response = client.post("/api/score", json=body)
    assert (response.status_code, response.get_json()["error"]["field"]) == (422, field)


def test_the_model_endpoint_returns_its_metadata(client: FlaskClient, tiny_bundle: Path) -> None:
    facts = client.get("/api/model").get_json()
    manifest = Bundle.load(tiny_bundle).manifest
    assert facts["model"] == "tales"
    assert facts["network"]["hidden_size"] == manifest.model.hidden_size
    assert facts["evaluation"]["test_perplexity"] == manifest.training.test_perplexity
    assert facts["limits"] == {"max_len": 1000, "num_samples": 16, "timeout_seconds": 60}
    assert "files" not in facts["corpus"]  # how the person calls them is of no interest to others
    assert (facts["title"], facts["mixture"]) == ("tales.txt", False)


def test_the_title_and_the_mixture_are_in_the_metadata(beaten_bundle: Path) -> None:
    settings = ServerSettings(bundles=[beaten_bundle], title="Tales of the Mill")
    facts = create_app(settings).test_client().get("/api/model").get_json()
    assert (facts["title"], facts["mixture"]) == ("Tales of the Mill", True)


def test_another_model_is_not_found(client: FlaskClient) -> None:
    for path, body in (("generate", {"prompt": ""}), ("score", {"text": ""})):
        response = client.post(f"/api/{path}", json=body | {"model": "hobbits"})
        assert response.status_code == 404
        message = "there is no 'hobbits' here, only 'tales'"
        assert response.get_json()["error"] == {
            "field": "model",
            "message": f"model: {message}",
            "fields": [{"field": "model", "message": message}],
            "code": "setting.unknown_model",
        }
        assert client.post(f"/api/{path}", json=body | {"model": "tales"}).status_code == 200


def test_all_wrong_fields_are_reported_at_once(client: FlaskClient) -> None:
    asked = {"max_len": 5000, "top_p": 0, "seed": "x", "stop": [""], "warmth": 1, "min_p": 0.1}
    error = client.post("/api/generate", json={"prompt": 3} | asked).get_json()["error"]
    problems = {each["field"]: each["message"] for each in error["fields"]}
    assert problems["max_len"] == "must be a whole number from 1 to 1,000, not 5000"
    assert problems["seed"] == "must be a whole number from 0 to 9,007,199,254,740,991"
    assert problems.keys() == {"prompt", "max_len", "top_p", "seed", "stop", "warmth"}
    first = error["fields"][0]
    assert error["field"] == first["field"]
    assert error["message"] == f"{first['field']}: {first['message']}"


@pytest.fixture
def narrow(tiny_bundle: Path) -> Iterator[FlaskClient]:
    """A server that writes one sample at a time and lets one more wait."""
    app = create_app(
        ServerSettings(bundles=[tiny_bundle], num_slots=1, max_waiting=1, max_tokens_limit=10_000)
    )
    yield app.test_client()
    server_state(app).close()


ENDLESS = {"prompt": "", "max_len": 10_000, "min_len": 10_000}


def engine_of(client: FlaskClient) -> Engine:
    return server_state(client.application).models[0].engine.engine


def wait_until(is_true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < give_up
        time.sleep(0.002)


def test_a_full_server_asks_to_try_again_later(narrow: FlaskClient) -> None:
    engine = engine_of(narrow)
    streams = []
    for num_waiting in (0, 1):
        streams.append(narrow.post("/api/generate", json=ENDLESS | {"stream": True}))
        wait_until(lambda count=num_waiting: (engine.num_running, engine.num_waiting) == (1, count))
    refused = narrow.post("/api/generate", json={"prompt": "The"})
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert "are waiting already: try again" in refused.get_json()["error"]["message"]
    for stream in streams:
        stream.close()
    wait_until(lambda: engine.is_idle)
    assert narrow.post("/api/generate", json={"prompt": "The"}).status_code == 200


def test_a_request_ends_at_its_timeout(narrow: FlaskClient) -> None:
    asked = ENDLESS | {"timeout_seconds": 0.1}
    sample = narrow.post("/api/generate", json=asked).get_json()["samples"][0]
    assert sample["finish_reason"] == "timeout"
    assert 0 < sample["num_tokens"] < 10_000
    assert sample["text"]


def test_a_request_without_a_slot_in_time_is_an_error(narrow: FlaskClient) -> None:
    stream = narrow.post("/api/generate", json=ENDLESS | {"stream": True})
    wait_until(lambda: engine_of(narrow).num_running == 1)
    refused = narrow.post("/api/generate", json={"prompt": "The", "timeout_seconds": 0.05})
    assert refused.status_code == 408
    assert "the time was over before anything was written" in refused.get_json()["error"]["message"]
    stream.close()


def test_a_text_that_is_not_read_in_time_has_no_score(narrow: FlaskClient) -> None:
    asked = {"text": "The fox " * 2000, "timeout_seconds": 0.01}
    response = narrow.post("/api/score", json=asked)
    assert response.status_code == 408
    assert "before the prompt was read" in response.get_json()["error"]["message"]


def test_a_stopping_server_accepts_no_requests(narrow: FlaskClient) -> None:
    server_state(narrow.application).close()
    for path, body in (("generate", {"prompt": "The"}), ("score", {"text": "The"})):
        response = narrow.post(f"/api/{path}", json=body)
        assert response.status_code == 503
        assert "shutting down" in response.get_json()["error"]["message"]
        assert response.headers["Retry-After"]
    assert narrow.get("/readyz").status_code == 503
    assert narrow.get("/healthz").status_code == 200
    page = narrow.post("/", data={"prompt": "The"})
    assert page.status_code == 503
    assert "shutting down" in page.get_data(as_text=True)


def test_a_stream_that_shutdown_cuts_off_ends_with_an_error(narrow: FlaskClient) -> None:
    response = narrow.post("/api/generate", json=ENDLESS | {"stream": True})
    wait_until(lambda: engine_of(narrow).num_running == 1)
    server_state(narrow.application).close()
    name, data = events(response)[-1]
    assert name == "error"
    assert data["status"] == 503
    assert "shut down before the text ended" in data["message"]


def test_a_sample_says_which_words_it_lacks(client: FlaskClient, tiny_bundle: Path) -> None:
    asked = {"prompt": "The", "must_contain": "mill, owl", "memory": "A barn.", "seed": 3}
    reply = client.post("/api/generate", json=asked).get_json()
    expected = lorelm.load(tiny_bundle).generate(**asked | {"must_contain": ["mill", "owl"]})
    assert reply["samples"][0]["text"] == expected.text
    assert reply["samples"][0]["missing_words"] == []
    short = client.post("/api/generate", json=asked | {"max_len": 1}).get_json()
    assert short["samples"][0]["missing_words"]
    events = client.post("/api/generate", json=asked | {"stream": True}).get_data(as_text=True)
    [end] = [part for part in events.split("\n\n") if part.startswith("event: sample")]
    sample = json.loads(end.split("data: ")[1])
    assert (sample["text"], sample["missing_words"]) == (expected.text, [])
    unknown = client.post("/api/generate", json=asked | {"must_contain": "mil"})
    assert unknown.status_code == 422
    assert unknown.get_json()["error"]["code"] == "setting.unknown_word"
    assert "is it 'mill'?" in unknown.get_json()["error"]["message"]


def test_words_are_placed_for_openai_clients_too(client: FlaskClient) -> None:
    asked = {"model": "tales", "prompt": ["The", "No"], "must_contain": "owl", "n": 2, "seed": 1}
    choices = client.post("/v1/completions", json=asked).get_json()["choices"]
    assert len(choices) == 4
    assert all("owl" in choice["text"] and choice["missing_words"] == [] for choice in choices)
    assert (
        "missing_words"
        not in client.post("/v1/completions", json={"model": "tales", "prompt": "The"}).get_json()[
            "choices"
        ][0]
    )


def test_words_are_placed_within_the_deadline(tiny_bundle: Path) -> None:
    app = create_app(ServerSettings(bundles=[tiny_bundle], timeout_seconds=0.001))
    answer = app.test_client().post("/api/generate", json={"prompt": "The", "must_contain": "owl"})
    server_state(app).close()
    assert answer.status_code in (200, 408)
    assert answer.status_code == 200 or "time was over" in answer.get_json()["error"]["message"]


@pytest.mark.parametrize("path", ["/api/generate", "/v1/completions"])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_what_has_been_answered_leaves_nothing_for_the_garbage_collector(
    narrow: FlaskClient, path: str, is_streamed: bool
) -> None:
    def num_sequences() -> int:
        return sum(type(each) is Sequence for each in gc.get_objects())

    name = server_state(narrow.application).models[0].name
    body = {"model": name, "prompt": "The fox", "max_tokens" if "v1" in path else "max_len": 5}
    gc.disable()
    try:
        before = num_sequences()
        for _ in range(3):
            with narrow.post(path, json=body | {"stream": is_streamed}) as answer:
                assert answer.status_code == 200
                assert answer.data
            del answer
        wait_until(lambda: engine_of(narrow).is_idle)
        wait_until(lambda: num_sequences() == before)
    finally:
        gc.enable()
