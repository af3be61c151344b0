"""Request bodies of OpenAI's legacy completions API."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, ClassVar, Final

from pydantic import Field, StrictInt, StrictStr

from lorelm.errors import Problem, SamplingError
from lorelm.generation.settings import NUM_SAMPLES_LIMIT, SEED_LIMIT, GenerationSettings
from lorelm.parameters import Parameter, parameters_of
from lorelm.server.request_model import (
    MAX_TEXT_CHARACTERS,
    ModelName,
    RequestModel,
    with_parameters,
)

PromptGiven = str | list[int]
"""A prompt as a text, or as ids."""


def _openai_parameters() -> dict[str, Parameter]:
    """Our parameters by OpenAI's names for them, with that API's defaults and ranges."""
    ours = parameters_of(GenerationSettings)
    theirs: dict[str, dict[str, Any]] = {
        "max_len": {"min": 0, "default": 16},
        "temperature": {"default": 1.0},
        "seed": {"min": None, "max": None},
        "logit_bias": {"help": "Numbers that are added to the logits of tokens, by id."},
    }
    parameters = {
        each.openai: replace(each, **theirs.get(each.name, {}))
        for each in ours.values()
        if each.openai
    }
    samples = "Generate this many samples and return the n likeliest; not in a stream."
    return parameters | {"best_of": replace(ours["num_samples"], help=samples, default=None)}


_PARAMETERS: Final = _openai_parameters()


class StreamOptions(RequestModel):
    """What a stream holds."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


@with_parameters(_PARAMETERS)
class CompletionRequest(RequestModel):
    """A request of ``POST /v1/completions``, which takes some parameters that OpenAI lacks."""

    meanings: ClassVar = {
        "prompt": "must be a text, a list of texts, a list of ids or a list of such lists",
    }

    model: str = Field(description="Name of the model, as in /v1/models.")
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
    stream: bool | None = Field(
        None, description="Answer with server-sent events, one for each token."
    )
    stream_options: StreamOptions | None = Field(
        None, description="With include_usage, a stream ends with the usage."
    )
    suffix: str | None = Field(
        None, description="Refused, unless empty: the model reads from left to right."
    )
    user: str | None = Field(None, description="Accepted and ignored.")

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

    @property
    def shows_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

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

    def settings(self) -> GenerationSettings:
        """Return the settings of this request.

        Raises:
            SamplingError: fields contradict each other or not supported; it names them all.
        """
        given = self.given()
        biases = given.get("logit_bias", {})
        problems = [*self._problems(biases)]
        if problems:
            raise SamplingError.of(problems)
        given["logit_bias"] = {int(id_): bias for id_, bias in biases.items()}
        if "seed" in given:
            given["seed"] %= SEED_LIMIT // 2
        if not self.generates:
            given["max_len"] = 1
        alternatives = 0 if self.best_of and self.logprobs is None else self.logprobs
        defaults = {
            "max_len": _PARAMETERS["max_tokens"].default,
            "temperature": _PARAMETERS["temperature"].default,
            "num_alternatives": alternatives,
        }
        return GenerationSettings(**(defaults | given))

    def _problems(self, biases: Iterable[str]) -> Iterator[Problem]:
        """What OpenAI's fields ask for that is not supported."""
        if self.suffix:
            yield Problem("suffix", "is not supported: the model reads from left to right")
        best_of = self.best_of or self.num_choices
        if best_of < self.num_choices:
            yield Problem("best_of", f"must be at least n, {self.num_choices}")
        if self.stream and best_of > self.num_choices:
            yield Problem("best_of", "cannot be streamed: the best is known at the end")
        wrong = [each for each in biases if not re.fullmatch("[0-9]{1,9}", each)]
        if wrong:
            yield Problem("logit_bias", f"must have ids for keys, not {wrong[0]!r:.200}")


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
