"""Request bodies of OpenAI's chat completions API."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, StrictStr

from lorelm.errors import Problem
from lorelm.server.openai.requests import OpenAIRequest, openai_parameters
from lorelm.server.request_model import (
    MAX_TEXT_CHARACTERS,
    MAX_TURNS,
    RequestModel,
    SpeakerName,
    check_turns,
    with_parameters,
)

_TOP_LOGPROBS_LIMIT: Final = 20
_MAX_LEN: Final = 200

_ONLY_TEXT: Final = "is not supported: the model reads and writes text alone"

_REFUSED: Final = (
    *("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"),
    *("modalities", "audio", "prediction", "web_search_options", "reasoning_effort"),
)
_REFUSED_IN_MESSAGES: Final = ("tool_calls", "function_call", "tool_call_id", "audio", "refusal")


class TextPart(RequestModel):
    """A part of a message."""

    type: Literal["text"]
    text: StrictStr


class Message(RequestModel):
    """A line that was said before."""

    role: Literal["developer", "system", "user", "assistant"] = Field(
        description="Messages of system and developer are not read."
    )
    content: StrictStr | list[TextPart] = Field(description="A text, or parts of a text.")
    name: SpeakerName = Field(None, description="Who speaks; by default the speaker of the role.")

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


def _checked(messages: list[Message]) -> list[Message]:
    check_turns([message.text for message in messages])
    return messages


_parameters = openai_parameters(
    max_len={"default": _MAX_LEN},
    single_turn={"default": True},
)


@with_parameters(_parameters | {"max_completion_tokens": _parameters["max_tokens"]})
class ChatRequest(OpenAIRequest):
    """A request of ``POST /v1/chat/completions``."""

    meanings: ClassVar = {
        "messages": "must be a list of at least one message with role and content",
        "messages.role": "must be developer, system, user or assistant",
        "messages.content": "must be a text, or a list of parts of the type text",
        "response_format": 'must be {"type": "text"}: the model cannot keep to another format',
        **dict.fromkeys(_REFUSED, _ONLY_TEXT),
        **{f"messages.{name}": _ONLY_TEXT for name in _REFUSED_IN_MESSAGES},
    }

    messages: Annotated[list[Message], Field(min_length=1), AfterValidator(_checked)] = Field(
        description=f"What was said before, at most {MAX_TURNS} messages of "
        f"{MAX_TEXT_CHARACTERS:,} characters in all. A last one of the assistant is continued."
    )
    speaker: SpeakerName = Field(
        None,
        description="Who answers. By default the last name of an assistant's message, or the "
        "model's most frequent speaker.",
    )
    logprobs: bool | None = Field(None, description="Return log-probabilities.")
    top_logprobs: int | None = Field(
        None,
        ge=0,
        le=_TOP_LOGPROBS_LIMIT,
        description="With logprobs, return this many alternatives of each token.",
    )
    response_format: dict[Literal["type"], Literal["text"]] | None = Field(
        None, description="Text is the only format."
    )

    # Made by with_parameters; declared for the code below.
    max_tokens: int | None = None
    max_completion_tokens: int | None = None

    def further_settings(self) -> dict[str, Any]:
        return {"num_alternatives": (self.top_logprobs or 0) if self.logprobs else None}

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.top_logprobs is not None and not self.logprobs:
            yield Problem("top_logprobs", "needs logprobs, which is not true")
        limits = {self.max_tokens, self.max_completion_tokens} - {None}
        if len(limits) > 1:
            yield Problem("max_tokens", "is the old name of max_completion_tokens: give only one")
