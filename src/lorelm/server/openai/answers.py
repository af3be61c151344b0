"""Answers in the form of OpenAI's APIs, whole or as a stream: :class:`Answer`."""

import time
import uuid
from abc import ABC, abstractmethod
from collections import abc
from collections.abc import Iterator
from typing import Any, ClassVar, Final, Generic, TypeVar

from lorelm.errors import LoreLMError
from lorelm.generation.handle import RequestHandle
from lorelm.generation.reply import Token
from lorelm.generation.sequence import GenerationRequest, Sequence
from lorelm.server.errors import openai_error, status_of
from lorelm.server.events import event
from lorelm.server.openai.requests import OpenAIRequest
from lorelm.server.served_model import ServedModel

_DONE: Final = "data: [DONE]\n\n"

_FINISH_REASONS: Final = {"eos": "stop", "stop": "stop", "length": "length", "timeout": "length"}

Json = dict[str, Any]

Asked = TypeVar("Asked", bound=OpenAIRequest)


class Choice(ABC):
    """One sample as a choice, whole or in parts."""

    def __init__(self, sequence: Sequence) -> None:
        self.sequence = sequence

    @abstractmethod
    def whole(self) -> Json:
        """Return the choice once the sample is finished."""

    @abstractmethod
    def part(self, tokens: abc.Sequence[Token], *, is_end: bool) -> Json:
        """Return the next tokens as a choice."""

    def ending(self, *, is_end: bool) -> Json:
        """Return the fields that all choices have; `seed` and `missing_words` are ours."""
        sequence = self.sequence
        reason = _FINISH_REASONS[sequence.finish_reason or "length"] if is_end else None
        ending: Json = {"finish_reason": reason, "seed": sequence.seed}
        if is_end and sequence.request.required_words:
            ending["missing_words"] = sequence.missing_words
        return ending


class Answer(ABC, Generic[Asked]):
    """Requests to the engine, and the answer that they make."""

    id_prefix: ClassVar[str]
    kind: ClassVar[str]
    kind_of_parts: ClassVar[str]

    def __init__(
        self,
        asked: Asked,
        served: ServedModel,
        requests: abc.Sequence[GenerationRequest],
    ) -> None:
        self.asked = asked
        self._head = {
            "id": f"{self.id_prefix}-{uuid.uuid4().hex}",
            "object": self.kind,
            "created": int(time.time()),
            "model": served.name,
            "system_fingerprint": served.fingerprint,
        }
        self.requests = requests

    @abstractmethod
    def choice(self, sequence: Sequence) -> Choice:
        """Return the choice that a sequence makes."""

    def chosen(self, request: GenerationRequest) -> list[Sequence]:
        """Return the sequences of a request that are answered, in their order."""
        return request.sequences

    def body(self) -> Json:
        """Return the answer once all requests are finished."""
        choices = [
            self.choice(sequence).whole()
            for request in self.requests
            for sequence in self.chosen(request)
        ]
        numbered = [{"index": index} | choice for index, choice in enumerate(choices)]
        return self._head | {"choices": numbered, "usage": self._usage()}

    def events(self, handle: RequestHandle) -> Iterator[str]:
        """Yield the answer as events: the next tokens of a choice, or its end."""
        choices = [self.choice(sequence) for sequence in handle.sequences]
        head = self._head | {"object": self.kind_of_parts}
        no_usage = {"usage": None} if self.asked.shows_usage else {}
        for updates in handle.stream():
            parts = (
                {"index": index} | choices[index].part(tokens, is_end=not tokens)
                for index, tokens in updates
            )
            yield "".join(event(head | {"choices": [part]} | no_usage) for part in parts)
        if self.asked.shows_usage:
            yield event(head | {"choices": [], "usage": self._usage()})
        yield _DONE

    def _usage(self) -> Json:
        num_prompt = num_generated = 0
        for request in self.requests:
            num_prompt += len(request.prompt.tokens) + request.prompt.has_eos
            num_generated += sum(sequence.num_tokens for sequence in request.sequences)
        return {
            "prompt_tokens": num_prompt,
            "completion_tokens": num_generated,
            "total_tokens": num_prompt + num_generated,
        }


def error_event(error: LoreLMError) -> str:
    """Return the event that ends a failed stream."""
    return event(openai_error(str(error), status=status_of(error), param=None))
