"""What can be asked of the JSON API."""

from typing import Any, ClassVar, Final

from pydantic import Field

from lorelm.errors import SamplingError
from lorelm.generation.settings import GenerationSettings
from lorelm.generation.task import Task
from lorelm.server.request_model import (
    MAX_TEXT_CHARACTERS,
    ONE_OR_MORE_TEXTS,
    RequestModel,
    as_list,
)
from lorelm.server.served_model import ServedModel
from lorelm.server.settings import ServerSettings

_STREAMED_ALTERNATIVES: Final = 3


class GenerateRequest(RequestModel):
    """A prompt, and how to go on with it."""

    meanings: ClassVar = {"stop": ONE_OR_MORE_TEXTS, "banned_words": ONE_OR_MORE_TEXTS}

    prompt: str = Field(
        max_length=MAX_TEXT_CHARACTERS, description="The text to go on with; empty: a new one."
    )
    model: str | None = Field(None, description="The name of the model; by default the first.")
    max_len: int | None = Field(
        None, description="A sample ends after so many tokens; 40 by default."
    )
    min_len: int | None = Field(None, description="The model does not end it before; 1 by default.")
    temperature: float | None = Field(
        None,
        description="Below 1 sober, above 1 wild; 0 the likeliest token each time; default 0.8.",
    )
    top_k: int | None = Field(None, description="Only the k likeliest tokens; 0: all.")
    top_p: float | None = Field(
        None, description="Only the likeliest tokens that together reach this probability; 1: all."
    )
    min_p: float | None = Field(
        None, description="Only tokens with this share of the likeliest one's probability; 0: all."
    )
    repetition_penalty: float | None = Field(
        None, description="Above 1, what the prompt and the text have becomes less likely."
    )
    frequency_penalty: float | None = Field(
        None, description="Makes a token less likely each time that the text has it; from -2 to 2."
    )
    presence_penalty: float | None = Field(
        None, description="Makes a token less likely that the text has; from -2 to 2."
    )
    logit_bias: dict[str, float] | None = Field(
        None, description="Makes words likelier or less likely: a number from -100 to 100 for each."
    )
    banned_words: str | list[str] | None = Field(
        None, description="A word or words that are never written, in exactly this spelling."
    )
    seed: int | None = Field(
        None, description="The same seed gives the same text; sample i (from 0) takes seed + i."
    )
    num_samples: int | None = Field(None, description="How many continuations; 1 by default.")
    stop: str | list[str] | None = Field(
        None, description="A text or texts at which a sample ends; they are not part of it."
    )
    novel_span: int | None = Field(
        None, description="No so many tokens in a row from the training text; 0: it may copy."
    )
    num_alternatives: int | None = Field(
        None,
        description="Give each token's log-probability and that of so many of the likeliest; "
        f"{_STREAMED_ALTERNATIVES} in a stream, otherwise not given.",
    )
    stream: bool | None = Field(None, description="Answer with events, one a token.")
    timeout_seconds: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="End after so long, with what there is; the server's own limit otherwise.",
    )

    def task(self, served: ServedModel) -> Task:
        """What the model has to do.

        Raises:
            SamplingError: a setting is out of its range or cannot be honoured; it names the field.
        """
        return served.model.task(
            served.model.read_prompt(self.prompt),
            self.settings(served.settings),
            deadline=served.deadline(self.timeout_seconds),
        )

    def settings(self, limits: ServerSettings) -> GenerationSettings:
        """The settings asked for.

        Raises:
            SamplingError: one is out of its range; it names the field.
        """
        given: dict[str, Any] = self.model_dump(
            exclude={"prompt", "model", "stream", "timeout_seconds"}, exclude_none=True
        )
        for name in ("stop", "banned_words"):
            if name in given:
                given[name] = as_list(given[name])
        if self.stream:
            given.setdefault("num_alternatives", _STREAMED_ALTERNATIVES)
        settings = GenerationSettings(**given)
        require_within_limits(settings, limits)
        return settings


class ScoreRequest(RequestModel):
    """A text whose tokens are to be scored."""

    text: str = Field(
        max_length=MAX_TEXT_CHARACTERS, description="Read as the beginning of a document."
    )
    model: str | None = Field(None, description="The name of the model; by default the first.")
    num_alternatives: int | None = Field(
        None, description="How many of the likeliest tokens to give in each place; none by default."
    )
    timeout_seconds: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Give up after so long."
    )


class CheckRequest(RequestModel):
    """A text whose unknown words are to be found."""

    text: str = Field(max_length=MAX_TEXT_CHARACTERS, description="Read as a prompt is.")
    model: str | None = Field(None, description="The name of the model; by default the first.")


def require_within_limits(settings: GenerationSettings, limits: ServerSettings) -> None:
    """Refuses what is more than this server allows.

    Raises:
        SamplingError: it is; it names the field.
    """
    for field, value, limit in (
        ("max_len", settings.max_len, limits.max_tokens_limit),
        ("num_samples", settings.num_samples, limits.num_samples_limit),
    ):
        if value > limit:
            raise SamplingError(field, f"must be at most {limit} on this server, not {value}")
