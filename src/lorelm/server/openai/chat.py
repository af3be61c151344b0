"""Answers in the form of OpenAI's chat API: the next line of a scene."""

from collections import abc
from dataclasses import dataclass, replace

from lorelm.corpus.special_tokens import SOMEONE
from lorelm.generation.prompts import PromptReader
from lorelm.generation.reply import Alternative, Token, tokens_of
from lorelm.generation.sequence import GenerationRequest, Sequence
from lorelm.server.openai.answers import Answer, Choice, Json
from lorelm.server.openai.chat_requests import ChatRequest
from lorelm.server.served_model import ServedModel


class ChatCompletion(Answer[ChatRequest]):
    """The answer to a chat: the next line, or the rest of one.

    Raises:
        SamplingError: a field is out of its range or not supported; it names the field.
    """

    id_prefix = "chatcmpl"
    kind = "chat.completion"
    kind_of_parts = "chat.completion.chunk"

    def __init__(self, asked: ChatRequest, served: ServedModel) -> None:
        self._scene = _scene(asked, served.model.prompts)
        super().__init__(asked, served, [_request(asked, self._scene, served)])

    def choice(self, sequence: Sequence) -> Choice:
        return _Line(self.asked, self._scene, sequence)


@dataclass(frozen=True, kw_only=True)
class _Scene:
    """The lines that messages are.

    Attributes:
        turns: what was said before, as pairs of a speaker and a text.
        speaker: who answers; None if the model has no speakers.
        beginning: of the answer.
    """

    turns: abc.Sequence[tuple[str, str]]
    speaker: str | None
    beginning: str


def _scene(asked: ChatRequest, prompts: PromptReader) -> _Scene:
    """Find out who says what.

    A message without a name has the speaker of its role: the last name used with this role, or
    the model's most frequent speaker that no other role has.
    """
    vocabulary = prompts.vocabulary
    said = [each for each in asked.messages if each.role in ("user", "assistant")]
    names = {each.role: prompts.shown_name(each.name) for each in said if each.name}
    if asked.speaker:
        names["assistant"] = prompts.shown_name(asked.speaker)
    for role in ("assistant", "user"):
        if role not in names:
            free = (name for name in vocabulary.speaker_names if name not in names.values())
            names[role] = next(free, SOMEONE)
    beginning = ""
    if said and said[-1].role == "assistant":
        name = said[-1].name
        if not name or prompts.shown_name(name) == names["assistant"]:
            beginning = said.pop().text
    return _Scene(
        turns=[(each.name or names[each.role], each.text) for each in said],
        # Of a model without speakers, read_scene() refuses a speaker who was asked for.
        speaker=names["assistant"] if vocabulary.speakers else asked.speaker,
        beginning=beginning if beginning.strip() else "",
    )


def _request(asked: ChatRequest, scene: _Scene, served: ServedModel) -> GenerationRequest:
    settings = asked.settings()
    prompt = served.model.prompts.read_scene(
        scene.beginning, speaker=scene.speaker, turns=scene.turns
    )
    return served.model.request(prompt, settings, deadline=served.deadline(None))


class _Line(Choice):
    """One sample as a choice with a `message`; its parts have a `delta`."""

    def __init__(self, asked: ChatRequest, scene: _Scene, sequence: Sequence) -> None:
        super().__init__(sequence)
        self._shows_scores = bool(asked.logprobs)
        self._author = {"role": "assistant", "name": scene.speaker}  # the name is ours
        # A beginning is continued as it is; a line of its own needs no space before it.
        self._skips_space = not scene.beginning
        self._is_first = True

    def whole(self) -> Json:
        content, ending = self._content(tokens_of(self.sequence), is_end=True)
        return {"message": self._author | {"content": content, "refusal": None}} | ending

    def part(self, tokens: abc.Sequence[Token], *, is_end: bool) -> Json:
        content, ending = self._content(tokens, is_end=is_end)
        delta = self._author if self._is_first else {}
        if tokens or self._is_first:
            delta = delta | {"content": content}
        self._is_first = False
        return {"delta": delta} | ending

    def _content(self, tokens: abc.Sequence[Token], *, is_end: bool) -> tuple[str, Json]:
        """Return the text of the next tokens, and the fields after it."""
        if self._skips_space and tokens:
            self._skips_space = False
            tokens = [_without_space(tokens[0]), *tokens[1:]]
        scores = None
        if self._shows_scores:
            scores = {"content": [_scored(token) for token in tokens], "refusal": None}
        text = "".join(token.text for token in tokens)
        return text, {"logprobs": scores} | self.ending(is_end=is_end)


def _without_space(token: Token) -> Token:
    """Return the first token of a line as it reads there."""
    alternatives = [replace(each, text=each.text.lstrip()) for each in token.alternatives]
    return replace(token, text=token.text.lstrip(), alternatives=alternatives)


def _scored(token: Token) -> Json:
    top = [_with_bytes(each) for each in token.alternatives]
    return _with_bytes(token) | {"top_logprobs": top}


def _with_bytes(token: Token | Alternative) -> Json:
    return {
        "token": token.text,
        "bytes": list(token.text.encode()),
        "logprob": token.log_probability,
    }
