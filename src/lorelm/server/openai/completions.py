"""Completions in the form of OpenAI's legacy API."""

import math
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final

from lorelm.errors import LoreLMError
from lorelm.generation.draft import Draft
from lorelm.generation.generation import Generation, StreamedToken, Update
from lorelm.generation.reply import Token
from lorelm.generation.task import Task
from lorelm.generation.wording import Wording
from lorelm.server.errors import openai_error, status_of
from lorelm.server.events import event
from lorelm.server.openai.requests import CompletionRequest
from lorelm.server.served_model import ServedModel

_DONE: Final = "data: [DONE]\n\n"

_FINISH_REASONS: Final = {"eos": "stop", "stop": "stop", "length": "length", "timeout": "length"}

Json = dict[str, Any]


class Completion:
    """A request, its tasks (one a prompt), and the answer that they make.

    Raises:
        SamplingError: a field is out of its range or cannot be honoured; it names the field.
    """

    def __init__(self, asked: CompletionRequest, served: ServedModel) -> None:
        self._asked = asked
        self._wording = served.model.wording
        self._head = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": served.name,
            "system_fingerprint": served.fingerprint,
        }
        self.tasks = _tasks(asked, served)

    def body(self) -> Json:
        """The answer, when all tasks are done."""
        choices = [
            _Choice(self._asked, self._wording, task, draft).whole()
            for task in self.tasks
            for draft in _best(task.drafts, self._asked.num_choices)
        ]
        numbered = [{"index": index} | choice for index, choice in enumerate(choices)]
        return self._head | {"choices": numbered, "usage": self._usage()}

    def events(self, generation: Generation) -> Iterator[str]:
        """The answer as events, one a token."""
        choices = [
            _Choice(self._asked, self._wording, task, draft)
            for task in self.tasks
            for draft in task.drafts
        ]
        no_usage = {"usage": None} if self._asked.shows_usage else {}
        for updates in generation.stream():
            parts = ({"index": u.place} | choices[u.place].part(u) for u in updates)
            yield "".join(event(self._head | {"choices": [part]} | no_usage) for part in parts)
        if self._asked.shows_usage:
            yield event(self._head | {"choices": [], "usage": self._usage()})
        yield _DONE

    def _usage(self) -> Json:
        num_prompt = sum(len(task.prompt.tokens) + task.prompt.has_eos for task in self.tasks)
        num_generated = sum(len(draft.ids) for task in self.tasks for draft in task.drafts)
        return {
            "prompt_tokens": num_prompt,
            "completion_tokens": num_generated,
            "total_tokens": num_prompt + num_generated,
        }


def error_event(error: LoreLMError) -> str:
    """What ends a stream that went wrong."""
    return event(openai_error(str(error), status=status_of(error), param=None))


class _Choice:
    """One sample as a choice, whole or in parts."""

    def __init__(
        self, asked: CompletionRequest, wording: Wording, task: Task, draft: Draft
    ) -> None:
        self._asked = asked
        self._wording = wording
        self._task = task
        self._draft = draft
        self._shows_prompt = bool(asked.echo)
        self._offset = 0 if asked.echo else len(task.prompt.text)

    def whole(self) -> Json:
        tokens = self._wording.tokens(self._task, self._draft) if self._asked.generates else []
        return self._json(tokens, is_end=True)

    def part(self, update: Update) -> Json:
        tokens = [update.token] if isinstance(update, StreamedToken) else []
        return self._json(tokens, is_end=not tokens)

    def _json(self, tokens: Sequence[Token], *, is_end: bool) -> Json:
        """The next tokens of the choice, the prompt before the first ones if it is to be seen."""
        text = "".join(token.text for token in tokens)
        scores = self._scores(tokens) if self._asked.logprobs is not None else None
        if self._shows_prompt:
            self._shows_prompt = False
            text = self._task.prompt.text + text
        reason = _FINISH_REASONS[self._draft.finish_reason or "length"] if is_end else None
        return {
            "text": text,
            "logprobs": scores,
            "finish_reason": reason,
            "seed": self._draft.seed,
        }

    def _scores(self, tokens: Sequence[Token]) -> Json:
        """The log-probabilities in the columns of the legacy API."""
        offsets = []
        shown: list[Token] = []
        if self._shows_prompt:
            shown = _prompt_tokens(self._wording, self._task, self._draft)
            offsets = _offsets_in(self._task.prompt.text, shown)
            self._offset = len(self._task.prompt.text)
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


def _tasks(asked: CompletionRequest, served: ServedModel) -> list[Task]:
    settings = asked.settings()
    deadline = served.deadline(None)
    model = served.model
    tasks = []
    for given in asked.prompts():
        prompt = model.read_prompt(given) if isinstance(given, str) else model.prompt_of_ids(given)
        if asked.generates:
            scores_prompt = bool(asked.echo) and asked.logprobs is not None
            tasks.append(
                model.task(prompt, settings, scores_prompt=scores_prompt, deadline=deadline)
            )
        else:
            num_alternatives = asked.logprobs or 0
            tasks.append(
                model.scoring_task(
                    prompt,
                    num_alternatives=num_alternatives,
                    num_samples=asked.num_choices,
                    deadline=deadline,
                )
            )
    return tasks


def _best(drafts: Sequence[Draft], count: int) -> Sequence[Draft]:
    """The drafts with the highest mean log-probability of a token, the best first."""
    if len(drafts) <= count:
        return drafts

    def mean(draft: Draft) -> float:
        if not draft.scores:
            return -math.inf
        return sum(score.log_probability for score in draft.scores) / len(draft.scores)

    return sorted(drafts, key=mean, reverse=True)[:count]


def _prompt_tokens(wording: Wording, task: Task, draft: Draft) -> list[Token]:
    """The tokens of a prompt; an `<eos>` in front is given, not foretold."""
    given = [Token(text="<eos>", log_probability=0.0)] if task.prompt.has_eos else []
    return [*given, *wording.prompt_tokens(task, draft)]


def _offsets_in(text: str, tokens: Sequence[Token]) -> list[int]:
    """Where each token of a text begins in it, which may have more white space and capitals."""
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
    """In small letters, each character where it was."""
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)


def _top(token: Token) -> dict[str, float | None]:
    """The likeliest tokens, the one that stands there among them."""
    top: dict[str, float | None] = {a.text: a.log_probability for a in token.alternatives}
    return top | {token.text: token.log_probability}
