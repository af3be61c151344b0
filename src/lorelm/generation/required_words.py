"""Sentences that contain required words: find the places where the model would write them.

A language model that writes from left to right cannot be told what a sentence is to hold. Raising
the probability of a word until it comes puts it where it does not belong. Instead, rollouts of the
next sentence are sampled as usual, and before each of their tokens the probability of the word is
recorded. One of these places is drawn, the likelier where the word was more probable; the sample
begins with the rollout up to there and with the word, and goes on freely. That is sampling from
the sentences that contain the word, by importance resampling (Rubin 1988): such a sentence is a
beginning, the word, and a rest, and a rollout draws the beginning from the model itself.

`docs/decisions/0040-required-words.md` compares it with other ways.
"""

import re
from collections import abc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lorelm.corpus.special_tokens import NEWLINE, speaker_name
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, Vocabulary
from lorelm.errors import SamplingError
from lorelm.generation.sequence import GenerationRequest, Prompt, RequiredWord, Sequence
from lorelm.generation.settings import MAX_REQUIRED_WORDS
from lorelm.generation.word_index import WordIndex
from lorelm.runtime.mixture import log_normaliser
from lorelm.sampling import sample
from lorelm.typing import Bools, Floats, Floats32

NUM_ROLLOUTS: Final = 16
"""Rollouts of a sample for each of its words."""

MAX_ROLLOUT_LEN: Final = 40
"""Tokens of a rollout, unless its sentence ends before."""

_SEPARATOR: Final = re.compile(r"[\s,]+")
_SENTENCE_END: Final = re.compile("[.!?…。！？]+")

MakeSequence = Callable[[GenerationRequest, int], Sequence]
"""Make a sequence of a request from a seed."""

Run = Callable[[abc.Sequence[GenerationRequest]], None]
"""Generate all sequences of requests."""


def required_words(
    texts: abc.Iterable[str], banned: abc.Collection[str], prompt: Prompt, index: WordIndex
) -> list[RequiredWord]:
    """Return the words that the next sentence is to contain, with their ids.

    A text may have several, with spaces or commas between them. A word that a known one stands in
    for in the prompt has the id of that one.

    Raises:
        SamplingError: the model does not know one, or one is banned in all its cases, or there are
            too many.
    """
    words = [*dict.fromkeys(word for text in texts for word in _SEPARATOR.split(text) if word)]
    if len(words) > MAX_REQUIRED_WORDS:
        raise SamplingError(
            "must_contain", f"must be at most {MAX_REQUIRED_WORDS} words, not {len(words)}"
        )
    unknown = {token: id_ for id_, token in prompt.stand_ins.items()}
    required = [
        RequiredWord(
            text=word, ids=[unknown[word]] if word in unknown else index.required_ids(word)
        )
        for word in words
    ]
    never = {id_ for word in banned for id_ in index.banned_ids(word)}
    never |= {id_ for token, id_ in unknown.items() if token in banned}
    for word in required:
        if never.issuperset(word.ids):
            raise SamplingError(
                "must_contain",
                f"has {word.text!r}, which banned_words forbid: leave it out of one of them",
                code="setting.contradiction",
            )
    return required


class Sentences:
    """Where sentences begin and end, by the ids of a vocabulary.

    Attributes:
        is_late_V: words that no sentence begins with: those in lower case, unless all words are.
    """

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        pieces = [tokenizer.piece(token, None) for token in vocabulary.words]
        is_cue = [speaker_name(token) is not None for token in vocabulary.words]
        self._ends: Bools = np.array(
            [
                cue or token == NEWLINE or bool(_SENTENCE_END.fullmatch(piece))
                for piece, token, cue in zip(pieces, vocabulary.words, is_cue, strict=True)
            ]
        )
        self._is_word: Bools = np.array(
            [
                not cue and any(map(str.isalnum, piece))
                for piece, cue in zip(pieces, is_cue, strict=True)
            ]
        )
        is_lower = np.array([piece[:1].islower() for piece in pieces])
        is_capital = np.array([piece[:1].isupper() for piece in pieces]) & self._is_word
        self.is_late_V: Bools = is_lower & is_capital.any()

    def begins_after(self, ids: abc.Sequence[int]) -> bool:
        """Return whether the next word is the first one of a sentence."""
        for id_ in reversed(ids):
            if self._is_word[id_] or self._ends[id_]:
                return not self._is_word[id_]
        return True

    def has_ended(self, ids: abc.Sequence[int]) -> bool:
        """Return whether ids end a sentence in which there is a word."""
        return bool(ids) and bool(self._ends[ids[-1]]) and bool(self._is_word[list(ids)].any())


class PlannedTokens:
    """Write these ids first, as a logits processor."""

    def __init__(self, ids: abc.Sequence[int]) -> None:
        self._ids = ids

    def __call__(self, logits_V: Floats32, sequence: Sequence) -> Floats32:
        if sequence.num_tokens >= len(self._ids):
            return logits_V
        return _only(self._ids[sequence.num_tokens], logits_V)


