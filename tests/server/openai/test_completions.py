"""The real `openai` client against a real server."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from flask.testing import FlaskClient
from openai.types import Completion, Model

import lorelm
from lorelm.bundle import Bundle
from lorelm.server.keys.key import now
from lorelm.server.keys.key_file import KeyFile


@pytest.fixture(scope="module")
def url(start_server: Callable[..., str], tiny_bundle: Path) -> str:
    return start_server(str(tiny_bundle))


@pytest.fixture(scope="module")
def ai(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url + "v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(tiny_bundle)


def create(ai: openai.OpenAI, prompt: Any = "The fox", **asked: Any) -> Completion:
    return ai.completions.create(model="tales", prompt=prompt, **asked)


def test_a_completion_is_what_python_gives(ai: openai.OpenAI, model: lorelm.LanguageModel) -> None:
    answer = create(ai, seed=7, max_tokens=12, top_p=0.9, stop=["mill"], temperature=1.3)
    expected = model.generate(
        "The fox", seed=7, max_len=12, top_p=0.9, stop=["mill"], temperature=1.3
    )
    [choice] = answer.choices
    assert choice.text == expected.text
    assert choice.logprobs is None
    assert choice.model_extra == {"seed": 7}
    assert answer.model == "tales"
    assert answer.usage
    assert answer.usage.prompt_tokens == 2
    assert answer.usage.completion_tokens == expected.samples[0].num_tokens
    assert answer.usage.total_tokens == 2 + expected.samples[0].num_tokens


def test_missing_fields_have_openais_defaults(
    ai: openai.OpenAI, model: lorelm.LanguageModel
) -> None:
    answer = create(ai, seed=3, prompt="The")
    assert answer.choices[0].text == model.generate("The", seed=3, max_len=16, temperature=1).text
    nulls = dict.fromkeys(
        (
            *("best_of", "echo", "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "n"),
            *("presence_penalty", "stop", "stream", "suffix", "temperature", "top_p"),
        )
    )
    same = create(ai, seed=3, prompt="The", **nulls)
    assert same.choices[0].text == answer.choices[0].text


@pytest.mark.parametrize(
    ("asked", "settings"),
    [
        ({"frequency_penalty": 1.5}, {"frequency_penalty": 1.5}),
        ({"presence_penalty": -1.5}, {"presence_penalty": -1.5}),
        ({"logit_bias": {"5": -100, "7": 8}}, {"logit_bias": {5: -100, 7: 8}}),
        ({"extra_body": {"top_k": 2}}, {"top_k": 2}),
        ({"extra_body": {"min_p": 0.3}}, {"min_p": 0.3}),
        ({"extra_body": {"repetition_penalty": 3}}, {"repetition_penalty": 3}),
        ({"stop": " the"}, {"stop": [" the"]}),
        ({"temperature": 0}, {"temperature": 0}),
    ],
    ids=str,
)
def test_each_setting_is_honoured(
    ai: openai.OpenAI,
    model: lorelm.LanguageModel,
    asked: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    usual = {"temperature": 1.0, "max_len": 20, "seed": 4, "num_samples": 4}
    expected = model.generate("The", **usual | settings)
    answer = create(ai, prompt="The", max_tokens=20, seed=4, n=4, **asked)
    assert [choice.text for choice in answer.choices] == [s.text for s in expected.samples]


def test_answers_are_of_the_clients_types(client: FlaskClient) -> None:
    asked = {"model": "tales", "prompt": ["The fox", "The"], "n": 2, "logprobs": 2, "echo": True}
    answer = client.post("/v1/completions", json=asked).get_json()
    for choice in answer["choices"]:
        assert isinstance(choice.pop("seed"), int)  # the one field that is ours
    text = json.dumps(answer)
    parsed = Completion.model_validate_json(text, strict=True)
    assert json.loads(parsed.model_dump_json(exclude_unset=True)) == answer
    assert not parsed.model_extra
    assert all(not choice.model_extra for choice in parsed.choices)
    assert not parsed.choices[0].logprobs.model_extra
    listed = client.get("/v1/models").get_json()
    assert listed["object"] == "list"
    [model] = listed["data"]
    assert not Model.model_validate(model, strict=True).model_extra
    assert client.get("/v1/models/tales").get_json() == model


def test_several_prompts_as_texts_or_as_ids(
    ai: openai.OpenAI, model: lorelm.LanguageModel, tiny_bundle: Path
) -> None:
    texts = ["The fox sat", "Who", ""]
    vocabulary = Bundle.load(tiny_bundle).vocabulary
    ids = [vocabulary.encode(model.tokenizer.tokenize(text)).tolist() for text in texts]
    answers = [create(ai, prompt, seed=2, n=2, max_tokens=9) for prompt in (texts, ids)]
    for answer in answers:
        assert [choice.index for choice in answer.choices] == [0, 1, 2, 3, 4, 5]
        for number, text in enumerate(texts):
            expected = model.generate(text, seed=2, num_samples=2, max_len=9, temperature=1)
            choices = answer.choices[2 * number : 2 * number + 2]
            assert [choice.text for choice in choices] == [s.text for s in expected.samples]
    alone = create(ai, ids[0], seed=2, n=2, max_tokens=9)
    assert [c.text for c in alone.choices] == [c.text for c in answers[0].choices[:2]]
    assert answers[0].usage.prompt_tokens == 4


def test_echo_and_logprobs_have_the_legacy_shape(
    ai: openai.OpenAI, model: lorelm.LanguageModel
) -> None:
    answer = create(ai, prompt='"Who  goes there?"', echo=True, logprobs=3, max_tokens=5, seed=1)
    [choice] = answer.choices
    scores = choice.logprobs
    assert choice.text.startswith('"Who  goes there?"')
    generated = choice.text.removeprefix('"Who  goes there?"')
    expected = model.score('"Who goes there?"' + generated, num_alternatives=3)
    assert scores.tokens == [token.text for token in expected]
    assert scores.token_logprobs == pytest.approx([t.log_probability for t in expected])
    for token, top in zip(expected, scores.top_logprobs, strict=True):
        others = {other.text: other.log_probability for other in token.alternatives}
        assert top == pytest.approx(others | {token.text: token.log_probability})
        assert 3 <= len(top) <= 4
    for token, offset in zip(scores.tokens, scores.text_offset, strict=True):
        # One space where the prompt has two.
        assert choice.text[offset:].lstrip().startswith(token.strip())
    for prompt in ("The Fox, who", "İİ The fox sat"):
        [choice] = create(ai, prompt=prompt, echo=True, logprobs=0, max_tokens=4).choices
        scores = choice.logprobs
        for token, offset in zip(scores.tokens, scores.text_offset, strict=True):
            assert choice.text[offset : offset + len(token)] == token


def test_without_echo_offsets_begin_after_the_prompt(ai: openai.OpenAI) -> None:
    [choice] = create(ai, prompt="The fox", logprobs=0, max_tokens=6, seed=1).choices
    scores = choice.logprobs
    assert "".join(scores.tokens) == choice.text
    for token, offset in zip(scores.tokens, scores.text_offset, strict=True):
        assert choice.text[offset - len("The fox") :].startswith(token)
    assert [list(top) for top in scores.top_logprobs] == [[token] for token in scores.tokens]


def test_no_tokens_and_echo_score_the_prompt(
    ai: openai.OpenAI, model: lorelm.LanguageModel
) -> None:
    answer = create(ai, prompt="The fox sat.", max_tokens=0, echo=True, logprobs=1)
    [choice] = answer.choices
    assert choice.text == "The fox sat."
    assert choice.finish_reason == "length"
    expected = [token.log_probability for token in model.score("The fox sat.")]
    assert choice.logprobs.token_logprobs == pytest.approx(expected)
    assert answer.usage.completion_tokens == 0
    several = create(ai, prompt=["The fox", "Who"], max_tokens=0, n=2).choices
    assert [(choice.index, choice.text) for choice in several] == [(i, "") for i in range(4)]


def test_a_leading_eos_is_the_context_of_the_prompt(ai: openai.OpenAI) -> None:
    with_eos, without = (
        create(ai, ids, max_tokens=0, echo=True, logprobs=1).choices[0].logprobs
        for ids in ([1, 5, 6], [5, 6])
    )
    assert with_eos.tokens[1:] == without.tokens
    assert with_eos.token_logprobs == [0.0, *without.token_logprobs]


def test_the_best_of_several_comes_first(ai: openai.OpenAI) -> None:
    asked = {"prompt": "The", "seed": 1, "max_tokens": 8, "temperature": 2.0}
    everything = create(ai, n=8, logprobs=0, **asked)
    best = create(ai, n=2, best_of=8, **asked)

    def mean(choice: Any) -> float:
        logs = choice.logprobs.token_logprobs
        return math.fsum(logs) / len(logs)

    expected = sorted(everything.choices, key=mean, reverse=True)[:2]
    assert [choice.text for choice in best.choices] == [choice.text for choice in expected]
    assert [choice.index for choice in best.choices] == [0, 1]
    assert best.choices[0].logprobs is None
    assert best.usage.completion_tokens == everything.usage.completion_tokens


def test_a_stream_adds_up_to_the_response(ai: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "prompt": ["The fox", "Who"],
        "n": 2,
        "seed": 5,
        "max_tokens": 12,
        "logprobs": 1,
        "echo": True,
        "stop": ["mill", "n s"],
    }
    whole = create(ai, **asked)
    parts = list(create(ai, stream=True, stream_options={"include_usage": True}, **asked))
    *chunks, last = parts
    assert (last.choices, last.usage) == ([], whole.usage)
    assert all(chunk.usage is None for chunk in chunks)
    assert {chunk.id for chunk in parts} == {last.id}
    for choice in whole.choices:
        mine = [c for chunk in chunks for c in chunk.choices if c.index == choice.index]
        assert "".join(part.text for part in mine) == choice.text
        assert [part.finish_reason for part in mine] == [None] * (len(mine) - 1) + [
            choice.finish_reason
        ]
        for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
            joined = [value for part in mine for value in getattr(part.logprobs, name)]
            assert joined == getattr(choice.logprobs, name)


def test_a_stream_ends_in_done(client: FlaskClient) -> None:
    asked = {"model": "tales", "prompt": "The", "stream": True, "max_tokens": 3}
    text = client.post("/v1/completions", json=asked).get_data(as_text=True)
    *chunks, done, nothing = text.split("\n\n")
    assert (done, nothing) == ("data: [DONE]", "")
    assert all("usage" not in json.loads(chunk.removeprefix("data: ")) for chunk in chunks)


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("logprobs", 6),
        ("logprobs", -1),
        ("max_tokens", -1),
        ("max_tokens", 1001),
        ("max_tokens", "many"),
        ("n", 0),
        ("n", 17),
        ("best_of", 0),
        ("best_of", 17),
        ("temperature", -1),
        ("temperature", 101),
        ("top_p", 0),
        ("frequency_penalty", 3),
        ("logit_bias", {"fox": 1}),
        ("logit_bias", {"9999": 1}),
        ("logit_bias", {"5": 101}),
        ("stop", [""]),
        ("suffix", "and so on"),
        ("prompt", []),
        ("prompt", [[]] * 65),
        ("logit_bias", {"9" * 5000: 1}),
        ("logit_bias", {"٣": 1}),
        ("prompt", [9999]),
        ("prompt", [-1]),
        ("prompt", ["x", 3]),
        ("prompt", {"text": "x"}),
        ("prompt", "x" * 20_001),
        ("stream_options", {"warmth": 1}),
        ("messages", []),
    ],
)
def test_a_wrong_field_is_a_bad_request_that_names_it(
    ai: openai.OpenAI, param: str, value: Any
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        create(ai, **({"prompt": "The"} | {"extra_body": {param: value}}))
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert param in caught.value.message


def test_all_wrong_fields_are_reported_at_once(ai: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        create(ai, n=17, temperature=-1, max_tokens=2000, prompt="The")
    assert caught.value.param in ("n", "temperature", "max_tokens")
    for field in ("n: ", "temperature: ", "max_tokens: "):
        assert field in caught.value.message


def test_the_best_cannot_be_streamed(ai: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="the best is known at the end"):
        create(ai, best_of=3, stream=True)


def test_another_model_is_not_found(ai: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        ai.completions.create(model="davinci-002", prompt="The")
    assert caught.value.code == "model_not_found"
    assert "there is no 'davinci-002' here, only 'tales'" in caught.value.message
    with pytest.raises(openai.NotFoundError):
        ai.models.retrieve("davinci-002")
    assert [model.id for model in ai.models.list()] == ["tales"]


def test_a_wrong_key_is_refused_and_the_right_one_is_not(
    start_server: Callable[..., str], tiny_bundle: Path
) -> None:
    url = start_server(str(tiny_bundle), "--api-key", "speak friend")
    with (
        openai.OpenAI(base_url=url + "v1", api_key="mellon") as stranger,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        stranger.models.list()
    assert caught.value.code == "invalid_api_key"
    with openai.OpenAI(base_url=url + "v1", api_key="speak friend") as friend:
        assert create(friend).choices[0].text


def test_a_named_key_streams_until_its_tokens_are_used_up(
    start_server: Callable[..., str], tiny_bundle: Path, tmp_path: Path
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key = keys.add("bob", tokens_per_day=20)
    url = start_server(str(tiny_bundle), "--keys", str(keys.path))
    with openai.OpenAI(base_url=url + "v1", api_key=key) as ai:
        events = [*ai.completions.create(model="tales", prompt="The", stream=True, max_tokens=20)]
        assert events[-1].choices[0].finish_reason is not None
        assert create(ai, max_tokens=0, echo=True, logprobs=1).choices[0].text == "The fox"
        with pytest.raises(openai.RateLimitError) as caught:
            [create(ai) for _ in range(20)]
    assert caught.value.code == "insufficient_quota"
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert "its 20 tokens of this day" in caught.value.message
    keys.change("bob", revoked_at=now())
    with (
        openai.OpenAI(base_url=url + "v1", api_key=key) as ai,
        pytest.raises(openai.AuthenticationError),
    ):
        ai.models.list()


def test_the_client_tries_again_when_it_asks_too_often(
    start_server: Callable[..., str], tiny_bundle: Path
) -> None:
    url = start_server(str(tiny_bundle), "--rate-limit", "1/second")
    with (
        openai.OpenAI(base_url=url + "v1", api_key="any", max_retries=0) as hasty,
        pytest.raises(openai.RateLimitError) as caught,
    ):
        [create(hasty) for _ in range(4)]
    assert caught.value.type == "rate_limit_error"
    with openai.OpenAI(base_url=url + "v1", api_key="any", max_retries=8) as patient:
        for _ in range(2):
            assert create(patient).choices[0].text


def test_a_prompt_that_is_not_read_in_time_is_a_timeout(
    start_server: Callable[..., str], tiny_bundle: Path
) -> None:
    url = start_server(str(tiny_bundle), "--timeout-seconds", "0.02")
    long: dict[str, Any] = {"prompt": ["The", "The fox " * 2400], "echo": True, "logprobs": 1}
    with openai.OpenAI(base_url=url + "v1", api_key="any", max_retries=0) as hurried:
        for max_tokens in (0, 1):
            with pytest.raises(openai.APIStatusError) as caught:
                create(hurried, max_tokens=max_tokens, **long)
            assert caught.value.status_code == 408
            with (
                create(hurried, max_tokens=max_tokens, stream=True, **long) as stream,
                pytest.raises(openai.APIError, match="before the prompt was read"),
            ):
                list(stream)


def test_more_samples_than_one_request_may_ask_for(ai: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="from 1 to 4 prompts"):
        create(ai, prompt=["The"] * 5, n=16)
