"""Completions in the form of OpenAI's legacy API."""

import math
from collections import abc

from lorelm.generation.reply import Token, prompt_tokens, tokens_of
from lorelm.generation.sequence import GenerationRequest, Sequence
from lorelm.server.openai.answers import Answer, Choice, Json
from lorelm.server.openai.requests import CompletionRequest
from lorelm.server.served_model import ServedModel


class Completion(Answer[CompletionRequest]):
    """A completion: a request to the engine per prompt, and the answer that they make.

    Raises:
        SamplingError: a field is out of its range or not supported; it names the field.
    """

    id_prefix = "cmpl"
    kind = kind_of_parts = "text_completion"

    def __init__(self, asked: CompletionRequest, served: ServedModel) -> None:
        super().__init__(asked, served, _requests(asked, served))

    def choice(self, sequence: Sequence) -> Choice:
        return _TextChoice(self.asked, sequence)

    def chosen(self, request: GenerationRequest) -> list[Sequence]:
        return _best(request.sequences, self.asked.num_choices)


class _TextChoice(Choice):
    """One sample as a choice with `text`."""

    def __init__(self, asked: CompletionRequest, sequence: Sequence) -> None:
        super().__init__(sequence)
        self._asked = asked
        self._prompt = sequence.request.prompt
        self._shows_prompt = bool(asked.echo)
        self._offset = 0 if asked.echo else len(self._prompt.text)

    def whole(self) -> Json:
        tokens = tokens_of(self.sequence) if self._asked.generates else []
        return self.part(tokens, is_end=True)

    def part(self, tokens: abc.Sequence[Token], *, is_end: bool) -> Json:
        # With `echo`, the prompt precedes the first tokens.
        text = "".join(token.text for token in tokens)
        scores = self._scores(tokens) if self._asked.logprobs is not None else None
        if self._shows_prompt:
            self._shows_prompt = False
            text = self._prompt.text + text
        return {"text": text, "logprobs": scores} | self.ending(is_end=is_end)

    def _scores(self, tokens: abc.Sequence[Token]) -> Json:
        """Return log-probabilities in the columns of the legacy API."""
        offsets = []
        shown: list[Token] = []
        if self._shows_prompt:
            if self._prompt.has_eos:  # it is given, so its score is 0
                shown.append(Token(text="<eos>", log_probability=0.0))
            shown += prompt_tokens(self.sequence)
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
        prompt = (
            model.prompts.read(given) if isinstance(given, str) else model.prompts.of_ids(given)
        )
        if asked.generates:
            score_prompt = bool(asked.echo) and asked.logprobs is not None
            request = model.request(prompt, settings, score_prompt=score_prompt, deadline=deadline)
        else:
            request = model.scoring_request(
                prompt,
                num_alternatives=asked.logprobs or 0,
                num_samples=asked.num_choices,
                blend=settings.blend,
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
