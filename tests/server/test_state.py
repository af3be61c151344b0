"""Models and their blends as requests choose them, through the APIs and the page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import lorelm
from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import ServerState, server_state


@pytest.fixture(scope="module")
def client(
    tiny_bundle: Path,
    wolves_bundle: Path,
    scene_bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FlaskClient]:
    history = f"sqlite:///{tmp_path_factory.mktemp('history') / 'history.db'}"
    bundles = [tiny_bundle, wolves_bundle, scene_bundle]
    app = create_app(ServerSettings(bundles=bundles, history=history))
    yield app.test_client()
    server_state(app).close()


@pytest.fixture(scope="module")
def state(client: FlaskClient) -> ServerState:
    return server_state(client.application)


def expected(bundle: Path, other: Path, share: float) -> str:
    asked = {"seed": 3, "max_len": 12, "blend": {str(other): share}}
    return lorelm.load(bundle).generate("The owl", **asked).text


ASKED = {"prompt": "The owl", "seed": 3, "max_len": 12}


def test_a_blend_is_what_python_gives(
    client: FlaskClient, tiny_bundle: Path, wolves_bundle: Path
) -> None:
    """The first model is the one that a request names, else the weightier or the first one."""
    for blend, model in (
        ({"wolves": 0.4}, None),
        ({"tales": 0.6, "wolves": 0.4}, None),
        ({"wolves": 0.6, "tales": 0.9}, "tales"),
    ):
        body = ASKED | {"blend": blend} | ({"model": model} if model else {})
        reply = client.post("/api/generate", json=body).get_json()
        assert reply["samples"][0]["text"] == expected(tiny_bundle, wolves_bundle, 0.4)
        assert reply["model"] == "tales"
    reply = client.post("/api/generate", json=ASKED | {"blend": {"wolves": 0.8, "tales": 0.2}})
    assert reply.get_json()["model"] == "wolves"
    assert reply.get_json()["samples"][0]["text"] == expected(wolves_bundle, tiny_bundle, 0.2)
    even = client.post("/api/generate", json=ASKED | {"blend": {"wolves": 0.5, "tales": 0.5}})
    assert even.get_json()["model"] == "tales"


def test_blends_of_a_pair_share_an_engine_whatever_their_shares(
    client: FlaskClient, state: ServerState
) -> None:
    one, other = (state.served("tales", {"wolves": share}) for share in (0.2, 0.9))
    assert one is other
    assert one.fingerprint not in {model.fingerprint for model in state.models}
    assert one.fingerprint != state.served("wolves", {"tales": 0.2}).fingerprint
    assert 'lorelm_slots{model="tales+wolves"}' in client.get("/metrics").get_data(as_text=True)


def test_openai_clients_blend_too(
    client: FlaskClient, tiny_bundle: Path, wolves_bundle: Path
) -> None:
    asked = {"model": "tales", "prompt": "The owl", "seed": 3, "max_tokens": 12}
    reply = client.post("/v1/completions", json=asked | {"blend": {"wolves": 0.4}}).get_json()
    assert reply["choices"][0]["text"] == expected(tiny_bundle, wolves_bundle, 0.4)
    assert reply["model"] == "tales"
    scored = asked | {"max_tokens": 0, "echo": True, "logprobs": 0}
    one, two = (
        client.post("/v1/completions", json=scored | {"blend": {"wolves": share}}).get_json()
        for share in (0.1, 0.9)
    )
    assert one["choices"][0]["logprobs"] != two["choices"][0]["logprobs"]


@pytest.mark.parametrize(
    ("blend", "status", "message"),
    [
        ({"tales": 1}, 422, "blend: must name one other model than tales"),
        ({"wolves": 0.1, "model": 0.1}, 422, "must name one other model"),
        ({"wolves": 2}, 422, "must be a number from 0 to 1 for each model"),
        ({"nowhere": 0.3}, 404, "nowhere"),
        ("wolves", 422, "blend"),
    ],
)
def test_what_cannot_be_blended_is_refused(
    client: FlaskClient, blend: object, status: int, message: str
) -> None:
    answer = client.post("/api/generate", json=ASKED | {"model": "tales", "blend": blend})
    assert answer.status_code == status
    assert message in answer.get_json()["error"]["message"]
    assert answer.get_json()["error"]["field"] == "blend"


def test_a_server_of_models_with_a_cache_does_not_blend(
    tiny_bundle: Path, wolves_bundle: Path
) -> None:
    app = create_app(ServerSettings(bundles=[tiny_bundle, wolves_bundle], cache=True))
    client = app.test_client()
    answer = client.post("/api/generate", json=ASKED | {"blend": {"wolves": 0.4}})
    assert "leave out cache" in answer.get_json()["error"]["message"]
    assert 'name="blend_share"' not in client.get("/").get_data(as_text=True)
    server_state(app).close()


def texts(page: str) -> list[str]:
    found = re.findall('<p class="sample" lang="" dir="auto">(.*?)</p>', page, re.DOTALL)
    return ["".join(re.sub("<[^>]*>", "", each).strip()) for each in found]


def test_the_form_blends_and_a_record_is_generated_again(
    client: FlaskClient, state: ServerState, tiny_bundle: Path, wolves_bundle: Path
) -> None:
    client.get("/")
    form = {"prompt": "The owl", "seed": "3", "max_len": "12", "model": "tales"}
    form |= {"model_b": "wolves", "blend_share": "0.4", "temperature_b": ""}
    page = client.post("/", data=form).get_data(as_text=True)
    text = "The owl" + expected(tiny_bundle, wolves_bundle, 0.4)
    assert texts(page) == [text]
    assert 'name="blend_share" type="range"' in page
    alone = client.post("/", data=form | {"blend_share": "0"}).get_data(as_text=True)
    assert texts(alone) == ["The owl" + lorelm.load(tiny_bundle).generate(**ASKED).text]
    assert state.history is not None
    assert state.history.flush()
    history = client.get("/history").get_data(as_text=True)
    records = re.findall(r'name="again" value="(\w+)"', history)
    again = client.post("/", data={"again": records[1]}).get_data(as_text=True)
    assert "Generated again: the same text." in again
    assert texts(again) == [text]
    assert re.search('name="blend_share"[^>]* value="0.4"', again)
    assert '<option dir="auto" value="wolves" selected>' in again
