"""A trained model with its tokenizer and vocabulary: text in, text out."""

from collections import abc
from functools import cached_property
from pathlib import Path
from typing import Self, Unpack

from lorelm.bundle import Bundle
from lorelm.errors import SamplingError
from lorelm.generation.blend import partner_of
from lorelm.generation.engine.engine import Engine
from lorelm.generation.generator import generate, stream
from lorelm.generation.handle import RequestHandle
from lorelm.generation.logits import Mixture
from lorelm.generation.no_copy import TrainingTextIndex
from lorelm.generation.prompts import TurnGiven
from lorelm.generation.reply import Reply, Token, prompt_tokens
from lorelm.generation.request_maker import RequestMaker
from lorelm.generation.sequence import GenerationRequest
from lorelm.generation.settings import GenerationSettings
from lorelm.keywords import GenerationKeywords
from lorelm.runtime.step_graph import Precision


class LanguageModel(RequestMaker):
    """A runtime with the tokenizer and the vocabulary of its model: text in, text out.

    Attributes:
        name: by which a blend may name it: the path that it was loaded from.
    """

    name = ""

    @cached_property
    def _blends(self) -> dict[str, Self]:
        """Blends with this model, by the name of the other one."""
        return {}

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
        name = str(bundle.path if isinstance(bundle, Bundle) else bundle)
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
        model.name = name
        return model

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
        writer, checked = self._writer(settings, speaker)
        read = writer.prompts.read_scene(prompt, speaker=speaker, turns=turns)
        request = writer.request(read, checked)
        writer.prepare(request, writer._generate_together)
        if len(request.sequences) > 1:
            writer._generate_together([request])
        else:
            generate(writer.runtime, request.sequences[0])
        return writer.reply(request)

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
        writer, checked = self._writer(settings, speaker)
        read = writer.prompts.read_scene(prompt, speaker=speaker, turns=turns)
        request = writer.request(read, checked)
        sequence, *others = request.sequences
        if others:
            raise SamplingError("num_samples", "must be 1 in a stream", code="setting.stream")
        writer.prepare(request, writer._generate_together)
        return stream(writer.runtime, sequence)

    def generate_many(
        self, prompts: abc.Iterable[str], **settings: Unpack[GenerationKeywords]
    ) -> list[Reply]:
        """Continue many prompts together, each with the text that :meth:`generate` gives it.

        Raises:
            SamplingError: see :meth:`generate`; also if `prompts` is a single text.
        """
        if isinstance(prompts, str):
            raise SamplingError("prompts", "must be several texts, not one text")
        writer, checked = self._writer(settings)
        requests = [writer.request(writer.prompts.read(prompt), checked) for prompt in prompts]
        for request in requests:
            writer.prepare(request, writer._generate_together)
        writer._generate_together(requests)
        return [writer.reply(request) for request in requests]

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

    def _writer(
        self, given: GenerationKeywords, speaker: str | None = None
    ) -> tuple[Self, GenerationSettings]:
        """Return checked settings, and the model that they are for: this one, or a blend."""
        settings = GenerationSettings.of(**{"single_turn": bool(speaker), **given})
        if not settings.blend:
            return self, settings
        partner = partner_of(settings.blend, self.name)
        if partner not in self._blends:
            self._blends[partner] = self.blended_with(self.of_bundle(partner), name=partner)
        return self._blends[partner], settings


load = LanguageModel.of_bundle
