"""A trained model as a person uses it: text in, text out."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lorelm.bundle import Bundle
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.errors import SamplingError
from lorelm.generation.generator import FinishReason, generate_ids
from lorelm.generation.settings import GenerationSettings
from lorelm.runtime.base import Runtime
from lorelm.runtime.step_graph import Precision


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One continuation of a prompt.

    Attributes:
        text: the continuation alone; put behind the prompt as it is, it reads on.
        finish_reason: "eos", the model ended the document; "stop", a stop text came up; "length",
            neither did within `max_len` tokens.
        seed: gives this sample again, with the same prompt and settings.
        num_tokens: how many tokens were generated.
    """

    text: str
    finish_reason: FinishReason
    seed: int
    num_tokens: int


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
    """A runtime with the tokenizer and the vocabulary of its model."""

    def __init__(self, runtime: Runtime, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        self.runtime = runtime
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary

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
        """Continues a prompt by settings that are already checked."""
        tokens = self.tokenizer.tokenize(prompt)
        unknown = (token for token in tokens if token not in self.vocabulary)
        generated = generate_ids(
            self.runtime,
            self.vocabulary.encode(tokens),
            settings=settings,
            seeds=settings.seeds(),
            max_len=settings.max_len,
            # Without stop texts, no text need be made of the ids after each token.
            is_stopped=lambda ids: (
                bool(settings.stop)
                and _stop_place(self._text(prompt, tokens, ids), settings.stop) >= 0
            ),
        )
        samples = []
        for sample in generated:
            text = self._text(prompt, tokens, sample.ids)
            if sample.finish_reason == "stop":
                text = text[: _stop_place(text, settings.stop)]
            samples.append(
                Sample(
                    text=text,
                    finish_reason=sample.finish_reason,
                    seed=sample.seed,
                    num_tokens=len(sample.ids),
                )
            )
        return Reply(
            prompt=prompt,
            unknown_words=list(dict.fromkeys(self.tokenizer.piece(word, None) for word in unknown)),
            samples=samples,
        )

    def _text(self, prompt: str, prompt_tokens: Sequence[str], ids: Sequence[int]) -> str:
        """The text of generated ids as it stands behind the prompt."""
        last = prompt_tokens[-1] if prompt_tokens else None
        text = self.tokenizer.detokenize(self.vocabulary.decode(ids), previous=last)
        return text.lstrip() if prompt[-1:].isspace() else text


def load(path: str | Path, *, precision: Precision = "int8", num_threads: int = 1) -> LanguageModel:
    """The model of a bundle, ready to generate.

    Raises:
        BundleError: the bundle is missing, damaged, or lacks this precision.
    """
    bundle = Bundle.load(path)
    return LanguageModel(
        bundle.runtime(precision, num_threads=num_threads), bundle.tokenizer, bundle.vocabulary
    )


def _stop_place(text: str, stop: Sequence[str]) -> int:
    """Where the first of the stop texts begins; -1 where none does."""
    return min((place for s in stop if (place := text.find(s)) >= 0), default=-1)
