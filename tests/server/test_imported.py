"""An imported model on the page and in the API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from tests.bundle.importing.foreign import WORDS, ForeignModel, greedy

import lorelm
from lorelm.bundle import Bundle
from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state


@pytest.fixture(scope="module")
def imported(imported_bundle: Path) -> Iterator[FlaskClient]:
    app = create_app(ServerSettings(bundles=[imported_bundle]))
    yield app.test_client()
    server_state(app).close()


def test_the_api_writes_what_the_model_wrote_elsewhere(imported: FlaskClient) -> None:
    asked = {"prompt": "the fox ran to", "temperature": 0, "max_len": 30}
    reply = imported.post("/api/generate", json=asked).get_json()
    expected = greedy(ForeignModel(), [0, 1, 3, 5], max_len=30)
    assert reply["samples"][0]["text"].split() == [WORDS[id_] for id_ in expected]


def test_concurrent_requests_give_the_same_texts_as_single_ones(
    imported: FlaskClient, imported_bundle: Path
) -> None:
    asked = {"prompt": "the fox", "seed": 3, "num_samples": 8, "max_len": 30}
    reply = imported.post("/api/generate", json=asked).get_json()
    alone = lorelm.load(imported_bundle)
    for sample in reply["samples"]:
        assert sample["text"] == alone.generate("the fox", seed=sample["seed"], max_len=30).text


def test_the_api_says_where_it_comes_from(imported: FlaskClient, imported_bundle: Path) -> None:
    facts = imported.get("/api/model").get_json()
    known = Bundle.load(imported_bundle).manifest.imported
    assert known is not None
    assert facts["imported"] == known.model_dump(mode="json")
    assert facts["corpus"] is facts["evaluation"] is facts["figures"] is None
    assert facts["tokenizer"] == "classic"
    assert facts["can_forbid_copies"] is False


def test_the_pages_say_that_it_has_not_been_evaluated(
    imported: FlaskClient, imported_bundle: Path
) -> None:
    known = Bundle.load(imported_bundle).manifest.imported
    assert known is not None
    written = imported.post("/", data={"prompt": "the fox", "max_len": "3"})
    for page in (imported.get("/"), imported.get("/model"), written):
        text = page.get_data(as_text=True)
        assert page.status_code == 200
        assert "old.pt" in text
        assert "has not been evaluated" in text or "imported, not measured" in text
        assert known.notices
        for notice in known.notices:
            assert notice.replace("<", "&lt;").replace(">", "&gt;") in text


def test_a_model_trained_here_has_no_notices(client: FlaskClient) -> None:
    assert client.get("/api/model").get_json()["imported"] is None
    assert "notice" not in client.get("/").get_data(as_text=True)


def test_echo_and_scores_leave_the_text_as_it_is(imported: FlaskClient) -> None:
    asked = {"model": "old", "prompt": "the fox ran", "max_tokens": 5, "seed": 2}
    plain = imported.post("/v1/completions", json=asked).get_json()["choices"][0]
    more = {"echo": True, "logprobs": 2}
    echoed = imported.post("/v1/completions", json=asked | more).get_json()["choices"][0]
    assert echoed["text"] == "the fox ran" + plain["text"]
    scores = echoed["logprobs"]
    assert scores["tokens"][:3] == ["the", " fox", " ran"]
    assert scores["token_logprobs"][0] is None
    assert None not in scores["token_logprobs"][1:]
    only_read = asked | more | {"max_tokens": 0}
    read = imported.post("/v1/completions", json=only_read).get_json()["choices"][0]
    assert None not in read["logprobs"]["token_logprobs"]
