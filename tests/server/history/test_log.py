"""Every text can be generated again from its record, exactly."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorelm.bundle import Bundle
from lorelm.generation.generator import generate
from lorelm.generation.sequence import GenerationRequest
from lorelm.generation.settings import GenerationSettings
from lorelm.history.record import Record
from lorelm.server.history.browser_ids import Client
from lorelm.server.history.log import is_served_by, records_of, request_again
from lorelm.server.operations.metrics import Metrics
from lorelm.server.served_model import ServedModel
from lorelm.server.settings import ServerSettings


@pytest.fixture(scope="module")
def served(tiny_bundle: Path) -> Iterator[ServedModel]:
    model = ServedModel.load(Bundle.load(tiny_bundle), settings=ServerSettings(), metrics=Metrics())
    yield model
    model.engine.stop(grace_seconds=0)


def done(
    request: GenerationRequest, served: ServedModel, num_tokens: int | None = None
) -> GenerationRequest:
    """Generate the samples of a request to their end, or as many tokens as given."""
    for sequence in request.sequences:
        generate(served.model.runtime, sequence)
        if num_tokens is not None:
            del sequence.token_ids[sequence.num_prompt_ids + num_tokens :]
            sequence.status = "running"
    return request


def recorded(request: GenerationRequest, served: ServedModel) -> list[Record]:
    """Return the records of a request, as they come out of a database."""
    records = records_of(
        request,
        served,
        Client(source="api"),
        created_at=datetime.now(UTC),
        duration_seconds=0.1,
    )
    return [
        dataclasses.replace(record, settings=json.loads(json.dumps(record.settings)))
        for record in records
    ]


def text_again(record: Record, served: ServedModel) -> str:
    [sample] = served.model.reply(
        done(request_again(record, served, num_alternatives=2), served)
    ).samples
    return sample.text


WORDS = st.sampled_from(["The", "fox", "owl", "mill", "dragon", '"', ".", "\n", "went"])
SETTINGS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**53 - 5),
        "num_samples": st.integers(1, 3),
        "max_len": st.integers(5, 12),
        "min_len": st.integers(1, 5),
        "temperature": st.sampled_from([0, 0.5, 1, 3.5]),
        "top_p": st.sampled_from([1.0, 0.7]),
        "repetition_penalty": st.sampled_from([1.0, 1.5]),
        "stop": st.sampled_from([(), ("he", "ow"), (" the",)]),
        "banned_words": st.sampled_from([(), ("fox",)]),
        "logit_bias": st.sampled_from([{}, {"owl": 3.5}, {5: 2.0, "mill": -1}]),
        "novel_span": st.sampled_from([0, 4]),
    }
)


@settings(max_examples=40)
@given(words=st.lists(WORDS, max_size=5), wanted=SETTINGS, gives_ids=st.booleans())
def test_a_record_is_enough_to_generate_the_text_again(
    served: ServedModel, words: list[str], wanted: dict[str, Any], gives_ids: bool
) -> None:
    prompt = served.model.prompts.read(" ".join(words))
    if gives_ids:
        prompt = served.model.prompts.of_ids([1, *prompt.ids.tolist()])
    request = done(served.model.request(prompt, GenerationSettings(**wanted)), served)
    samples = served.model.reply(request).samples
    records = recorded(request, served)
    assert [record.text for record in records] == [sample.text for sample in samples]
    for record, sample in zip(records, samples, strict=True):
        assert (record.seed, record.finish_reason) == (sample.seed, sample.finish_reason)
        assert text_again(record, served) == sample.text


@pytest.fixture(scope="module")
def theatre(scene_bundle: Path) -> Iterator[ServedModel]:
    bundle = Bundle.load(scene_bundle)
    model = ServedModel.load(bundle, settings=ServerSettings(), metrics=Metrics())
    yield model
    model.engine.stop(grace_seconds=0)


NAMES = st.sampled_from(["OWL", "hare", "Bo", "a mouse", "李雷", "two  words", ""])
LINES = st.sampled_from(
    ["Who is at the mill?", "I saw ", "Note: no", "Where is Zorblat?", "", "x\n"]
)


@settings(max_examples=60)
@given(
    turns=st.lists(st.tuples(NAMES, LINES), max_size=3),
    speaker=NAMES,
    beginning=LINES,
    seed=st.integers(0, 1000),
    single_turn=st.booleans(),
)
def test_a_record_of_a_scene_is_enough_to_generate_its_lines_again(
    theatre: ServedModel,
    turns: list[tuple[str, str]],
    speaker: str,
    beginning: str,
    seed: int,
    single_turn: bool,
) -> None:
    prompt = theatre.model.prompts.read_scene(beginning, speaker=speaker, turns=turns)
    wanted = GenerationSettings(seed=seed, temperature=1, max_len=30, single_turn=single_turn)
    request = done(theatre.model.request(prompt, wanted), theatre)
    for record in recorded(request, theatre):
        assert record.prompt == prompt.text
        assert record.prompt_ids is None
        again = request_again(record, theatre, num_alternatives=2)
        assert again.prompt.ids.tolist() == request.prompt.ids.tolist()
        assert text_again(record, theatre) == record.text == request.sequences[0].text()


@given(
    num_tokens=st.integers(1, 6),
    seed=st.integers(0, 1000),
    stop=st.sampled_from([[], ["never comes up"]]),
)
@settings(max_examples=20)
def test_a_truncated_text_is_generated_again_up_to_its_end(
    served: ServedModel, num_tokens: int, seed: int, stop: list[str]
) -> None:
    wanted = GenerationSettings(seed=seed, temperature=2, min_len=10, max_len=20, stop=stop)
    request = served.model.request(served.model.prompts.read("The fox"), wanted)
    [record] = recorded(done(request, served, num_tokens), served)
    assert record.finish_reason == "cancelled"
    assert record.num_tokens == num_tokens
    assert text_again(record, served) == record.text


def test_samples_without_text_are_not_recorded(served: ServedModel) -> None:
    scoring = served.model.scoring_request(served.model.prompts.read("The fox"), num_alternatives=0)
    assert recorded(done(scoring, served), served) == []
    request = served.model.request(served.model.prompts.read("The"), GenerationSettings())
    assert recorded(request, served) == []


@pytest.mark.parametrize(
    "change", [{"fingerprint": "0" * 16}, {"has_mixture": True}, {"has_cache": True}]
)
def test_only_the_same_model_and_options_match_a_record(
    served: ServedModel, change: dict[str, Any]
) -> None:
    request = served.model.request(served.model.prompts.read("The"), GenerationSettings())
    [record] = recorded(done(request, served), served)
    assert is_served_by(record, served)
    assert not is_served_by(dataclasses.replace(record, **change), served)
