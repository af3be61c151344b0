"""Read a bundle: :class:`Bundle`. :mod:`lorelm.bundle.layout` lists its files."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import numpy as np

from lorelm.bundle import layout
from lorelm.bundle.atomic_dir import wrap_write_errors
from lorelm.bundle.files import BundleFiles, find_bundle, open_files
from lorelm.bundle.hub import is_hub_address
from lorelm.bundle.manifest import Manifest
from lorelm.bundle.metrics import Metrics
from lorelm.corpus.tokenizer import Tokenizer, make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.errors import BundleError, CorpusError, MissingExtraError
from lorelm.machine.quoting import quoted
from lorelm.model.config import ModelConfig
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.runtime.base import Runtime
from lorelm.runtime.neural_cache import CachedRuntime
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import PRECISIONS, Precision
from lorelm.typing import Floats32

METRIC_NAMES: Final = (
    *("train_loss_nats_per_token", "valid_loss_nats_per_token", "valid_perplexity"),
    "learning_rate",
)
"""The metrics of an epoch in ``metrics.jsonl``, which plots need."""

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle that was read, with the hashes of its files checked.

    Every method that reads one more file raises a BundleError if it is damaged.

    Attributes:
        name: what users call it: the name of its directory, of its pack without the ending, or of
            the model on the Hub.
        files: of its directory or pack.
    """

    name: str
    files: BundleFiles
    manifest: Manifest
    vocabulary: Vocabulary
    tokenizer: Tokenizer

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a bundle and check the hash of every file but the record of its training.

        The name ``english`` is the embedded model.

        Raises:
            BundleError: it is missing or damaged, of a newer format, or its vocabulary does not
                fit its model. The message names the file.
        """
        found = find_bundle(path)
        _check_path(found, path)
        files = open_files(found, is_read_only=is_hub_address(path))
        place = files.place(layout.MANIFEST)
        manifest = Manifest.from_json(files.read(layout.MANIFEST), where=place)
        for name, digest in manifest.files.items():
            if name not in layout.BUNDLE_FILES:
                raise BundleError(
                    f"{place} lists {name[:80]!r}, which is no file of a model: restore the bundle "
                    "or train it again",
                    code="bundle.damaged_manifest",
                )
            if hashlib.sha256(files.read(name)).hexdigest() != digest:
                raise BundleError(
                    f"{files.place(name)} is not the file that was saved (its SHA-256 differs): "
                    "restore the bundle or train it again",
                    code="bundle.hash_mismatch",
                )
        for name in (layout.VOCABULARY, layout.graph_name("int8")):
            if name not in manifest.files:
                raise BundleError(
                    f"{place} lists no {name}, and no bundle is without it",
                    code="bundle.missing_file",
                )
        vocabulary = _vocabulary(files, manifest.model)
        return cls(
            name=_name_of(found, path),
            files=files,
            manifest=manifest,
            vocabulary=vocabulary,
            tokenizer=_tokenizer(place, manifest.tokenizer, vocabulary),
        )

    @property
    def path(self) -> Path:
        """Of its directory or pack."""
        return self.files.path

    @property
    def fingerprint(self) -> str:
        """Identifier of the model: 16 hexadecimal digits, from the hash of each file.

        The same fingerprint, prompt, settings and seed give the same text.
        """
        manifest = self.manifest
        parts: list[object] = [manifest.tokenizer, sorted(manifest.files.items())]
        if manifest.imported is not None:
            parts.append([manifest.reads_eos_first, manifest.never_written, manifest.precision])
        digest = hashlib.sha256(json.dumps(parts).encode())
        return digest.hexdigest()[:16]

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """The precisions that the bundle has a step graph for."""
        return tuple(p for p in PRECISIONS if layout.graph_name(p) in self.manifest.files)

    def runtime(
        self, precision: Precision | None = None, *, num_threads: int = 1, cache: bool = False
    ) -> Runtime:
        """Return the runtime that executes the model.

        Args:
            precision: None takes that of the manifest.
            cache: with the neural cache.

        Raises:
            BundleError: there is no graph of this precision, or it does not fit the vocabulary; or
                no cache was tuned.
        """
        precision = precision or self.manifest.precision
        name = layout.graph_name(precision)
        if precision not in self.precisions:
            raise BundleError(
                f"bundle {self.path} has no {name}: it has {', '.join(self.precisions)} only",
                code="bundle.no_graph",
            )
        config, place = self.manifest.model, self.files.place(name)
        network = OnnxRuntime(self.files.read(name), config, name=place, num_threads=num_threads)
        if not cache:
            return network
        tuned = self.manifest.cache
        if tuned is None:
            raise self._lacks("has no settings of a neural cache", code="bundle.no_cache")
        return CachedRuntime(network, size=tuned.size, theta=tuned.theta, weight=tuned.weight)

    def spelling(self) -> KneserNey | None:
        """Return the n-gram model of words over code points, None where there is none."""
        return self._parsed(layout.SPELLING, KneserNey.from_bytes)

    def copies(self) -> FingerprintIndex | None:
        """Return the fingerprints of the training text, None where there are none."""
        return self._parsed(layout.COPIES, FingerprintIndex.from_bytes)

    @property
    def has_ngram(self) -> bool:
        """Whether it carries the n-gram model of its training text."""
        return layout.NGRAM in self.manifest.files and self.manifest.ngram is not None

    def is_mixed(self, wanted: bool | None) -> bool:
        """Return whether to mix with the n-gram model; by default as the manifest says."""
        return self.manifest.mixture if wanted is None else wanted

    def ngram(self, *, cache: bool = False) -> tuple[KneserNey, float]:
        """Return the n-gram model of the training text, and the weight of the network in a mixture.

        With `cache`, it is the weight of the network with the neural cache.

        Raises:
            BundleError: there is none, or it does not fit the vocabulary.
        """
        model = self._parsed(layout.NGRAM, KneserNey.from_bytes)
        if model is None or self.manifest.ngram is None:
            raise self._lacks(
                "carries no n-gram model",
                f": add it (add_ngram, lorelm evaluate {quoted(self.path)} --add-ngram)",
                code="bundle.no_ngram",
            )
        if model.vocabulary_size != len(self.vocabulary):
            raise BundleError(
                f"{self.files.place(layout.NGRAM)} is of another vocabulary: restore the bundle or "
                "train it again",
                code="bundle.mismatch",
            )
        tuned = self.manifest.cache
        if cache and tuned is not None and tuned.mixture_weight is not None:
            return model, tuned.mixture_weight
        return model, self.manifest.ngram.mixture_weight

    def training_metrics(self) -> list[dict[str, Any]]:
        """Return the training metrics, one object per epoch; empty where none were recorded."""
        return _parse(self.files, layout.METRICS, _epochs) if layout.METRICS in self.files else []

    def record_metrics(self, metrics: Metrics) -> None:
        """Write evaluation results into the manifest."""
        manifest = self.manifest.model_copy(update={"metrics": metrics})
        with wrap_write_errors(self.path):
            self.files.replace({layout.MANIFEST: manifest.to_json()})

    def weights(self) -> dict[str, Floats32]:
        """Return the tensors of :meth:`ModelConfig.tensor_shapes`, in float32.

        Raises:
            BundleError: there are none, or they do not fit the vocabulary and the model.
            MissingExtraError: the package ``safetensors`` is not installed.
        """
        if layout.WEIGHTS not in self.manifest.files:
            raise BundleError(
                f"bundle {self.path} has no {layout.WEIGHTS}: it is a serving bundle",
                code="bundle.no_weights",
            )
        try:
            from safetensors import SafetensorError
            from safetensors.numpy import load
        except ImportError as error:
            raise MissingExtraError("reading a model's weights", "train") from error
        stored = _parse(self.files, layout.WEIGHTS, load, SafetensorError)
        weights: dict[str, Floats32] = {n: w.astype(np.float32) for n, w in stored.items()}
        if self.manifest.model.tied and "embedding.weight" in weights:
            weights["fc.weight"] = weights["embedding.weight"]
        _check_shapes(self.files.place(layout.WEIGHTS), weights, self.manifest.model)
        return weights

    def _parsed(self, name: str, parse: Callable[[bytes], _T]) -> _T | None:
        return _parse(self.files, name, parse) if name in self.manifest.files else None

    def _lacks(self, what: str, remedy: str = ": train it again", *, code: str) -> BundleError:
        """Return the error for a part that comes from the training text."""
        if self.manifest.imported is not None:
            remedy = ", because it was imported, and that is learned from the training text"
        return BundleError(f"bundle {self.path} {what}{remedy}", code=code)


def _name_of(path: Path, given: str | Path) -> str:
    if is_hub_address(given):
        return str(given).rpartition("/")[2].partition("@")[0]
    path = path.resolve()
    if path == layout.EMBEDDED_PATH.resolve():
        return layout.EMBEDDED_NAME
    return path.name.removesuffix(layout.PACK_ENDING)


def _check_path(path: Path, given: str | Path) -> None:
    if not path.exists():
        raise BundleError(
            f"bundle {given} does not exist: name a folder that a training run wrote (out, "
            "--out), or a file that lorelm pack made",
            code="bundle.not_found",
        )
    if (path / layout.CHECKPOINT).is_file() and not (path / layout.MANIFEST).exists():
        raise BundleError(
            f"{given} holds an unfinished run and no model yet: go on with lorelm train "
            f"--resume {quoted(given)}, or make a model of its best epoch so far with lorelm train "
            f"--finish {quoted(given)}",
            code="bundle.unfinished_run",
        )


def _check_shapes(place: str, weights: dict[str, Floats32], model: ModelConfig) -> None:
    shapes = {name: tensor.shape for name, tensor in weights.items()}
    expected = model.tensor_shapes()
    for name in sorted(shapes.keys() | expected.keys()):
        if shapes.get(name) != expected.get(name):
            raise BundleError(
                f"{place} does not fit {layout.MANIFEST} and {layout.VOCABULARY}: tensor {name} is "
                f"{shapes.get(name, 'missing')}, not {expected.get(name, 'expected')}",
                code="bundle.mismatch",
            )


def _vocabulary(files: BundleFiles, model: ModelConfig) -> Vocabulary:
    name = layout.VOCABULARY
    vocabulary = _parse(files, name, lambda content: Vocabulary.from_json(content.decode()))
    if len(vocabulary) != model.vocabulary_size:
        raise BundleError(
            f"{files.place(name)} has {len(vocabulary)} words and the weights are of "
            f"{model.vocabulary_size}: these files are of two models; restore the bundle or train "
            "it again",
            code="bundle.mismatch",
        )
    return vocabulary


def _tokenizer(place: str, style: str, vocabulary: Vocabulary) -> Tokenizer:
    try:
        return make_tokenizer(style, vocabulary.speakers, words=vocabulary.words)
    except CorpusError as error:
        raise BundleError(f"{place}: {error}", code="bundle.unknown_tokenizer") from error


def _epochs(content: bytes) -> list[dict[str, Any]]:
    epochs = [json.loads(line) for line in content.splitlines()]
    names = {"epoch", "is_best", *METRIC_NAMES}
    if not all(isinstance(epoch, dict) and names <= epoch.keys() for epoch in epochs):
        raise ValueError("an epoch lacks a metric")
    return epochs


def _parse(
    files: BundleFiles,
    name: str,
    parse: Callable[[bytes], _T],
    failure: type[Exception] = ValueError,
) -> _T:
    content = files.read(name)
    try:
        return parse(content)
    except (failure, RecursionError) as error:
        raise BundleError(
            f"{files.place(name)} is damaged: {error}", code="bundle.damaged_file"
        ) from error