class _Recorder:
    """Record how likely ids are before each token after the planned ones; end with the sentence.

    Attributes:
        logs: for each token, the log-probabilities of the ids.
    """

    def __init__(self, ids: abc.Sequence[int], num_planned: int, sentences: Sentences) -> None:
        self.logs: list[Floats] = []
        self._ids = list(ids)
        self._is_late = sentences.is_late_V[self._ids]
        self._num_planned = num_planned
        self._sentences = sentences

    def __call__(self, logits_V: Floats32, sequence: Sequence) -> Floats32:
        num_free = sequence.num_tokens - self._num_planned
        if num_free < 0:
            return logits_V
        has_ended = num_free > 0 and self._sentences.has_ended(sequence.ids)
        if has_ended or num_free == MAX_ROLLOUT_LEN:
            return _only(EOS_ID, logits_V)
        if np.isfinite(logits_V.max()):
            logs = logits_V[self._ids] - log_normaliser(logits_V[None])[0]
            if self._sentences.begins_after(sequence.token_ids):
                logs[self._is_late] = -np.inf
            self.logs.append(logs)
        return logits_V


def place_words(
    request: GenerationRequest, make_sequence: MakeSequence, run: Run, sentences: Sentences
) -> None:
    """Plan the beginnings of a request's sequences, so that they have its required words.

    Without a possible place, as where a word is also banned, a sequence stays as it is.

    Args:
        make_sequence: makes a rollout, with all that the request asks for but its words.
        run: generates the rollouts.
    """
    plans = [_Plan(sequence, request.required_words) for sequence in request.sequences]
    settings = replace(request.settings, num_alternatives=None)
    # Without chance, all rollouts would be the same.
    num_rollouts = NUM_ROLLOUTS if settings.temperature else 1
    while open_plans := [plan for plan in plans if plan.missing]:
        rollouts = replace(request, settings=settings, score_prompt=False, sequences=[])
        for plan in open_plans:
            plan.make_rollouts(rollouts, num_rollouts, make_sequence, sentences)
        run([rollouts])
        for plan in open_plans:
            plan.choose()
    for plan in plans:
        if plan.ids:
            plan.sequence.processors.append(PlannedTokens(plan.ids))


@dataclass
class _Rollout:
    sequence: Sequence
    recorder: _Recorder


class _Plan:
    """The planned beginning of a sequence.

    Attributes:
        ids: so far; each stage adds a part of a rollout, and one of the words.
        missing: the words that are still to be placed.
    """

    def __init__(self, sequence: Sequence, words: abc.Sequence[RequiredWord]) -> None:
        self.sequence = sequence
        self.ids: list[int] = []
        self.missing = list(words)
        self._stage = 0
        self._rollouts: list[_Rollout] = []

    def make_rollouts(
        self,
        request: GenerationRequest,
        count: int,
        make_sequence: MakeSequence,
        sentences: Sentences,
    ) -> None:
        """Add rollouts that begin with the plan so far to a request."""
        wanted = [id_ for word in self.missing for id_ in word.ids]
        self._rollouts = []
        for number in range(count):
            sequence = make_sequence(request, self._seed(number))
            recorder = _Recorder(wanted, len(self.ids), sentences)
            sequence.processors += [PlannedTokens(self.ids), recorder]
            self._rollouts.append(_Rollout(sequence, recorder))
            request.sequences.append(sequence)

    def choose(self) -> None:
        """Draw the next word and its place as a token is drawn: by the settings of the sample."""
        wanted = [id_ for word in self.missing for id_ in word.ids]
        places = [
            (rollout, len(self.ids) + free, logs)
            for rollout in self._rollouts
            for free, logs in enumerate(rollout.recorder.logs)
        ]
        logs_P = np.array([logs for _, _, logs in places], dtype=np.float32).ravel()
        if not np.isfinite(logs_P).any():
            self.missing = []
            return
        uniform = np.random.Generator(np.random.Philox(self._seed(NUM_ROLLOUTS))).random(1)
        [drawn] = sample(logs_P[None].copy(), [self.sequence.settings], uniforms_B=uniform)
        rollout, length, _ = places[drawn // len(wanted)]
        self.ids = [*rollout.sequence.ids[:length], wanted[drawn % len(wanted)]]
        self.missing = [word for word in self.missing if not set(word.ids).intersection(self.ids)]
        self._stage += 1

    def _seed(self, number: int) -> int:
        """Return the seed of a rollout, different from those of all samples and stages."""
        parts = np.random.SeedSequence((self.sequence.seed, self._stage, number))
        return int(parts.generate_state(1, np.uint64)[0])


def _only(id_: int, logits_V: Floats32) -> Floats32:
    """Return logits that leave one id."""
    one_V = np.full_like(logits_V, -np.inf)
    one_V[id_] = 0
    return one_V
