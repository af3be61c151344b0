"""What a bundle says about itself: the contents of ``manifest.json``."""

from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from lorelm.errors import BundleError
from lorelm.model.config import ModelConfig

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
    """

    source: str
    fingerprint: str
    train_documents: int
    train_tokens: int
    valid_documents: int
    valid_tokens: int
    test_documents: int
    test_tokens: int


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


class Manifest(_Section):
    """Everything about a bundle but its tensors and words.

    Attributes:
        created_by: the version of LoreLM that wrote it.
        tokenizer: style of the tokenizer.
        model: the sizes of the model.
        recipe: all settings of the training run.
        files: SHA-256 of every other file of the bundle.
    """

    format_version: Literal[1] = FORMAT_VERSION
    created_by: str
    tokenizer: str
    model: ModelConfig
    recipe: dict[str, Any]
    corpus: CorpusFacts
    evaluation: Evaluation
    training: TrainingFacts
    files: dict[str, str]

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
