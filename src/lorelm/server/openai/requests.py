"""Request bodies of OpenAI's APIs; those of its chat API are in `chat_requests.py`."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, Final

from pydantic import Field, StrictInt, StrictStr

from lorelm.errors import Problem, SamplingError
from lorelm.generation.settings import NUM_SAMPLES_LIMIT, SEED_LIMIT, GenerationSettings
from lorelm.parameters import Parameter, parameters_of, short
from lorelm.server.request_model import (
    MAX_TEXT_CHARACTERS,
    ModelName,
    RequestModel,
    limited,
    with_parameters,
)
from lorelm.server.state import server_state

PromptGiven = str | list[int]
"""A prompt as a text, or as ids."""


def openai_parameters(**changes: dict[str, Any]) -> dict[str, Parameter]:
    """Return our parameters by OpenAI's names for them, with these APIs' defaults and ranges.

    Args:
        changes: to the parameters of one API, by our names.
    """
    theirs: dict[str, dict[str, Any]] = {
        "seed": {"min": None, "max": None},
        "logit_bias": {"help": "Numbers that are added to the logits of tokens, by id."},
        **changes,
    }
    ours = parameters_of(GenerationSettings).values()
    return {each.openai: replace(each, **theirs.get(each.name, {})) for each in ours if each.openai}


_BEST_OF: Final = replace(
    parameters_of(GenerationSettings)["num_samples"],
    help="Generate this many samples and return the n likeliest; not in a stream.",
    default=None,
)


class StreamOptions(RequestModel):
    """What a stream holds."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class OpenAIRequest(RequestModel):
    """What requests of OpenAI's APIs have in common, with some parameters that OpenAI lacks."""

    model: str = Field(description="Name of the model, as in /v1/models.")
    stream: bool | None = Field(
        None, description="Answer with server-sent events, one for each token."
    )
    stream_options: StreamOptions | None = Field(
        None, description="With include_usage, a stream ends with the usage."
    )
    user: str | None = Field(None, description="Accepted and ignored.")

    # Made by with_parameters; declared for the code below.
    logit_bias: dict[str, float] | None = None

    @property
    def shows_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def settings(self) -> GenerationSettings:
        """Return the settings of this request.

        Raises:
            SamplingError: fields contradict each other or not supported; it names them all.
        """
        problems = [*self.problems()]
        if problems:
            raise SamplingError.of(problems)
        limits = server_state().settings.limits
        defaults = {
            each.name: limited(each, limits).default
            for each in self.parameters.values()
            if each.default is not None
        }
        given = self.given()
        biases = given.get("logit_bias", {})
        given["logit_bias"] = {int(id_): bias for id_, bias in biases.items()}
        if "seed" in given:
            given["seed"] %= SEED_LIMIT // 2
        return GenerationSettings(**(defaults | given | self.further_settings()))

    def further_settings(self) -> dict[str, Any]:
        """Return the settings that follow from other fields than parameters."""
        return {}

    def problems(self) -> Iterator[Problem]:
        """Yield what OpenAI's fields ask for that is not supported."""
        wrong = [each for each in self.logit_bias or () if not re.fullmatch("[0-9]{1,9}", each)]
        if wrong:
            yield Problem("logit_bias", f"must have ids for keys, not {short(wrong[0])}")


@with_parameters(openai_parameters(max_len={"min": 0, "default": 16}) | {"best_of": _BEST_OF})
class CompletionRequest(OpenAIRequest):
    """A request of ``POST /v1/completions``."""

    meanings: ClassVar = {
        "prompt": "must be a text, a list of texts, a list of ids or a list of such lists",
    }

    prompt: StrictStr | list[StrictStr] | list[StrictInt] | list[list[StrictInt]] | None = Field(
        None, description="One text or several, or the ids of one or several; none: a new document."
    )
    echo: bool | None = Field(
        None, description="Return the prompt before the continuation; max_tokens 0 only scores it."
    )
    logprobs: int | None = Field(
        None,
        ge=0,
        le=5,
        description="Return log-probabilities, and this many alternatives.",
    )
    suffix: str | None = Field(
        None, description="Refused, unless empty: the model reads from left to right."
    )

    # Made by with_parameters; declared for the code below.
    n: int | None = None
    best_of: int | None = None
    max_tokens: int | None = None

    @property
    def num_choices(self) -> int:
        """Number of choices for each prompt."""
        return 1 if self.n is None else self.n

    @property
    def generates(self) -> bool:
        """Whether to generate text, not only to score the prompt."""
        return self.max_tokens != 0

    def prompts(self) -> list[PromptGiven]:
        """Return the prompts, each a text or a list of ids.

        Raises:
            SamplingError: there are none, too many, or too long ones.
        """
        prompt = self.prompt
        prompts: list[Any]
        if prompt is None:
            prompts = [""]
        elif isinstance(prompt, str) or (prompt and isinstance(prompt[0], int)):
            prompts = [prompt]
        else:
            prompts = list(prompt)
        most = NUM_SAMPLES_LIMIT // max(self.best_of or self.num_choices, 1)
        if not 0 < len(prompts) <= most:
            raise SamplingError(
                "prompt",
                f"must be from 1 to {most} prompts ({NUM_SAMPLES_LIMIT} samples in all), not "
                f"{len(prompts)}",
            )
        if any(len(each) > MAX_TEXT_CHARACTERS for each in prompts):
            raise SamplingError("prompt", f"must be shorter than {MAX_TEXT_CHARACTERS:,}")
        return prompts

    def further_settings(self) -> dict[str, Any]:
        # The best are found by their scores.
        scores = {"num_alternatives": 0 if self.best_of else None}
        if self.logprobs is not None:
            scores["num_alternatives"] = self.logprobs
        return scores if self.generates else scores | {"max_len": 1}

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.suffix:
            yield Problem("suffix", "is not supported: the model reads from left to right")
        best_of = self.best_of or self.num_choices
        if best_of < self.num_choices:
            yield Problem("best_of", f"must be at least n, {self.num_choices}")
        if self.stream and best_of > self.num_choices:
            yield Problem("best_of", "cannot be streamed: the best is known at the end")


class TokenizeRequest(RequestModel):
    """A text to turn into ids."""

    prompt: str = Field(
        max_length=MAX_TEXT_CHARACTERS, description="The text; <eos> ends a document in it."
    )
    model: ModelName = None
    add_special_tokens: bool | None = Field(None, description="Ignored: none are ever added.")
    return_token_strs: bool | None = Field(None, description="Return the tokens too.")


class DetokenizeRequest(RequestModel):
    """Ids to turn into text."""

    tokens: list[StrictInt] = Field(max_length=MAX_TEXT_CHARACTERS, description="The ids.")
    model: ModelName = None
