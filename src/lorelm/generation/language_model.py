"""A trained model as a person uses it: text in, text out."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from lorelm.bundle import Bundle
from lorelm.corpus.tokenizer import NEWLINE, Tokenizer
from lorelm.corpus.vocabulary import Ids, Vocabulary
from lorelm.errors import SamplingError
from lorelm.generation.generator import Adjustment, FinishReason, GeneratedIds, generate_ids
from lorelm.generation.mixture import Mixture
from lorelm.generation.novelty import TrainingTextIndex
from lorelm.generation.settings import GenerationSettings
from lorelm.runtime.base import Runtime
from lorelm.runtime.step_graph import Precision


@dataclass(frozen=True, kw_only=True)
class CopiedSpan:
    """A span of at least six tokens that stands in the training text.

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
        text: the continuation alone; put behind the prompt as it is, it reads on.
        finish_reason: "eos", the model ended the document; "stop", a stop text came up; "length",
            neither did within `max_len` tokens.
        seed: gives this sample again, with the same prompt and settings.
        num_tokens: how many tokens were generated.
        copied_spans: where it stands word for word in the training text; None where the model has
            no index of that.
    """

    text: str
    finish_reason: FinishReason
    seed: int
    num_tokens: int
    copied_spans: Sequence[CopiedSpan] | None


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the model has to say to a prompt.

    Attributes:
        unknown_words: words of the prompt that the model does not know and reads as `<unk>`.
        samples: as many continuations as were asked for.
    """

    prompt: str
    unknown_words: Sequence[str]
    samples: Sequence[Sample]

    @property
    def text(self) -> str:
        """The first continuation alone."""
        return self.samples[0].text


class LanguageModel:
    """A runtime with the tokenizer and the vocabulary of its model.

    Args:
        index: of the training text, if copies are to be told or forbidden.
        mixture: if the model is to be mixed with an n-gram model.
    """

    def __init__(
        self,
        runtime: Runtime,
        tokenizer: Tokenizer,
        vocabulary: Vocabulary,
        *,
        index: TrainingTextIndex | None = None,
        mixture: Mixture | None = None,
    ) -> None:
        self.runtime = runtime
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary
        self._index = index
        self._mixture = mixture

    @classmethod
    def of_bundle(
        cls,
        bundle: Bundle,
        *,
        precision: Precision = "int8",
        num_threads: int = 1,
        mixture: bool = False,
        cache: bool = False,
    ) -> Self:
        """The model of a bundle, with all that the bundle carries.

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
        known = [field.name for field in fields(GenerationSettings)]
        for name in settings:
            if name not in known:
                raise SamplingError(name, f"is not a setting; the settings are {', '.join(known)}")
        return self.reply(prompt, GenerationSettings(**settings))

    def reply(self, prompt: str, settings: GenerationSettings) -> Reply:
        """Continues a prompt by settings that are already checked.

        Raises:
            SamplingError: copies are to be forbidden and there is no index of the training text.
        """
        tokens = self._prompt_tokens(prompt)
        prompt_ids = self.vocabulary.encode(tokens)
        generated = generate_ids(
            self.runtime,
            prompt_ids,
            settings=settings,
            seeds=settings.seeds(),
            max_len=settings.max_len,
            # Without stop texts, no text need be made of the ids after each token.
            is_stopped=lambda ids: (
                bool(settings.stop)
                and _stop_place(self._text(prompt, tokens, ids), settings.stop) >= 0
            ),
            adjustments=self._adjustments(tokens, prompt_ids, settings),
        )
        unknown = (token for token in tokens if token not in self.vocabulary)
        return Reply(
            prompt=prompt,
            unknown_words=list(dict.fromkeys(self.tokenizer.piece(word, None) for word in unknown)),
            samples=[self._sample(prompt, tokens, sample, settings.stop) for sample in generated],
        )

    def _prompt_tokens(self, prompt: str) -> list[str]:
        tokens = self.tokenizer.tokenize_prompt(prompt)
        # A model of single lines has never seen a break, and would read an unknown word.
        if tokens[-1:] == [NEWLINE] and NEWLINE not in self.vocabulary:
            return tokens[:-1]
        return tokens

    def _adjustments(
        self, prompt_tokens: Sequence[str], prompt_ids: Ids, settings: GenerationSettings
    ) -> list[Adjustment]:
        adjustments: list[Adjustment] = []
        if self._mixture is not None:
            adjustments.append(self._mixture.after(prompt_ids))
        if settings.novel_span:
            if self._index is None:
                raise SamplingError(
                    "novel_span",
                    "needs an index of the training text, and this model has none: train it again",
                )
            adjustments.append(
                self._index.forbid_copies(prompt_tokens, novel_span=settings.novel_span)
            )
        return adjustments

    def _sample(
        self,
        prompt: str,
        prompt_tokens: Sequence[str],
        generated: GeneratedIds,
        stop: Sequence[str],
    ) -> Sample:
        text = self._text(prompt, prompt_tokens, generated.ids)
        if generated.finish_reason == "stop":
            text = text[: _stop_place(text, stop)]
        return Sample(
            text=text,
            finish_reason=generated.finish_reason,
            seed=generated.seed,
            num_tokens=len(generated.ids),
            copied_spans=self._copied_spans(prompt, prompt_tokens, generated.ids, text),
        )

    def _copied_spans(
        self, prompt: str, prompt_tokens: Sequence[str], ids: Sequence[int], text: str
    ) -> list[CopiedSpan] | None:
        if self._index is None:
            return None
        copied = []
        for span in self._index.copied_spans([*prompt_tokens, *self.vocabulary.decode(ids)]):
            first = max(span.start - len(prompt_tokens), 0)
            last = max(span.start + span.length - len(prompt_tokens), 0)
            # A stop text may have cut the text short of the tokens.
            start, end = (
                min(len(self._text(prompt, prompt_tokens, ids[:n])), len(text))
                for n in (first, last)
            )
            start += len(text[start:end]) - len(text[start:end].lstrip())
            if start < end:
                copied.append(CopiedSpan(start=start, end=end, num_tokens=span.length))
        return copied

    def _text(self, prompt: str, prompt_tokens: Sequence[str], ids: Sequence[int]) -> str:
        """The text of generated ids as it stands behind the prompt."""
        last = prompt_tokens[-1] if prompt_tokens else None
        text = self.tokenizer.detokenize(self.vocabulary.decode(ids), previous=last)
        return text.lstrip() if prompt[-1:].isspace() else text


def load(
    path: str | Path,
    *,
    precision: Precision = "int8",
    num_threads: int = 1,
    mixture: bool = False,
    cache: bool = False,
) -> LanguageModel:
    """The model of a bundle, ready to generate.

    Args:
        mixture: mix it with the n-gram model that the bundle carries.
        cache: give it the neural cache that was tuned for it.

    Raises:
        BundleError: the bundle is missing, damaged, or lacks this precision or the n-gram model.
    """
    return LanguageModel.of_bundle(
        Bundle.load(path),
        precision=precision,
        num_threads=num_threads,
        mixture=mixture,
        cache=cache,
    )


def _stop_place(text: str, stop: Sequence[str]) -> int:
    """Where the first of the stop texts begins; -1 where none does."""
    return min((place for s in stop if (place := text.find(s)) >= 0), default=-1)
