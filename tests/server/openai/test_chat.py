"""Chats with the real `openai` client and a real server: a message is a line of a scene."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from flask.testing import FlaskClient
from openai.types.chat import ChatCompletion, ChatCompletionChunk

import lorelm
from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

QUESTION = {"role": "user", "content": "Who is at the mill?"}


@pytest.fixture(scope="module")
def ai(start_server: Callable[..., str], scene_bundle: Path) -> Iterator[openai.OpenAI]:
    url = start_server(str(scene_bundle))
    with openai.OpenAI(base_url=url + "v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def model(scene_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(scene_bundle)


def chat(ai: openai.OpenAI, *messages: dict[str, Any], **asked: Any) -> Any:
    return ai.chat.completions.create(model="model", messages=[*messages], **asked)


def user(content: Any, name: str | None = None) -> dict[str, Any]:
    return {"role": "user", "content": content} | ({"name": name} if name else {})


def assistant(content: str, name: str | None = None) -> dict[str, Any]:
    return {"role": "assistant", "content": content} | ({"name": name} if name else {})


def test_the_answer_is_the_next_line_that_python_gives(
    ai: openai.OpenAI, model: lorelm.LanguageModel
) -> None:
    answer = chat(ai, QUESTION, seed=7)
    turns = [("OLD MOLE", "Who is at the mill?")]
    expected = model.generate("", speaker="OWL", turns=turns, seed=7, max_len=200, temperature=1)
    [choice] = answer.choices
    assert choice.message.content == expected.text.lstrip()
    assert (choice.message.role, choice.message.refusal) == ("assistant", None)
    assert choice.message.model_extra == {"name": "OWL"}
    assert choice.model_extra == {"seed": 7}
    assert choice.finish_reason == "stop"
    assert choice.logprobs is None
    assert answer.object == "chat.completion"
    assert answer.usage.prompt_tokens == len(model.prompts.read(expected.prompt).tokens)
    assert answer.usage.completion_tokens == expected.samples[0].num_tokens


@pytest.mark.parametrize(
    ("messages", "speaker", "turns", "answers"),
    [
        ([user("A"), assistant("B"), user("C")], None, "OLD MOLE: A, OWL: B, OLD MOLE: C", "OWL"),
        ([user("A", "hare")], None, "HARE: A", "OWL"),
        ([user("A", "OWL")], None, "OWL: A", "OLD MOLE"),
        ([user("A")], "HARE", "OWL: A", "HARE"),
        ([user("A")], "OWL", "OLD MOLE: A", "OWL"),
        ([user("A")], "a fox", "OWL: A", "A fox"),
        ([user("A", "Bo"), assistant("B", "HARE"), user("C")], None,
         "Bo: A, HARE: B, Bo: C", "HARE"),
        ([assistant("A", "OWL"), assistant("B", "HARE")], "OLD MOLE",
         "OWL: A, HARE: B", "OLD MOLE"),
        ([{"role": "system", "content": "Be nice."}, user("A")], None, "OLD MOLE: A", "OWL"),
        ([{"role": "developer", "content": "Be nice."}], None, "", "OWL"),
        ([user([{"type": "text", "text": "A "}, {"type": "text", "text": "B"}])], None,
         "OLD MOLE: A B", "OWL"),
    ],
)  # fmt: skip
def test_who_says_what(
    ai: openai.OpenAI,
    model: lorelm.LanguageModel,
    messages: list[dict[str, Any]],
    speaker: str | None,
    turns: str,
    answers: str,
) -> None:
    said = [line.split(": ") for line in turns.split(", ") if line]
    answer = chat(ai, *messages, seed=2, max_tokens=9, n=3, extra_body={"speaker": speaker})
    expected = model.generate(
        "", speaker=answers, turns=said, seed=2, max_len=9, num_samples=3, temperature=1
    )
    assert [each.message.content for each in answer.choices] == [
        sample.text.lstrip() for sample in expected.samples
    ]
    assert {each.message.name for each in answer.choices} == {answers}
    assert answer.usage.prompt_tokens == len(model.prompts.read(expected.prompt).tokens)


def test_a_last_message_of_the_assistant_is_continued(
    ai: openai.OpenAI, model: lorelm.LanguageModel
) -> None:
    for name in (None, "HARE", "hare"):
        answer = chat(
            ai, QUESTION, assistant("Nothing lies", name), seed=1, extra_body={"speaker": "HARE"}
        )
        expected = model.generate(
            "Nothing lies",
            speaker="HARE",
            turns=[("OWL", QUESTION["content"])],
            seed=1,
            max_len=200,
            temperature=1,
        )
        assert answer.choices[0].message.content == expected.text
        assert expected.text.startswith(" ")


def test_the_answer_may_be_sent_back_and_the_same_one_goes_on(ai: openai.OpenAI) -> None:
    first = chat(ai, QUESTION, seed=1, extra_body={"speaker": "HARE"}).choices[0].message
    messages = [QUESTION, first, user("Where is the hill?")]
    answer = ai.chat.completions.create(model="model", messages=messages, seed=1)
    assert answer.choices[0].message.name == "HARE"


def test_the_scene_runs_on_where_it_is_asked_to(ai: openai.OpenAI) -> None:
    content = chat(ai, QUESTION, seed=1, max_tokens=60, extra_body={"single_turn": False})
    lines = content.choices[0].message.content.split("\n")
    assert any(line.startswith(("HARE: ", "OLD MOLE: ")) for line in lines[1:])


@pytest.mark.parametrize(
    ("asked", "settings"),
    [
        ({"max_tokens": 3}, {"max_len": 3}),
        ({"max_completion_tokens": 3}, {"max_len": 3}),
        ({"max_completion_tokens": 3, "max_tokens": 3}, {"max_len": 3}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"stop": "mill"}, {"stop": ["mill"]}),
        ({"logit_bias": {"5": -100, "7": 8}}, {"logit_bias": {5: -100, 7: 8}}),
        ({"frequency_penalty": 1.5, "top_p": 0.5}, {"frequency_penalty": 1.5, "top_p": 0.5}),
        ({"extra_body": {"top_k": 2, "min_p": 0.1}}, {"top_k": 2, "min_p": 0.1}),
    ],
    ids=str,
)
def test_each_setting_is_honoured(
    ai: openai.OpenAI,
    model: lorelm.LanguageModel,
    asked: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    usual = {"temperature": 1.0, "max_len": 200, "seed": 4, "num_samples": 4}
    turns = [("OLD MOLE", QUESTION["content"])]
    expected = model.generate("", speaker="OWL", turns=turns, **usual | settings)
    answer = chat(ai, QUESTION, seed=4, n=4, response_format={"type": "text"}, **asked)
    texts = [choice.message.content for choice in answer.choices]
    assert texts == [sample.text.lstrip() for sample in expected.samples]


def test_answers_are_of_the_clients_types(scene_client: FlaskClient) -> None:
    asked = {"model": "model", "messages": [QUESTION], "n": 2, "logprobs": True, "top_logprobs": 2}
    answer = scene_client.post("/v1/chat/completions", json=asked).get_json()
    for choice in answer["choices"]:  # the two fields that are ours
        assert isinstance(choice.pop("seed"), int)
        assert choice["message"].pop("name") == "OWL"
    parsed = ChatCompletion.model_validate_json(json.dumps(answer), strict=True)
    assert json.loads(parsed.model_dump_json(exclude_unset=True)) == answer
    stream = scene_client.post("/v1/chat/completions", json=asked | {"stream": True})
    *events, done, nothing = stream.get_data(as_text=True).split("\n\n")
    assert (done, nothing) == ("data: [DONE]", "")
    for event in events:
        chunk = json.loads(event.removeprefix("data: "))
        assert "usage" not in chunk
        for choice in chunk["choices"]:
            assert isinstance(choice.pop("seed"), int)
            choice["delta"].pop("name", None)
        parsed = ChatCompletionChunk.model_validate_json(json.dumps(chunk), strict=True)
        assert json.loads(parsed.model_dump_json(exclude_unset=True)) == chunk


def test_log_probabilities_are_those_of_python(
    ai: openai.OpenAI, model: lorelm.LanguageModel
) -> None:
    answer = chat(ai, QUESTION, seed=1, logprobs=True, top_logprobs=3)
    [choice] = answer.choices
    turns = [("OLD MOLE", QUESTION["content"])]
    expected = model.generate(
        "", speaker="OWL", turns=turns, seed=1, max_len=200, temperature=1, num_alternatives=3
    )
    scores = choice.logprobs.content
    assert "".join(score.token for score in scores) == choice.message.content
    assert [score.bytes for score in scores] == [list(score.token.encode()) for score in scores]
    tokens = expected.samples[0].tokens
    assert [score.logprob for score in scores] == [token.log_probability for token in tokens]
    for score, token in zip(scores, tokens, strict=True):
        logs = [top.logprob for top in score.top_logprobs]
        assert logs == [other.log_probability for other in token.alternatives]
        assert (score.token in [top.token for top in score.top_logprobs]) == (score.logprob in logs)
    # The first token of a line has no space before it, and neither have its alternatives.
    assert all(top.token == top.token.lstrip() for top in scores[0].top_logprobs)
    plain = chat(ai, QUESTION, seed=1, logprobs=True).choices[0].logprobs.content
    assert [score.logprob for score in plain] == [score.logprob for score in scores]
    assert all(score.top_logprobs == [] for score in plain)


@pytest.mark.parametrize("beginning", [[], [assistant("Nothing lies")]])
def test_a_stream_adds_up_to_the_answer(ai: openai.OpenAI, beginning: list[Any]) -> None:
    asked: dict[str, Any] = {"n": 3, "seed": 5, "logprobs": True, "top_logprobs": 1, "stop": "hill"}
    whole = chat(ai, QUESTION, *beginning, **asked)
    parts = list(
        chat(ai, QUESTION, *beginning, stream=True, stream_options={"include_usage": True}, **asked)
    )
    *chunks, last = parts
    assert (last.choices, last.usage) == ([], whole.usage)
    assert {(chunk.id, chunk.object) for chunk in parts} == {(last.id, "chat.completion.chunk")}
    for choice in whole.choices:
        mine = [c for chunk in chunks for c in chunk.choices if c.index == choice.index]
        assert "".join(part.delta.content or "" for part in mine) == choice.message.content
        assert [part.delta.role for part in mine] == ["assistant"] + [None] * (len(mine) - 1)
        assert mine[0].delta.name == choice.message.name
        ends = [None] * (len(mine) - 1) + [choice.finish_reason]
        assert [part.finish_reason for part in mine] == ends
        assert mine[-1].delta.to_dict() == {}
        scores = [score for part in mine for score in part.logprobs.content]
        assert scores == choice.logprobs.content


def test_a_stream_without_a_token_has_its_role(ai: openai.OpenAI) -> None:
    parts = list(chat(ai, QUESTION, assistant("Nothing"), seed=1, stop=" lies", stream=True))
    deltas = [part.choices[0].delta for part in parts]
    assert [delta.to_dict() for delta in deltas] == [
        {"role": "assistant", "name": "OWL", "content": ""}
    ]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": [3]}, "messages[0]"),
        ({"messages": [QUESTION, user(["x"])]}, "messages[1].content"),
        ({"messages": [user([{"type": "image_url", "image_url": "x"}])]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "assistant"}]}, "messages[0].content"),
        ({"messages": [assistant("x") | {"tool_calls": []}]}, "messages[0].tool_calls"),
        ({"messages": [user("x", "y" * 101)]}, "messages[0].name"),
        ({"messages": [QUESTION] * 501}, "messages"),
        ({"messages": [user("x" * 10_001)] * 2}, "messages"),
        ({"tools": []}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1001}, "max_completion_tokens"),
        ({"max_completion_tokens": 5, "max_tokens": 6}, "max_tokens"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logprobs": 2}, "logprobs"),
        ({"n": 17}, "n"),
        ({"logit_bias": {"mill": 1}}, "logit_bias"),
        ({"warmth": 1}, "warmth"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_field_is_a_bad_request_that_names_it(
    ai: openai.OpenAI, asked: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat(ai, QUESTION, extra_body=asked)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert f"{param}: " in caught.value.message


def test_all_wrong_fields_are_reported_at_once(ai: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat(ai, user(3), user(4), tools=[], functions=[], n=17)
    for field in (
        "messages[0].content: ",
        "messages[1].content: ",
        "tools: ",
        "functions: ",
        "n: ",
    ):
        assert field in caught.value.message
    assert "the model reads and writes text alone" in caught.value.message


def test_a_model_without_speakers_reads_lines_and_answers_with_one(
    client: FlaskClient, tiny_bundle: Path
) -> None:
    model = lorelm.load(tiny_bundle)
    asked = {
        "model": "tales",
        "messages": [user("The fox", "FOX"), assistant("The owl")],
        "seed": 5,
    }
    for said, beginning, turns in (
        ([], "The owl", [("", "The fox")]),
        ([user("sat")], "", [("", "The fox"), ("", "The owl"), ("", "sat")]),
    ):
        body = asked | {"messages": [*asked["messages"], *said]}
        answer = client.post("/v1/chat/completions", json=body).get_json()
        expected = model.generate(
            beginning, turns=turns, single_turn=True, seed=5, max_len=200, temperature=1
        )
        message = answer["choices"][0]["message"]
        assert (message["content"], message["name"]) == (expected.text, None)
        assert "\n" not in message["content"]
    refused = client.post("/v1/chat/completions", json=asked | {"speaker": "FOX"})
    assert refused.status_code == 400
    assert refused.get_json()["error"]["param"] == "speaker"


def test_the_default_length_is_within_the_limit_of_the_server(scene_bundle: Path) -> None:
    app = create_app(ServerSettings(bundles=[scene_bundle], max_tokens_limit=3))
    client = app.test_client()
    asked = {"model": "model", "messages": [QUESTION]}
    answer = client.post("/v1/chat/completions", json=asked).get_json()
    completion = client.post("/v1/completions", json={"model": "model", "prompt": "OWL:"})
    server_state(app).close()
    assert answer["usage"]["completion_tokens"] == 3
    assert answer["choices"][0]["finish_reason"] == "length"
    assert completion.get_json()["usage"]["completion_tokens"] == 3
