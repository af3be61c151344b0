"""What OpenAI's legacy completions API can be asked."""

from typing import Any, ClassVar, Final

from pydantic import Field, StrictInt, StrictStr

from lorelm.errors import SamplingError
from lorelm.generation.settings import NUM_SAMPLES_LIMIT, SEED_LIMIT, GenerationSettings
from lorelm.server.api.requests import require_within_limits
from lorelm.server.request_model import (
    MAX_TEXT_CHARACTERS,
    ONE_OR_MORE_TEXTS,
    RequestModel,
    as_list,
)
from lorelm.server.settings import ServerSettings

_USUAL_MAX_TOKENS: Final = 16
_USUAL_TEMPERATURE: Final = 1.0
_LOGPROBS_LIMIT: Final = 5
_SAMPLES_LIMIT: Final = NUM_SAMPLES_LIMIT
"""Of all prompts together."""
_ID_DIGITS_LIMIT: Final = 10

PromptGiven = str | list[int]
"""A prompt as a text, or as ids."""


class StreamOptions(RequestModel):
    """How a stream is to be."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class CompletionRequest(RequestModel):
    """A request of ``POST /v1/completions``, and three settings that OpenAI's API has not."""

    meanings: ClassVar = {
        "prompt": "must be a text, a list of texts, a list of ids or a list of such lists",
        "stop": ONE_OR_MORE_TEXTS,
    }

    model: str = Field(description="The name of the model, as /v1/models has it.")
    prompt: StrictStr | list[StrictStr] | list[StrictInt] | list[list[StrictInt]] | None = Field(
        None, description="A text or several, or the ids of one or of several; without, a new text."
    )
    best_of: int | None = Field(
        None, ge=1, description="Generate so many and give the n likeliest; not in a stream."
    )
    echo: bool | None = Field(None, description="Give the prompt before the continuation.")
    frequency_penalty: float | None = Field(
        None, description="Makes a token less likely each time that the text has it; from -2 to 2."
    )
    logit_bias: dict[str, float] | None = Field(
        None, description="Makes tokens likelier or less likely: from -100 to 100, by id."
    )
    logprobs: int | None = Field(
        None, ge=0, le=_LOGPROBS_LIMIT, description="Log-probabilities, and so many alternatives."
    )
    max_tokens: int | None = Field(
        None, ge=0, description="16 by default; with 0 and echo, the prompt is scored."
    )
    n: int | None = Field(None, ge=1, description="How many choices for each prompt; default 1.")
    presence_penalty: float | None = Field(
        None, description="Makes a token less likely that the text has; from -2 to 2."
    )
    seed: int | None = Field(
        None, description="The same seed gives the same choice; choice i takes seed + i."
    )
    stop: str | list[str] | None = Field(None, description="A text or texts at which to end.")
    stream: bool | None = Field(None, description="Answer with events, one a token.")
    stream_options: StreamOptions | None = Field(
        None, description="With include_usage, a stream ends with the usage."
    )
    suffix: str | None = Field(
        None, description="Refused, unless empty: the model reads from left to right."
    )
    temperature: float | None = Field(None, description="1 by default.")
    top_p: float | None = Field(
        None, description="Only the likeliest tokens that together reach this probability."
    )
    user: str | None = Field(None, description="Is taken and not looked at.")
    top_k: int | None = Field(
        None, description="Only the k likeliest tokens. (OpenAI has no such field.)"
    )
    min_p: float | None = Field(
        None,
        description="Only tokens with this share of the likeliest one's probability. (Nor this.)",
    )
    repetition_penalty: float | None = Field(
        None, description="Above 1, what prompt and text have becomes less likely. (Nor this.)"
    )

    @property
    def num_choices(self) -> int:
        """How many choices are shown for each prompt."""
        return 1 if self.n is None else self.n

    @property
    def generates(self) -> bool:
        """Whether anything is to be generated."""
        return self.max_tokens != 0

    @property
    def shows_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def prompts(self) -> list[PromptGiven]:
        """The prompts, each a text or a list of ids.

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
        most = _SAMPLES_LIMIT // max(self.best_of or self.num_choices, 1)
        if not 0 < len(prompts) <= most:
            raise SamplingError(
                "prompt",
                f"must be from 1 to {most} prompts ({_SAMPLES_LIMIT} samples in all), not "
                f"{len(prompts)}",
            )
        if any(len(each) > MAX_TEXT_CHARACTERS for each in prompts):
            raise SamplingError("prompt", f"must be shorter than {MAX_TEXT_CHARACTERS:,}")
        return prompts

    def settings(self, limits: ServerSettings) -> GenerationSettings:
        """The settings asked for.

        Raises:
            SamplingError: one is out of its range or cannot be honoured; it names the field.
        """
        self._check()
        given: dict[str, Any] = {
            "max_len": self.max_tokens or (1 if self.max_tokens == 0 else _USUAL_MAX_TOKENS),
            "num_samples": self.best_of or self.num_choices,
            "seed": None if self.seed is None else self.seed % (SEED_LIMIT // 2),
            "temperature": _USUAL_TEMPERATURE if self.temperature is None else self.temperature,
            "logit_bias": self._biases(),
            "num_alternatives": 0 if self.best_of and self.logprobs is None else self.logprobs,
        }
        for name in (
            *("frequency_penalty", "presence_penalty", "top_p", "top_k", "min_p"),
            "repetition_penalty",
        ):
            given[name] = getattr(self, name)
        given["stop"] = as_list(self.stop)
        try:
            settings = GenerationSettings(
                **{name: value for name, value in given.items() if value is not None}
            )
            require_within_limits(settings, limits)
        except SamplingError as error:
            raise SamplingError(self._param(error.field), error.message) from error
        return settings

    def _param(self, field: str) -> str:
        """OpenAI's name of one of our settings."""
        samples = "n" if self.best_of is None else "best_of"
        return {"max_len": "max_tokens", "num_samples": samples}.get(field, field)

    def _check(self) -> None:
        """Refuses what :class:`GenerationSettings` does not know of."""
        if self.suffix:
            raise SamplingError("suffix", "cannot be honoured: the model reads from left to right")
        best_of = self.best_of or self.num_choices
        if best_of < self.num_choices:
            raise SamplingError("best_of", f"must be at least n, {self.num_choices}")
        if self.stream and best_of > self.num_choices:
            raise SamplingError("best_of", "cannot be streamed: the best is known at the end")

    def _biases(self) -> dict[str | int, float]:
        biases: dict[str | int, float] = {}
        for id_, bias in (self.logit_bias or {}).items():
            if not (id_.isascii() and id_.isdigit() and len(id_) < _ID_DIGITS_LIMIT):
                raise SamplingError("logit_bias", f"must have ids for keys, not {id_!r}")
            biases[int(id_)] = bias
        return biases


class TokenizeRequest(RequestModel):
    """A text whose ids are wanted."""

    prompt: str = Field(
        max_length=MAX_TEXT_CHARACTERS,
        description="The text; a written <eos> is the end of a document.",
    )
    model: str | None = Field(None, description="The name of the model; by default the first.")
    add_special_tokens: bool | None = Field(
        None, description="Is not looked at: nothing is ever added."
    )
    return_token_strs: bool | None = Field(None, description="Give the tokens too.")


class DetokenizeRequest(RequestModel):
    """Ids whose text is wanted."""

    tokens: list[StrictInt] = Field(max_length=MAX_TEXT_CHARACTERS, description="The ids.")
    model: str | None = Field(None, description="The name of the model; by default the first.")
