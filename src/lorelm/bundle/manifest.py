"""Metadata of a bundle: the contents of ``manifest.json``."""

import json
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from lorelm.bundle.metrics import Metrics, Section
from lorelm.corpus.documents import CorpusFile
from lorelm.errors import BundleError
from lorelm.model.config import ModelConfig
from lorelm.ngrams.kneser_ney import MAX_ORDER
from lorelm.runtime.step_graph import Precision

FORMAT_VERSION: Final = 2

TrainingEnd = Literal["schedule", "early_stopping", "finish"]

_ENDED: Final[dict[TrainingEnd, str]] = {
    "schedule": "",
    "early_stopping": " (stopped early)",
    "finish": " (finished before its time)",
}


class CorpusMetadata(Section):
    """What a model was trained on.

    Attributes:
        fingerprint: SHA-256 over its documents.
        train_tokens: tokens of the training part with an `<eos>` a document; so of the other parts.
        sampled_tokens: about how many of each held-out part were used to save time; None: all.
        seen_words: words of the vocabulary up to the last one of the training part; the others are
            of the model that training started from. None: all.
        files: what it was read from, by the name alone: one file that was split, or the file of
            each part, null for one that was split off the first. Empty without files.
    """

    source: str
    fingerprint: str
    train_documents: int
    train_tokens: int
    valid_documents: int
    valid_tokens: int
    test_documents: int
    test_tokens: int
    sampled_tokens: int | None = None
    seen_words: int | None = None
    files: tuple[CorpusFile | None, ...] = ()


class NGramMetadata(Section):
    """The n-gram baseline: a model of the same training part.

    Attributes:
        order: from 1 to 5, the best on the validation part.
        mixture_weight: of the network in the mixture of both, the best on the validation part.
    """

    order: int = Field(ge=1, le=MAX_ORDER)
    mixture_weight: float = Field(ge=0, le=1)


class CacheMetadata(Section):
    """The neural cache that is the best on the validation part.

    Attributes:
        size: how many of the last tokens it holds.
        theta: flatness of its distribution (Grave et al. 2017); at 0 every token that it holds
            counts alike.
        weight: of the cache in the mixture with the network.
        mixture_weight: of network and cache together in the mixture with the n-gram baseline.
    """

    size: int = Field(ge=1)
    theta: float = Field(ge=0)
    weight: float = Field(ge=0, le=1)
    mixture_weight: float | None = Field(default=None, ge=0, le=1)


class TrainingMetadata(Section):
    """How a model was trained.

    Attributes:
        best_epoch: the epoch whose weights are in the bundle.
        valid_perplexity, test_perplexity: in float32; :class:`Metrics` is of the int8 graph.
        ended: what ended training: its schedule, early stopping, or the user (``--finish``).
        base_share: of the weights that training began with, in the mean with the best epoch's.
    """

    best_epoch: int
    epochs: int
    seconds: float
    device: str
    valid_perplexity: float | None = None
    test_perplexity: float | None = None
    ended: TrainingEnd = "schedule"
    base_share: float = 0.0

    @property
    def best_epoch_of_all(self) -> str:
        """The number of the best epoch, how many there were, and why there are no more."""
        return f"{self.best_epoch} of {self.epochs}{_ENDED[self.ended]}"


class ImportedMetadata(Section):
    """Origin of a model that was imported.

    Attributes:
        checkpoint: the name of the file with its weights.
        vocabulary: the name of the file with its words; null if there was none.
        never_seen: of `<unk>` and `<eos>`, those that its vocabulary lacked.
        notices: what was guessed, cut or filled in, as sentences for display.
    """

    checkpoint: str
    vocabulary: str | None
    never_seen: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


class Manifest(Section):
    """Everything about a bundle but its tensors and words.

    Attributes:
        created_by: the version of LoreLM that wrote it; ``save_bundle`` fills in this and `files`.
        reads_eos_first: whether a prompt is read after an `<eos>`, as in training; an imported
            model reads the prompt alone.
        never_written: words that are not generated, such as `<pad>`.
        precision: the default precision for serving.
        mixture: whether the network is mixed with the n-gram model unless the user says otherwise,
            since counting alone predicts the validation part better than the network does.
        imported: null for a model that was trained here. What is not known of an imported model is
            null.
        recipe: all settings of the training run.
        ngram, cache: null in a bundle of an older version. `ngram` also is if the training part was
            too large for an n-gram model.
        metrics: on the test part; null until the model is evaluated.
        files: SHA-256 of every other file of the bundle but the record of its training.
    """

    format_version: Literal[2] = FORMAT_VERSION
    created_by: str = ""
    tokenizer: str
    model: ModelConfig
    reads_eos_first: bool = True
    never_written: tuple[str, ...] = ()
    precision: Precision = "int8"
    mixture: bool = False
    imported: ImportedMetadata | None = None
    recipe: dict[str, Any] | None = None
    corpus: CorpusMetadata | None = None
    training: TrainingMetadata | None = None
    ngram: NGramMetadata | None = None
    cache: CacheMetadata | None = None
    metrics: Metrics | None = None
    files: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _upgrade_format_1(cls, data: Any) -> Any:
        """Rename what format 1 had: `figures`, `evaluation` beside `training`, and `sharpness`."""
        if not isinstance(data, dict) or data.get("format_version") != 1:
            return data
        data = dict(data, format_version=FORMAT_VERSION, metrics=data.get("figures"))
        data.pop("figures", None)
        evaluation, cache = data.pop("evaluation", None), data.get("cache")
        if isinstance(evaluation, dict) and isinstance(data.get("training"), dict):
            names = "valid_perplexity", "test_perplexity"
            data["training"] = {name: evaluation.get(name) for name in names} | data["training"]
        if isinstance(cache, dict):
            data["cache"] = {"theta" if k == "sharpness" else k: v for k, v in cache.items()}
        return data

    @model_validator(mode="after")
    def _has_an_origin(self) -> Self:
        missing = [n for n in ("recipe", "corpus", "training") if getattr(self, n) is None]
        if missing and self.imported is None:
            raise ValueError(f"{missing[0]} is missing")
        return self

    @property
    def source(self) -> str:
        """The name of the file that the model was made from: a corpus, or a foreign checkpoint."""
        if self.corpus is not None:
            return self.corpus.source
        assert self.imported is not None
        return self.imported.checkpoint

    @property
    def num_words(self) -> int:
        """Number of words that the model knows, with `<unk>` and `<eos>` if it has seen them."""
        never_seen = () if self.imported is None else self.imported.never_seen
        return self.model.vocabulary_size - len(never_seen)

    def to_json(self) -> bytes:
        text = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False)
        return (text + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes, *, where: str) -> Self:
        """Read a manifest; `where` names it in an error.

        Raises:
            BundleError: it is damaged, or of a newer format than this version reads.
        """
        try:
            version = _VersionOnly.model_validate_json(text).format_version
            if version > FORMAT_VERSION:
                raise BundleError(
                    f"{where} is of format {version}, and this LoreLM reads up to "
                    f"{FORMAT_VERSION}: upgrade it with pip install --upgrade lorelm",
                    code="bundle.newer_format",
                )
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise BundleError(
                f"{where} is damaged ({place}: {first['msg']}): restore the bundle or train it "
                "again",
                code="bundle.damaged_manifest",
            ) from error


class _VersionOnly(BaseModel):
    format_version: int
