"""A trained model as a person uses it: text in, text out."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from lorelm.bundle import Bundle
from lorelm.corpus.tokenizer import EOS, NEWLINE, Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, Vocabulary
from lorelm.errors import SamplingError
from lorelm.generation.draft import Adjustment, Draft
from lorelm.generation.generator import write
from lorelm.generation.mixture import Mixture
from lorelm.generation.nearest_words import NearestWords
from lorelm.generation.novelty import TrainingTextIndex
from lorelm.generation.reply import Reply, Token
from lorelm.generation.settings import GenerationSettings
from lorelm.generation.task import Prompt, Task
from lorelm.generation.wishes import Bias, WordWishes
from lorelm.generation.wording import Wording
from lorelm.runtime.base import Runtime
from lorelm.runtime.step_graph import Precision


class LanguageModel:
    """A runtime with the tokenizer and the vocabulary of its model.

    Attributes:
        wording: puts what was written into words.

    Args:
        index: of the training text, if copies are to be told or forbidden.
        mixture: if the model is to be mixed with an n-gram model.
        reads_eos_first: prompts are read after an `<eos>`; the others see :class:`Draft`.
        never_written: words that are not generated whatever is asked for.
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
        never_written: Sequence[str] = (),
    ) -> None:
        self.runtime = runtime
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary
        self.wording = Wording(tokenizer, vocabulary, index)
        self._index = index
        self._mixture = mixture
        self._reads_eos_first = reads_eos_first
        self._never_written = _ban(never_written, vocabulary)

    @classmethod
    def of_bundle(
        cls,
        bundle: Bundle,
        *,
        precision: Precision | None = None,
        num_threads: int = 1,
        mixture: bool = False,
        cache: bool = False,
    ) -> Self:
        """The model of a bundle, with all that the bundle carries.

        Args:
            precision: None takes that of the manifest.

        Raises:
            BundleError: it lacks this precision, the n-gram model or the cache, or is damaged.
        """
        copies = bundle.copies()
        index = (
            None
            if copies is None
            else TrainingTextIndex(copies, bundle.tokenizer, bundle.vocabulary)
        )
        return cls(
            bundle.runtime(precision, num_threads=num_threads, cache=cache),
            bundle.tokenizer,
            bundle.vocabulary,
            index=index,
            mixture=Mixture.of_bundle(bundle, cache=cache) if mixture else None,
            reads_eos_first=bundle.manifest.reads_eos_first,
            never_written=bundle.manifest.never_written,
        )

    @property
    def can_forbid_copies(self) -> bool:
        """Whether it has the index of its training text that `novel_span` needs."""
        return self._index is not None

    def generate(self, prompt: str = "", **settings: Any) -> Reply:
        """Continues a prompt; an empty one begins a new document.

        Args:
            settings: those of :class:`~lorelm.generation.settings.GenerationSettings`.

        Raises:
            SamplingError: a setting is unknown or out of its range, or the prompt is no text.
        """
        if not isinstance(prompt, str):
            raise SamplingError("prompt", f"must be a text, not {prompt!r}")
        return self.reply(prompt, GenerationSettings.of(**settings))

    def reply(self, text: str, settings: GenerationSettings) -> Reply:
        """Continues a prompt by settings that are already checked.

        Raises:
            SamplingError: copies are to be forbidden and there is no index of the training text,
                or a word that is to be made likelier is not known.
        """
        task = self.task(self.read_prompt(text), settings)
        for draft in task.drafts:
            write(self.runtime, draft)
        return self.wording.reply(task)

    def score(self, text: str, *, num_alternatives: int = 0) -> list[Token]:
        """How likely the model holds each token of a text, read as the beginning of a document."""
        task = self.scoring_task(self.read_prompt(text), num_alternatives=num_alternatives)
        write(self.runtime, task.drafts[0])
        return self.wording.prompt_tokens(task, task.drafts[0])

    def read_prompt(self, text: str) -> Prompt:
        """A text as the model reads it."""
        tokens = self.tokenizer.tokenize_prompt(text)
        # A model of single lines has never seen a break, and would read an unknown word.
        if tokens[-1:] == [NEWLINE] and NEWLINE not in self.vocabulary:
            tokens = tokens[:-1]
        unknown = (token for token in tokens if token not in self.vocabulary)
        return Prompt(
            text=text,
            tokens=tokens,
            ids=self.vocabulary.encode(tokens),
            unknown_words=list(dict.fromkeys(self.tokenizer.piece(word, None) for word in unknown)),
        )

    def prompt_of_ids(self, ids: Sequence[int], *, field: str = "prompt") -> Prompt:
        """A prompt that is given in ids.

        Args:
            field: what to call it in an error.

        Raises:
            SamplingError: one is not an id of the vocabulary.
        """
        for id_ in ids:
            if not 0 <= id_ < len(self.vocabulary):
                raise SamplingError(field, f"{id_} is not an id below {len(self.vocabulary)}")
        has_eos = list(ids[:1]) == [EOS_ID]
        ids = ids[has_eos:]
        tokens = self.vocabulary.decode(ids)
        return Prompt(
            text=self.tokenizer.detokenize(tokens),
            tokens=tokens,
            ids=np.array(ids, dtype=np.int64),
            unknown_words=(),
            is_in_ids=True,
            has_eos=has_eos,
        )

    def documents_to_ids(self, text: str) -> list[int]:
        """The ids of a text in which a written `<eos>` is the end of a document."""
        documents = [self.read_prompt(document).ids.tolist() for document in text.split(EOS)]
        ids: list[int] = documents[0]
        for document in documents[1:]:
            ids += [EOS_ID, *document]
        return ids

    def ids_to_documents(self, ids: Sequence[int], *, field: str) -> str:
        """The text of ids, with a written `<eos>` at the end of each document but the last.

        Raises:
            SamplingError: one is not an id of the vocabulary; it names the field.
        """
        documents: list[list[int]] = [[]]
        for id_ in ids:
            if id_ == EOS_ID:
                documents.append([])
            else:
                documents[-1].append(id_)
        return EOS.join(self.prompt_of_ids(part, field=field).text for part in documents)

    def task(
        self,
        prompt: Prompt,
        settings: GenerationSettings,
        *,
        scores_prompt: bool = False,
        deadline: float = math.inf,
    ) -> Task:
        """What is to be done for a prompt, with a draft for each sample that is asked for.

        Args:
            scores_prompt: the tokens of the prompt are scored too.
            deadline: on the clock `time.monotonic`; the samples end there.

        Raises:
            SamplingError: see :meth:`reply`.
        """
        limits = self._limits(prompt, settings)
        drafts = [
            Draft(
                prompt.ids,
                seed=seed,
                settings=settings,
                max_len=settings.max_len,
                reads_eos_first=self._reads_eos_first or prompt.has_eos,
                min_len=settings.min_len,
                model_adjustment=self._mixture,
                limits=limits,
                num_alternatives=settings.num_alternatives,
                scores_prompt=scores_prompt,
                is_stopped=self._watch(prompt, settings.stop),
                deadline=deadline,
            )
            for seed in settings.seeds()
        ]
        return Task(prompt=prompt, settings=settings, drafts=drafts)

    def scoring_task(
        self,
        prompt: Prompt,
        *,
        num_alternatives: int,
        num_samples: int = 1,
        deadline: float = math.inf,
    ) -> Task:
        """The task of only reading a prompt and scoring its tokens."""
        settings = GenerationSettings(num_alternatives=num_alternatives)
        drafts = [
            Draft(
                prompt.ids,
                seed=0,
                settings=settings,
                max_len=0,
                model_adjustment=self._mixture,
                num_alternatives=num_alternatives,
                scores_prompt=True,
                deadline=deadline,
            )
            for _ in range(num_samples)
        ]
        return Task(prompt=prompt, settings=settings, drafts=drafts)

    @cached_property
    def nearest_words(self) -> NearestWords:
        """Finds known words by their spelling."""
        return NearestWords(self.tokenizer, self.vocabulary)

    @cached_property
    def _wishes(self) -> WordWishes:
        return WordWishes(self.tokenizer, self.vocabulary)

    def _limits(self, prompt: Prompt, settings: GenerationSettings) -> list[Adjustment]:
        limits: list[Adjustment] = []
        if settings.novel_span:
            if self._index is None:
                raise SamplingError(
                    "novel_span",
                    "needs an index of the training text, which this model does not carry (what "
                    "lorelm train makes does)",
                )
            limits.append(self._index.forbid_copies(prompt.tokens, novel_span=settings.novel_span))
        if settings.logit_bias or settings.banned_words:
            limits.append(Bias(self._wishes.bias(settings.logit_bias, settings.banned_words)))
        if self._never_written is not None:
            limits.append(self._never_written)
        return limits

    def _watch(self, prompt: Prompt, stop: Sequence[str]) -> Callable[[int], bool] | None:
        """What tells a draft that a stop text came up."""
        if not stop:
            return None
        continuation = self.wording.continuation(prompt, stop)

        def is_stopped(id_: int) -> bool:
            continuation.add(self.vocabulary.words[id_])
            return continuation.is_stopped

        return is_stopped


def _ban(words: Sequence[str], vocabulary: Vocabulary) -> Bias | None:
    """What keeps words from being generated; None where there are none."""
    if not words:
        return None
    bias_V = np.zeros(len(vocabulary), dtype=np.float32)
    bias_V[vocabulary.encode(words)] = -np.inf
    return Bias(bias_V)


def load(
    bundle: Bundle | str | Path,
    *,
    precision: Precision | None = None,
    num_threads: int = 1,
    mixture: bool = False,
    cache: bool = False,
) -> LanguageModel:
    """The model of a bundle, ready to generate.

    Args:
        bundle: or its path, or "shakespeare".
        precision: None takes that of the manifest.
        mixture: mix it with the n-gram model that the bundle carries.
        cache: give it the neural cache that was tuned for it.

    Raises:
        BundleError: the bundle is missing, damaged, or lacks this precision or the n-gram model.
    """
    return LanguageModel.of_bundle(
        bundle if isinstance(bundle, Bundle) else Bundle.load(bundle),
        precision=precision,
        num_threads=num_threads,
        mixture=mixture,
        cache=cache,
    )
