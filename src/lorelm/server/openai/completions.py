"""Completions in the form of OpenAI's legacy API."""

import math
import time
import uuid
from collections import abc
from collections.abc import Iterator
from typing import Any, Final

from lorelm.errors import LoreLMError
from lorelm.generation.handle import RequestHandle
from lorelm.generation.reply import Token, prompt_tokens, tokens_of
from lorelm.generation.sequence import GenerationRequest, Sequence
from lorelm.server.errors import openai_error, status_of
from lorelm.server.events import event
from lorelm.server.openai.requests import CompletionRequest
from lorelm.server.served_model import ServedModel

_FINISH_REASONS: Final = {"eos": "stop", "stop": "stop", "length": "length", "timeout": "length"}

Json = dict[str, Any]


class Completion:
    """A completion: a request to the engine per prompt, and the answer that they make.

    Raises:
        SamplingError: a field is out of its range or not supported; it names the field.
    """

    def __init__(self, asked: CompletionRequest, served: ServedModel) -> None:
        self._asked = asked
        self._head = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": served.name,
            "system_fingerprint": served.fingerprint,
        }
        self.requests = _requests(asked, served)

    def body(self) -> Json:
        """Return the answer once all requests are finished."""
        choices = [
            _Choice(self._asked, sequence).whole()
            for request in self.requests
            for sequence in _best(request.sequences, self._asked.num_choices)
        ]
        numbered = [{"index": index} | choice for index, choice in enumerate(choices)]
        return self._head | {"choices": numbered, "usage": self._usage()}

    def events(self, handle: RequestHandle) -> Iterator[str]:
        """Yield the answer as events, one per token."""
        choices = [_Choice(self._asked, sequence) for sequence in handle.sequences]
        no_usage = {"usage": None} if self._asked.shows_usage else {}
        for updates in handle.stream():
            parts = (
                {"index": index} | choices[index].part([token] if token else [], is_end=not token)
                for index, token in updates
            )
            yield "".join(event(self._head | {"choices": [part]} | no_usage) for part in parts)
        if self._asked.shows_usage:
            yield event(self._head | {"choices": [], "usage": self._usage()})
        yield "data: [DONE]\n\n"

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


class _Choice:
    """One sample as a choice, whole or in parts."""

    def __init__(self, asked: CompletionRequest, sequence: Sequence) -> None:
        self._asked = asked
        self._sequence = sequence
        self._prompt = sequence.request.prompt
        self._shows_prompt = bool(asked.echo)
        self._offset = 0 if asked.echo else len(self._prompt.text)

    def whole(self) -> Json:
        tokens = tokens_of(self._sequence) if self._asked.generates else []
        return self.part(tokens, is_end=True)

    def part(self, tokens: abc.Sequence[Token], *, is_end: bool) -> Json:
        """Return the next tokens as a choice; with `echo`, the prompt precedes the first ones."""
        text = "".join(token.text for token in tokens)
        scores = self._scores(tokens) if self._asked.logprobs is not None else None
        if self._shows_prompt:
            self._shows_prompt = False
            text = self._prompt.text + text
        reason = _FINISH_REASONS[self._sequence.finish_reason or "length"] if is_end else None
        return {
            "text": text,
            "logprobs": scores,
            "finish_reason": reason,
            "seed": self._sequence.seed,
        }

    def _scores(self, tokens: abc.Sequence[Token]) -> Json:
        """Return log-probabilities in the columns of the legacy API."""
        offsets = []
        shown: list[Token] = []
        if self._shows_prompt:
            if self._prompt.has_eos:  # it is given, so its score is 0
                shown.append(Token(text="<eos>", log_probability=0.0))
            shown += prompt_tokens(self._sequence)
            offsets = _offsets_in(self._prompt.text, shown)
            self._offset = len(self._prompt.text)
        for token in tokens:
            offsets.append(self._offset)
            self._offset += len(token.text)
        shown += tokens
        return {
            "tokens": [token.text for token in shown],
            "token_logprobs": [token.log_probability for token in shown],
            "top_logprobs": [_top(token) for token in shown],
            "text_offset": offsets,
        }


def _requests(asked: CompletionRequest, served: ServedModel) -> list[GenerationRequest]:
    settings = asked.settings()
    deadline = served.deadline(None)
    model = served.model
    requests = []
    for given in asked.prompts():
        prompt = model.read_prompt(given) if isinstance(given, str) else model.prompt_of_ids(given)
        if asked.generates:
            score_prompt = bool(asked.echo) and asked.logprobs is not None
            request = model.request(prompt, settings, score_prompt=score_prompt, deadline=deadline)
        else:
            request = model.scoring_request(
                prompt,
                num_alternatives=asked.logprobs or 0,
                num_samples=asked.num_choices,
                deadline=deadline,
            )
        requests.append(request)
    return requests


def _best(sequences: list[Sequence], count: int) -> list[Sequence]:
    """Return the sequences with the highest mean log-probability of a token, the best first."""
    if len(sequences) <= count:
        return sequences

    def mean(sequence: Sequence) -> float:
        scores = sequence.scores
        if not scores:
            return -math.inf
        return sum(score.log_probability for score in scores) / len(scores)

    return sorted(sequences, key=mean, reverse=True)[:count]


def _offsets_in(text: str, tokens: abc.Sequence[Token]) -> list[int]:
    """Return where each token begins in a text, which may differ in white space and capitals."""
    offsets = []
    folded, place = _folded(text), 0
    for token in tokens:
        begin, whole = place, _folded(token.text)
        if not folded.startswith(whole, place):  # more white space, or none
            whole = whole.strip()
            begin = max(folded.find(whole, place), place)
        offsets.append(begin)
        place = begin + len(whole) if folded.startswith(whole, begin) else begin
    return offsets


def _folded(text: str) -> str:
    """Return a text in lower case, with each character at its old position."""
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)


def _top(token: Token) -> dict[str, float | None]:
    """Return the likeliest tokens with their log-probabilities, and the token itself."""
    top: dict[str, float | None] = {a.text: a.log_probability for a in token.alternatives}
    return top | {token.text: token.log_probability}
