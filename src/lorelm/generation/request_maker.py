"""Requests to the generator or an engine, made from prompts and settings: :class:`RequestMaker`."""

import math
from collections import abc
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final, Self

from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, Vocabulary
from lorelm.errors import SamplingError
from lorelm.generation.blend import Blend, Blended, map_words, share_of
from lorelm.generation.detokenizer import Detokenizer, Words
from lorelm.generation.logits import LogitBias, LogitsProcessor, Mixture, Penalties, SpeakerRules
from lorelm.generation.memory import MemoryWords
from lorelm.generation.no_copy import NoCopyProcessor, TrainingTextIndex
from lorelm.generation.prompts import PromptReader, turn_ends
from lorelm.generation.reply import Reply, Sample, copied_spans, tokens_of
from lorelm.generation.required_words import (
    MakeSequence,
    Run,
    Sentences,
    place_words,
    required_words,
)
from lorelm.generation.sequence import GenerationRequest, Prompt, RequiredWord, Sequence
from lorelm.generation.settings import GenerationSettings
from lorelm.generation.stand_ins import StandIns, WordsToShow
from lorelm.generation.word_index import WordIndex
from lorelm.runtime.base import Runtime
from lorelm.runtime.blend import PairRuntime, WordMap
from lorelm.runtime.neural_cache import CachedRuntime


@dataclass(frozen=True, kw_only=True)
class _Partner:
    """The second model of a blend."""

    name: str
    model: "RequestMaker"
    words: WordMap


