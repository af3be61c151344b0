"""What a bundle says about itself: the contents of ``manifest.json``."""

import json
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lorelm.corpus.documents import CorpusFile
from lorelm.errors import BundleError
from lorelm.model.config import ModelConfig
from lorelm.ngrams.kneser_ney import MAX_ORDER
from lorelm.runtime.step_graph import Precision

FORMAT_VERSION: Final = 1


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CorpusFacts(_Section):
    """What a model was trained on.

    Attributes:
        source: the name of the file.
        fingerprint: SHA-256 over its documents.
        train_tokens: tokens of the training part, an `<eos>` a document included; the same for
            the other parts.
        files: where it was read from, as the user wrote it: one file that was split, or the file
            of each part, null for one that was split off the first. Empty without files.
    """

    source: str
    fingerprint: str
    train_documents: int
    train_tokens: int
    valid_documents: int
    valid_tokens: int
    test_documents: int
    test_tokens: int
    files: tuple[CorpusFile | None, ...] = ()


class Evaluation(_Section):
    """How well a model foretells held-out text.

    Attributes:
        valid_perplexity: of the float32 weights on the validation part.
        test_perplexity: of the float32 weights on the test part.
        int8_test_perplexity: of the int8 graph, which serves, on the test part.
        test_unknown_rate: share of the words of the test part that became `<unk>`.
    """

    valid_perplexity: float
    test_perplexity: float
    int8_test_perplexity: float
    test_unknown_rate: float


class NGramFacts(_Section):
    """The n-gram model of the same training part.

    Attributes:
        order: from 1 to 5, the one that foretold the validation part best.
        mixture_weight: the share of the network in the mixture of both that foretold the
            validation part best.
    """

    order: int = Field(ge=1, le=MAX_ORDER)
    mixture_weight: float = Field(ge=0, le=1)


class CacheFacts(_Section):
    """The neural cache with which the network foretold the validation part best.

    Attributes:
        size: how many of the last tokens it holds.
        sharpness: how much likeness to a state it holds counts.
        weight: the share of the cache in the mixture with the network.
        mixture_weight: the share of both together in the mixture with the n-gram model.
    """

    size: int = Field(ge=1)
    sharpness: float = Field(ge=0)
    weight: float = Field(ge=0, le=1)
    mixture_weight: float | None = Field(default=None, ge=0, le=1)


Interval = tuple[float, float]


class Figures(_Section):
    """What ``lorelm evaluate`` measures, under the names that its JSON has.

    A figure that could not be measured is null. An interval is of 95 %, from a bootstrap over the
    documents.

    Attributes:
        text: what was foretold, in words fit to be shown.
        tokens: events: tokens, and an `<eos>` a document.
        precision: of the network ("int8", "float32").
        perplexity: of the network, over its vocabulary.
        unknown_rate: share of the words that became `<unk>`.
        bits_per_character: of the network, unknown words charged for their spelling.
        calibration_error: mean distance between how sure the network was of its first guess and
            how often it was right, in ten classes of sureness.
        ngram_perplexity: of the n-gram model; the same events. The same for the mixture.
        ngram_perplexities: of the n-gram models of order 1, 2, and so on.
        ngram_ratio_interval: of the network's perplexity over the n-gram model's; where it holds 1,
            neither is surely better.
        cache_perplexity: of the network with the neural cache, where that was asked for; and so on.
        cache_mixture_perplexity: of the mixture of that with the n-gram model; and so on.
        seen_documents: how many of the documents stand in the training text; null without an index.
        seen_share: the share of the tokens that is in them. Where it is more than a few per cent,
            all figures flatter the model.
        samples: how many were generated to look for copies.
        copied_share: the share of their tokens in spans of at least so many that stand in the
            training text.
        longest_copy: the longest such span, in tokens.
        copied_lines_share: the share of their whole lines that are a line of the training text.
        distinct_share: distinct n-grams over all n-grams, for each n.
        human_copied_share: the same of the text itself, which people wrote; and so on. (Distinct
            n-grams of the first part of it, as long as the samples.)
        copied_excess_interval: of `copied_share` less `human_copied_share`.
    """

    text: str
    documents: int
    tokens: int
    characters: int
    precision: str
    perplexity: float
    perplexity_interval: Interval
    unknown_rate: float
    unknown_rate_interval: Interval
    bits_per_character: float | None = None
    bits_per_character_interval: Interval | None = None
    calibration_error: float
    ngram_order: int | None = None
    ngram_perplexity: float | None = None
    ngram_perplexity_interval: Interval | None = None
    ngram_bits_per_character: float | None = None
    ngram_bits_per_character_interval: Interval | None = None
    ngram_perplexities: tuple[float, ...] = ()
    ngram_ratio_interval: Interval | None = None
    mixture_weight: float | None = None
    mixture_perplexity: float | None = None
    mixture_perplexity_interval: Interval | None = None
    mixture_bits_per_character: float | None = None
    mixture_bits_per_character_interval: Interval | None = None
    cache_perplexity: float | None = None
    cache_perplexity_interval: Interval | None = None
    cache_bits_per_character: float | None = None
    cache_bits_per_character_interval: Interval | None = None
    cache_mixture_perplexity: float | None = None
    cache_mixture_perplexity_interval: Interval | None = None
    cache_mixture_bits_per_character: float | None = None
    cache_mixture_bits_per_character_interval: Interval | None = None
    seen_documents: int | None = None
    seen_share: float | None = None
    samples: int = 0
    sample_tokens: int = 0
    sample_temperature: float | None = None
    copied_share: dict[int, float] | None = None
    longest_copy: int | None = None
    copied_lines_share: float | None = None
    distinct_share: dict[int, float] | None = None
    human_copied_share: dict[int, float] | None = None
    human_longest_copy: int | None = None
    human_copied_lines_share: float | None = None
    human_distinct_share: dict[int, float] | None = None
    copied_excess_interval: dict[int, Interval] | None = None


