"""What a model answers to a prompt: :class:`Reply`, made from finished sequences."""

from collections import abc
from dataclasses import dataclass
from itertools import accumulate

from lorelm.corpus.special_tokens import OTHER_SPEAKER
from lorelm.corpus.vocabulary import EOS_ID
from lorelm.generation.detokenizer import Detokenizer
from lorelm.generation.logits import TokenScore
from lorelm.generation.no_copy import TrainingTextIndex
from lorelm.generation.sequence import FinishReason, Sequence


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """Another token that was likely in the same place.

    Attributes:
        text: as it would read in that place, with the white space before it; empty for the end of
            the document.
        log_probability: natural logarithm of the model's probability.
    """

    text: str
    log_probability: float


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token of a text, and how likely it was.

    Attributes:
        text: with the white space before it.
        log_probability: natural logarithm of the model's own probability, over its whole
            vocabulary, before temperature and every other setting; None if it was not requested.
        alternatives: the likeliest tokens in its place, the likeliest first; it may be among them.
    """

    text: str
    log_probability: float | None = None
    alternatives: abc.Sequence[Alternative] = ()


@dataclass(frozen=True, kw_only=True)
class CopiedSpan:
    """A span of at least six tokens that is copied from the training text.

    Attributes:
        start, end: the characters of the sample's text that belong to it, from 0, `end` excluded.
        num_tokens: its length, the part in the prompt included.
    """

    start: int
    end: int
    num_tokens: int


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One continuation of a prompt.

    Attributes:
        text: the continuation alone; appended to the prompt as it is, it reads on.
        finish_reason: "eos", the model ended the document; "stop", a stop text came up; "length",
            neither did within `max_len` tokens; "timeout", nor before the deadline.
        seed: gives this sample again, with the same prompt and settings.
        num_tokens: how many tokens were generated.
        tokens: those of the text with their log-probabilities; None if they were not requested.
        copied_spans: what it copies word for word from the training text; None if the model has no
            index of that text.
        missing_words: the words of `must_contain` that it does not have; None if there were none.
    """

    text: str
    finish_reason: FinishReason
    seed: int
    num_tokens: int
    tokens: abc.Sequence[Token] | None
    copied_spans: abc.Sequence[CopiedSpan] | None
    missing_words: abc.Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a model answers to a prompt.

    Attributes:
        unknown_words: words of the prompt that the model does not know and reads as `<unk>`.
        samples: the requested number of continuations.
    """

    prompt: str
    unknown_words: abc.Sequence[str]
    samples: abc.Sequence[Sample]

    @property
    def text(self) -> str:
        """The first continuation alone."""
        return self.samples[0].text


def tokens_of(sequence: Sequence) -> list[Token]:
    """Return the generated tokens up to the first stop text."""
    return [token_at(sequence, place) for place in range(sequence.detokenize())]


def token_at(sequence: Sequence, place: int) -> Token:
    """Return a generated token, with its score if it has one."""
    detokenizer = sequence.detokenizer
    chunk = detokenizer.chunks[place]
    if not sequence.scores:
        return Token(text=chunk)
    ids, at = sequence.token_ids, sequence.num_prompt_ids + place
    previous = detokenizer.words[ids[at - 1]] if place else sequence.request.prompt.last_token
    return _scored_token(chunk, sequence.scores[place], previous, detokenizer, ids[at])


def prompt_tokens(sequence: Sequence) -> list[Token]:
    """Return the tokens of a prompt that a sequence has read and scored.

    A prompt that is read without an `<eos>` in front has no score for its first token.
    """
    detokenizer = sequence.detokenizer
    tokens = sequence.request.prompt.tokens
    num_unscored = len(tokens) - len(sequence.prompt_scores)
    scores = [*[None] * num_unscored, *sequence.prompt_scores]
    shown, previous = [], None
    ids = sequence.request.prompt.ids.tolist()
    for token, id_, score in zip(tokens, ids, scores, strict=True):
        text = detokenizer.tokenizer.piece(token, previous)
        shown.append(
            _scored_token(text, score, previous, detokenizer, id_) if score else Token(text=text)
        )
        previous = token
    return shown


def _scored_token(
    text: str, score: TokenScore, previous: str | None, detokenizer: Detokenizer, own_id: int
) -> Token:
    """Return a token with its alternatives; `<other speaker>` has a name where it was picked."""
    words, tokenizer = detokenizer.words, detokenizer.tokenizer

    def shown(id_: int) -> str:
        if words[id_] == OTHER_SPEAKER:
            return text
        return "" if id_ == EOS_ID else tokenizer.piece(words[id_], previous)

    alternatives = [
        Alternative(text=shown(id_), log_probability=log_probability)
        for id_, log_probability in zip(score.ids, score.log_probabilities, strict=True)
        if words[id_] != OTHER_SPEAKER or id_ == own_id
    ]
    return Token(text=text, log_probability=score.log_probability, alternatives=alternatives)


def copied_spans(sequence: Sequence, index: TrainingTextIndex) -> list[CopiedSpan]:
    """Find where the text of a sample is copied from the training text."""
    prompt_tokens = sequence.request.prompt.tokens
    spans = index.copied_spans(prompt_tokens, sequence.ids)
    chunks = sequence.detokenizer.chunks
    text = sequence.text()
    ends = [0, *accumulate(len(chunk) for chunk in chunks)]
    copied = []
    for span in spans:
        # A stop text may have cut the text short of the tokens.
        first, last = (
            min(max(place - len(prompt_tokens), 0), len(chunks))
            for place in (span.start, span.start + span.length)
        )
        start, end = ends[first], ends[last]
        start += len(text[start:end]) - len(text[start:end].lstrip())
        if start < end:
            copied.append(CopiedSpan(start=start, end=end, num_tokens=span.length))
    return copied