class RequestMaker:
    """A runtime with the tokenizer and the vocabulary of its model.

    Args:
        index: of the training text, to find or forbid copies.
        mixture: with an n-gram model.
        reads_eos_first: prompts are read after an `<eos>`, as beginnings of documents; models that
            were trained elsewhere may read only an empty prompt so.
        never_written: words that are never generated.

    Attributes:
        has_stand_ins: unknown words of a prompt are read as known ones (see `stand_ins.py`).
    """

    def __init__(
        self,
        runtime: Runtime,
        tokenizer: Tokenizer,
        vocabulary: Vocabulary,
        *,
        index: TrainingTextIndex | None = None,
        mixture: Mixture | None = None,
        reads_eos_first: bool = True,
        never_written: abc.Sequence[str] = (),
    ) -> None:
        self.runtime = self._network = runtime
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary
        self._index = index
        self._mixture = mixture
        self._partner: _Partner | None = None
        self.has_stand_ins = True
        self._stand_ins: Final = StandIns(tokenizer, vocabulary)
        self.prompts: Final = PromptReader(tokenizer, vocabulary)
        self._reads_eos_first = reads_eos_first
        self._never_written = LogitBias.ban(never_written, vocabulary) if never_written else None
        self._speaker_rules = SpeakerRules(vocabulary) if vocabulary.speakers else None

    @property
    def is_mixed(self) -> bool:
        """Whether the network is mixed with an n-gram model."""
        partner = self._partner.model if self._partner is not None else None
        return self._mixture is not None or (partner is not None and partner.is_mixed)

    @property
    def can_forbid_copies(self) -> bool:
        """Whether it has the index of the training text that `novel_span` needs."""
        return self._index is not None

    def blended_with(self, other: "RequestMaker", *, name: str) -> Self:
        """Return this model, to be blended with another one.

        Texts are read and written in the words of this one. What a request blends is the setting
        `blend`.

        Args:
            name: of the other model.

        Raises:
            SamplingError: their words do not correspond, or one of them has a neural cache.
        """
        if any(isinstance(each.runtime, CachedRuntime) for each in (self, other)):
            raise SamplingError(
                "blend",
                "is not possible with a neural cache: leave out cache",
                code="setting.blend",
            )
        other_words = other.tokenizer, other.vocabulary
        words = map_words(self.tokenizer, self.vocabulary, other_words, name=name)
        blended = copy(self)
        blended.runtime = PairRuntime(self.runtime, other.runtime, words)
        blended._partner = _Partner(name=name, model=other, words=words)
        return blended

    def _blend(self, settings: GenerationSettings) -> Blend:
        assert self._partner is not None
        share = share_of(settings.blend, self._partner.name)
        partner = self._partner.model
        return Blend(self._partner.words, share, self._mixture, partner._mixture)

    def reply(self, request: GenerationRequest) -> Reply:
        """Return the reply that the finished sequences of a request make."""
        return Reply(
            prompt=request.prompt.text,
            unknown_words=request.prompt.unknown_words,
            samples=[self.sample(sequence) for sequence in request.sequences],
        )

    def sample(self, sequence: Sequence, *, has_tokens: bool = True) -> Sample:
        """Return the sample that a finished sequence makes.

        Args:
            has_tokens: with its tokens, if they were scored.
        """
        assert sequence.finish_reason is not None
        is_scored = has_tokens and sequence.settings.num_alternatives is not None
        return Sample(
            text=sequence.text(),
            finish_reason=sequence.finish_reason,
            seed=sequence.seed,
            num_tokens=sequence.num_tokens,
            missing_words=sequence.missing_words if sequence.request.required_words else None,
            tokens=tokens_of(sequence) if is_scored else None,
            copied_spans=copied_spans(sequence, self._index) if self._index else None,
        )

    def request(
        self,
        prompt: Prompt,
        settings: GenerationSettings,
        *,
        score_prompt: bool = False,
        deadline: float = math.inf,
    ) -> GenerationRequest:
        """Make a request with a sequence for each sample.

        Args:
            score_prompt: score the tokens of the prompt too.
            deadline: on the clock `time.monotonic`; the samples end there.

        Raises:
            SamplingError: copies are to be forbidden without an index of the training text, or a
                word that is to be made likelier is unknown.
        """
        if settings.blend and self._partner is None:
            raise SamplingError("blend", "needs a second model", code="setting.blend")
        memory = self.prompts.memory_tokens(settings.memory)
        if self.has_stand_ins and (prompt.unknown_words or memory):
            prompt = self._stand_ins.fill(prompt, self._network, memory=memory)
        if settings.banned_words:
            prompt = self._without_banned_speakers(prompt, settings.banned_words)
        line_ends = turn_ends(self.vocabulary, prompt) if settings.single_turn else ()
        request = GenerationRequest(
            prompt=prompt,
            settings=settings,
            stop=(*settings.stop, *line_ends),
            required_words=self._required_words(prompt, settings),
            score_prompt=score_prompt,
            deadline=deadline,
        )
        make_sequence = self._sequence_maker(prompt, settings)
        request.sequences = [make_sequence(request, seed) for seed in settings.seeds()]
        return request

    def scoring_request(
        self,
        prompt: Prompt,
        *,
        num_alternatives: int,
        num_samples: int = 1,
        blend: Blended | None = None,
        deadline: float = math.inf,
    ) -> GenerationRequest:
        """Make a request that only reads a prompt, after an `<eos>`, and scores its tokens."""
        request = GenerationRequest(
            prompt=prompt,
            settings=GenerationSettings(num_alternatives=num_alternatives, blend=blend or {}),
            only_reads=True,
            score_prompt=True,
            deadline=deadline,
        )
        words = self.vocabulary.words
        request.sequences = [
            self._sequence(request, 0, words=words, processors=()) for _ in range(num_samples)
        ]
        return request

    def prepare(self, request: GenerationRequest, run: Run) -> None:
        """Do what a request needs before its sequences are generated: place its required words.

        Args:
            run: generates the sequences of further requests.
        """
        if request.required_words:
            make_sequence = self._sequence_maker(request.prompt, request.settings)
            place_words(request, make_sequence, run, self._sentences)

    def _sequence_maker(self, prompt: Prompt, settings: GenerationSettings) -> MakeSequence:
        """Return what makes a sequence from a request with this prompt, and a seed."""
        processors = self._processors(prompt, settings)
        return partial(self._sequence, words=self._words(prompt), processors=processors)

    @cached_property
    def word_index(self) -> WordIndex:
        """Known words by their spelling."""
        return WordIndex(self.tokenizer, self.vocabulary)

    @cached_property
    def _memory_words(self) -> MemoryWords:
        return MemoryWords(self.tokenizer, self.vocabulary, self._network)

    @cached_property
    def _sentences(self) -> Sentences:
        return Sentences(self.tokenizer, self.vocabulary)

    def _sequence(
        self,
        request: GenerationRequest,
        seed: int,
        *,
        words: Words,
        processors: abc.Sequence[LogitsProcessor],
    ) -> Sequence:
        prompt, settings = request.prompt, request.settings
        ids = prompt.ids.tolist()
        if settings.has_penalties:  # They count the tokens of one sequence.
            processors = [*processors, Penalties(settings, ids, len(self.vocabulary))]
        reads_eos = self._reads_eos_first or prompt.has_eos or request.only_reads or not ids
        return Sequence(
            request,
            [EOS_ID, *ids] if reads_eos else ids,
            seed=seed,
            detokenizer=Detokenizer(
                self.tokenizer,
                words,
                prompt=prompt.text,
                last_token=prompt.last_token,
                other_speakers=prompt.other_speakers,
                stop=request.stop,
            ),
            mixture=self._blend(settings) if self._partner is not None else self._mixture,
            speaker_rules=self._speaker_rules,
            processors=processors,
        )

    def _without_banned_speakers(self, prompt: Prompt, banned: abc.Sequence[str]) -> Prompt:
        """Return a prompt whose unknown speakers are named again only if they are not banned."""
        tokens = prompt.other_speakers
        kept = [token for token in tokens if self.tokenizer.piece(token, None) not in banned]
        return replace(prompt, other_speakers=kept)

    def _required_words(self, prompt: Prompt, settings: GenerationSettings) -> list[RequiredWord]:
        if not settings.must_contain:
            return []
        asked, banned = settings.must_contain, settings.banned_words
        return required_words(asked, banned, prompt, self.word_index)

    def _words(self, prompt: Prompt) -> Words:
        """Return the words by id, with those that others stand in for."""
        words = self.vocabulary.words
        return WordsToShow(words, prompt.stand_ins) if prompt.stand_ins else words

    def _processors(self, prompt: Prompt, settings: GenerationSettings) -> list[LogitsProcessor]:
        """Return the processors that all sequences of a request share, in their order."""
        processors: list[LogitsProcessor] = []
        if settings.novel_span:
            if self._index is None:
                raise SamplingError(
                    "novel_span",
                    "needs an index of the training text, which this model does not carry (what "
                    "lorelm train makes does)",
                    code="setting.no_copy_index",
                )
            processors.append(
                NoCopyProcessor(self._index, prompt.tokens, novel_span=settings.novel_span)
            )
        if settings.memory:
            tokens = self.prompts.memory_tokens(settings.memory)
            processors.append(self._memory_words.bias(tokens, prompt))
        if settings.logit_bias or settings.banned_words:
            processors.append(
                self.word_index.logit_bias(
                    settings.logit_bias, settings.banned_words, stand_ins=prompt.stand_ins
                )
            )
        if self._never_written is not None:
            processors.append(self._never_written)
        return processors
