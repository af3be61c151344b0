"""A trained model with its tokenizer and vocabulary: text in, text out."""

import math
from collections import abc
from functools import cached_property
from pathlib import Path
from typing import Final, Self, Unpack

from lorelm.bundle import Bundle
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, Vocabulary
from lorelm.errors import SamplingError
from lorelm.generation.detokenizer import Detokenizer
from lorelm.generation.engine.engine import Engine
from lorelm.generation.generator import generate, stream
from lorelm.generation.handle import RequestHandle
from lorelm.generation.logits import LogitBias, LogitsProcessor, Mixture, Penalties, SpeakerRules
from lorelm.generation.no_copy import NoCopyProcessor, TrainingTextIndex
from lorelm.generation.prompts import PromptReader, TurnGiven, turn_ends
from lorelm.generation.reply import Reply, Sample, Token, copied_spans, prompt_tokens, tokens_of
from lorelm.generation.sequence import GenerationRequest, Prompt, Sequence
from lorelm.generation.settings import GenerationSettings
from lorelm.generation.stand_ins import StandIns
from lorelm.generation.word_index import WordIndex
from lorelm.keywords import GenerationKeywords
from lorelm.runtime.base import Runtime
from lorelm.runtime.step_graph import Precision


class LanguageModel:
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
        self.runtime = runtime
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary
        self._index = index
        self._mixture = mixture
        self.has_stand_ins = True
        self._stand_ins: Final = StandIns(tokenizer, vocabulary)
        self.prompts: Final = PromptReader(tokenizer, vocabulary)
        self._reads_eos_first = reads_eos_first
        self._never_written = LogitBias.ban(never_written, vocabulary) if never_written else None
        self._speaker_rules = SpeakerRules(vocabulary) if vocabulary.speakers else None

    @classmethod
    def of_bundle(
        cls,
        bundle: Bundle | str | Path,
        *,
        precision: Precision | None = None,
        num_threads: int = 1,
        mixture: bool | None = None,
        cache: bool = False,
    ) -> Self:
        """Load the model of a bundle, with all that the bundle carries.

        Args:
            bundle: or its path, or "english".
            precision: None takes that of the manifest.
            mixture: mix it with the n-gram model of the bundle; None does where that alone
                predicts better than the network, as the manifest says.
            cache: give it the neural cache that was tuned for it.

        Raises:
            BundleError: it is missing or damaged, or lacks this precision, the n-gram model or the
                cache.
        """
        if not isinstance(bundle, Bundle):
            bundle = Bundle.load(bundle)
        tokenizer, vocabulary, copies = bundle.tokenizer, bundle.vocabulary, bundle.copies()
        model = cls(
            bundle.runtime(precision, num_threads=num_threads, cache=cache),
            tokenizer,
            vocabulary,
            index=None if copies is None else TrainingTextIndex(copies, tokenizer, vocabulary),
            mixture=Mixture(*bundle.ngram(cache=cache)) if bundle.is_mixed(mixture) else None,
            reads_eos_first=bundle.manifest.reads_eos_first,
            never_written=bundle.manifest.never_written,
        )
        # An imported model writes what it wrote where it comes from.
        model.has_stand_ins = bundle.manifest.imported is None
        return model

    @property
    def is_mixed(self) -> bool:
        """Whether the network is mixed with an n-gram model."""
        return self._mixture is not None

    @property
    def can_forbid_copies(self) -> bool:
        """Whether it has the index of the training text that `novel_span` needs."""
        return self._index is not None

    def generate(
        self,
        prompt: str = "",
        *,
        speaker: str | None = None,
        turns: abc.Sequence[TurnGiven] = (),
        **settings: Unpack[GenerationKeywords],
    ) -> Reply:
        """Continue a prompt; an empty one begins a new document.

        Args:
            speaker: who speaks: the prompt is the beginning of this speaker's line, and the sample
                the rest of it. With ``single_turn=False`` others go on.
            turns: what was said before: pairs of a speaker and a text.
            settings: those of :class:`~lorelm.generation.settings.GenerationSettings`.

        Raises:
            SamplingError: a setting is unknown or out of its range, or the prompt is not a text.
        """
        request = self._checked_request(prompt, settings, speaker, turns)
        if len(request.sequences) > 1:
            self._generate_together([request])
        else:
            generate(self.runtime, request.sequences[0])
        return self.reply(request)

    def stream(
        self,
        prompt: str = "",
        *,
        speaker: str | None = None,
        turns: abc.Sequence[TurnGiven] = (),
        **settings: Unpack[GenerationKeywords],
    ) -> abc.Iterator[str]:
        """Continue a prompt, and yield the text of :meth:`generate` in chunks as it is written.

        Raises:
            SamplingError: see :meth:`generate`, and if more than one sample is requested.
        """
        sequence, *others = self._checked_request(prompt, settings, speaker, turns).sequences
        if others:
            raise SamplingError("num_samples", "must be 1 in a stream", code="setting.stream")
        return stream(self.runtime, sequence)

    def generate_many(
        self, prompts: abc.Iterable[str], **settings: Unpack[GenerationKeywords]
    ) -> list[Reply]:
        """Continue many prompts together, each with the text that :meth:`generate` gives it.

        Raises:
            SamplingError: see :meth:`generate`; also if `prompts` is a single text.
        """
        if isinstance(prompts, str):
            raise SamplingError("prompts", "must be several texts, not one text")
        requests = [self._checked_request(prompt, settings) for prompt in prompts]
        self._generate_together(requests)
        return [self.reply(request) for request in requests]

    def _generate_together(self, requests: abc.Sequence[GenerationRequest]) -> None:
        engine = Engine(self.runtime)
        handle = RequestHandle(requests, cancel=engine.cancel)
        engine.submit(handle)
        while requests and not engine.is_idle:
            engine.step()
        handle.wait()

    def score(self, text: str, *, num_alternatives: int = 0) -> list[Token]:
        """Score each token of a text, read as the beginning of a document."""
        request = self.scoring_request(self.prompts.read(text), num_alternatives=num_alternatives)
        [sequence] = request.sequences
        generate(self.runtime, sequence)
        return prompt_tokens(sequence)

    def reply(self, request: GenerationRequest) -> Reply:
        """Return the reply that the finished sequences of a request make."""
        return Reply(
            prompt=request.prompt.text,
            unknown_words=request.prompt.unknown_words,
            samples=[self.sample(sequence) for sequence in request.sequences],
        )

    def sample(self, sequence: Sequence) -> Sample:
        """Return the sample that a finished sequence makes."""
        assert sequence.finish_reason is not None
        is_scored = sequence.settings.num_alternatives is not None
        return Sample(
            text=sequence.text(),
            finish_reason=sequence.finish_reason,
            seed=sequence.seed,
            num_tokens=sequence.num_tokens,
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
        if self.has_stand_ins and prompt.unknown_words:
            prompt = self._stand_ins.fill(prompt, self.runtime)
        line_ends = turn_ends(self.vocabulary, prompt) if settings.single_turn else ()
        request = GenerationRequest(
            prompt=prompt,
            settings=settings,
            stop=(*settings.stop, *line_ends),
            score_prompt=score_prompt,
            deadline=deadline,
        )
        processors = self._processors(prompt, settings)
        words = self._words(prompt)
        request.sequences = [
            self._sequence(request, seed, words, processors) for seed in settings.seeds()
        ]
        return request

    def scoring_request(
        self,
        prompt: Prompt,
        *,
        num_alternatives: int,
        num_samples: int = 1,
        deadline: float = math.inf,
    ) -> GenerationRequest:
        """Make a request that only reads a prompt, after an `<eos>`, and scores its tokens."""
        request = GenerationRequest(
            prompt=prompt,
            settings=GenerationSettings(num_alternatives=num_alternatives),
            only_reads=True,
            score_prompt=True,
            deadline=deadline,
        )
        words = self.vocabulary.words
        request.sequences = [self._sequence(request, 0, words, ()) for _ in range(num_samples)]
        return request

    def _checked_request(
        self,
        prompt: str,
        settings: GenerationKeywords,
        speaker: str | None = None,
        turns: abc.Sequence[TurnGiven] = (),
    ) -> GenerationRequest:
        read = self.prompts.read_scene(prompt, speaker=speaker, turns=turns)
        return self.request(
            read, GenerationSettings.of(**{"single_turn": bool(speaker), **settings})
        )

    @cached_property
    def word_index(self) -> WordIndex:
        """Known words by their spelling."""
        return WordIndex(self.tokenizer, self.vocabulary)

    def _sequence(
        self,
        request: GenerationRequest,
        seed: int,
        words: abc.Sequence[str],
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
            mixture=self._mixture,
            processors=processors,
        )

    def _words(self, prompt: Prompt) -> abc.Sequence[str]:
        """Return the words by id, with those that others stand in for."""
        words = self.vocabulary.words
        if not prompt.stand_ins:
            return words
        return [prompt.stand_ins.get(id_, word) for id_, word in enumerate(words)]

    def _processors(self, prompt: Prompt, settings: GenerationSettings) -> list[LogitsProcessor]:
        """Return the processors that all sequences of a request share, in their order."""
        processors: list[LogitsProcessor] = []
        if self._speaker_rules is not None:  # before biases of the user, which have the last word
            processors.append(self._speaker_rules)
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
        if settings.logit_bias or settings.banned_words:
            processors.append(
                self.word_index.logit_bias(settings.logit_bias, settings.banned_words)
            )
        if self._never_written is not None:
            processors.append(self._never_written)
        return processors


load = LanguageModel.of_bundle
