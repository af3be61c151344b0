"""What OpenAI's legacy completions API can be asked."""

from typing import Any, Final

from pydantic import Field, StrictInt, StrictStr, field_validator

from lorelm.errors import SamplingError
from lorelm.generation.settings import SEED_LIMIT, GenerationSettings
from lorelm.server.api.requests import require_within_limits
from lorelm.server.request_model import MAX_TEXT_CHARACTERS, RequestModel
from lorelm.server.settings import ServerSettings

_USUAL_MAX_TOKENS: Final = 16
_USUAL_TEMPERATURE: Final = 1.0
_LOGPROBS_LIMIT: Final = 5
_PROMPTS_LIMIT: Final = 64

PromptGiven = str | list[int]
"""A prompt as a text, or as ids."""


class StreamOptions(RequestModel):
    """How a stream is to be."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class CompletionRequest(RequestModel):
    """A request of ``POST /v1/completions``, and three settings that OpenAI's API has not.

    Attributes:
        prompt: a text or several, or the ids of one or of several; without one, a new document.
        logit_bias: by ids, as texts.
        max_tokens: with 0 nothing is generated, and with `echo` the prompt is scored.
        suffix: cannot be honoured: the model reads from left to right.
        user: is taken and not looked at.
        top_k, min_p, repetition_penalty: as in :class:`SamplingSettings`.
    """

    model: str
    prompt: StrictStr | list[StrictStr] | list[StrictInt] | list[list[StrictInt]] | None = None
    best_of: int | None = Field(None, ge=1)
    echo: bool | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: int | None = Field(None, ge=0, le=_LOGPROBS_LIMIT)
    max_tokens: int | None = Field(None, ge=0)
    n: int | None = Field(None, ge=1)
    presence_penalty: float | None = None
    seed: int | None = None
    stop: list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

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
        if not 0 < len(prompts) <= _PROMPTS_LIMIT:
            raise SamplingError(
                "prompt", f"must be from 1 to {_PROMPTS_LIMIT} prompts, not {len(prompts)}"
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
            *("repetition_penalty", "stop"),
        ):
            given[name] = getattr(self, name)
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
            if not id_.isdecimal():
                raise SamplingError("logit_bias", f"must have ids for keys, not {id_!r}")
            biases[int(id_)] = bias
        return biases


class TokenizeRequest(RequestModel):
    """A text whose ids are wanted; what else such requests hold is taken and not looked at."""

    prompt: str = Field(max_length=MAX_TEXT_CHARACTERS)
    model: str | None = None
    add_special_tokens: bool | None = None
    return_token_strs: bool | None = None


class DetokenizeRequest(RequestModel):
    """Ids whose text is wanted."""

    tokens: list[StrictInt] = Field(max_length=MAX_TEXT_CHARACTERS)
    model: str | None = None