class TrainingFacts(_Section):
    """How a model came about.

    Attributes:
        best_epoch: the epoch whose weights are in the bundle.
        epochs: how many were trained.
        seconds: how long that took.
        device: where it ran ("cpu", "cuda").
    """

    best_epoch: int
    epochs: int
    seconds: float
    device: str


class ImportedFacts(_Section):
    """Where a model comes from that was not trained here.

    Attributes:
        checkpoint: the name of the file with its weights.
        vocabulary: the name of the file with its words; null where there was none.
        never_seen: of `<unk>` and `<eos>`, those that its vocabulary lacked.
        notices: what was guessed, cut or filled, in sentences fit to be shown.
    """

    checkpoint: str
    vocabulary: str | None
    never_seen: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


class Manifest(_Section):
    """Everything about a bundle but its tensors and words.

    Attributes:
        created_by: the version of LoreLM that wrote it; ``save_bundle`` fills it in, and `files`.
        tokenizer: style of the tokenizer.
        model: the sizes of the model.
        reads_eos_first: whether a prompt is read after an `<eos>`, as training does; a model that
            was trained elsewhere reads the prompt alone.
        never_written: words that are not generated, such as `<pad>`.
        precision: of the numbers that it serves with if nothing else is asked for.
        imported: of a model that was trained elsewhere; null of one that was trained here. What is
            not known of such a model is null.
        recipe: all settings of the training run.
        ngram: of the n-gram model beside it; null in a bundle of an older version, and
            where the training part was too large to be counted.
        cache: of the neural cache; null in a bundle of an older version.
        figures: what ``lorelm evaluate`` measured on the test part when training was over.
        files: SHA-256 of every other file of the bundle but the record of its training.
    """

    format_version: Literal[1] = FORMAT_VERSION
    created_by: str = ""
    tokenizer: str
    model: ModelConfig
    reads_eos_first: bool = True
    never_written: tuple[str, ...] = ()
    precision: Precision = "int8"
    imported: ImportedFacts | None = None
    recipe: dict[str, Any] | None = None
    corpus: CorpusFacts | None = None
    evaluation: Evaluation | None = None
    training: TrainingFacts | None = None
    ngram: NGramFacts | None = None
    cache: CacheFacts | None = None
    figures: Figures | None = None
    files: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_an_origin(self) -> Self:
        if self.imported is None:
            for name in ("recipe", "corpus", "evaluation", "training"):
                if getattr(self, name) is None:
                    raise ValueError(f"{name} is missing")
        return self

    @property
    def source(self) -> str:
        """The name of the file that the model is made of: its corpus, or a foreign checkpoint."""
        if self.corpus is not None:
            return self.corpus.source
        assert self.imported is not None
        return self.imported.checkpoint

    @property
    def num_words(self) -> int:
        """How many words the model knows, `<unk>` and `<eos>` included where it has seen them."""
        never_seen = () if self.imported is None else self.imported.never_seen
        return self.model.vocabulary_size - len(never_seen)

    def to_json(self) -> bytes:
        text = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False)
        return (text + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes, *, where: str) -> Self:
        """Reads a manifest; `where` names it in an error.

        Raises:
            BundleError: it is damaged, or of a newer format than this version reads.
        """
        try:
            version = _VersionOnly.model_validate_json(text).format_version
            if version > FORMAT_VERSION:
                raise BundleError(
                    f"{where} is of format {version}, and this LoreLM reads up to "
                    f"{FORMAT_VERSION}: upgrade it with pip install --upgrade lorelm"
                )
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise BundleError(
                f"{where} is damaged ({place}: {first['msg']}): restore the bundle or train it "
                "again"
            ) from error


class _VersionOnly(BaseModel):
    format_version: int
