"""A bundle: a trained model's folder, the only form in which models lie on disk.

::

    manifest.json         what it is, how it was made, what it is worth, the hash of each file
    vocabulary.json       the words in the order of their ids
    weights.safetensors   the weights                      (not in a serving bundle)
    step.float32.onnx     one step of the model            (not in a serving or compact bundle)
    step.int8.onnx        the same in int8, four times faster: what serves
    spelling.npz          how words are spelled: what an unknown word costs
    copies.npz            fingerprints of the training text, to tell what is copied from it
    ngram.npz             the n-gram model of the training text     (where it was asked for)
    metrics.jsonl         how training went, a line an epoch
    curves.png            the same as a plot               (where Matplotlib is installed)
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar

import numpy as np

from lorelm.bundle.atomic_dir import (
    check_output_path,
    check_replaceable,
    disk_space_hint,
    replace_dir,
    replace_file,
    resolve_dir,
    temporary_name,
)
from lorelm.bundle.dir_lock import lock_dir
from lorelm.bundle.manifest import (
    CacheFacts,
    CorpusFacts,
    Evaluation,
    Figures,
    ImportedFacts,
    Manifest,
    NGramFacts,
    TrainingFacts,
)
from lorelm.bundle.quoting import quoted
from lorelm.corpus.large_corpus import STORE_PATTERNS
from lorelm.corpus.tokenizer import Tokenizer, make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.errors import BundleError, CorpusError, MissingExtraError
from lorelm.model.config import ModelConfig
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.runtime.base import Runtime
from lorelm.runtime.neural_cache import CachedRuntime, CacheSettings
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import PRECISIONS, Precision, Weights
from lorelm.typing import Floats32
from lorelm.version import VERSION

MANIFEST: Final = "manifest.json"
VOCABULARY: Final = "vocabulary.json"
WEIGHTS: Final = "weights.safetensors"
SPELLING: Final = "spelling.npz"
COPIES: Final = "copies.npz"
NGRAM: Final = "ngram.npz"
METRICS: Final = "metrics.jsonl"
METRICS_FIGURES: Final = (
    *("train_loss_nats_per_token", "valid_loss_nats_per_token", "valid_perplexity"),
    "learning_rate",
)
"""What a line of :data:`METRICS` says of an epoch, and a plot shows."""
CURVES: Final = "curves.png"
METRICS_SO_FAR: Final = "metrics.so-far.jsonl"
CHECKPOINT: Final = "checkpoint.safetensors"
_EARLY: Final = (
    *(METRICS_SO_FAR, CHECKPOINT),
    *map(temporary_name, (METRICS_SO_FAR, CHECKPOINT)),
    *STORE_PATTERNS,
)
"""What the folder holds while the model is trained, and no longer when the bundle is written."""

EMBEDDED_PATH: Final = Path(__file__).parent / "embedded"
"""The bundle that the package ships, trained on Shakespeare's plays."""

EMBEDDED_NAME: Final = "shakespeare"
"""Names the embedded model wherever the path of a bundle is expected."""


WeightType = Literal["float32", "float16"]

_TIED: Final = ("fc.weight", "embedding.weight")
"""The tensors that are one in a tied model."""

_T = TypeVar("_T")


def graph_name(precision: Precision) -> str:
    return f"step.{precision}.onnx"


_OWNED: Final = (
    *(MANIFEST, VOCABULARY, WEIGHTS, SPELLING, COPIES, NGRAM, CURVES),
    temporary_name(MANIFEST),
    *_EARLY,
    *map(graph_name, PRECISIONS),
)


def find_bundle(path: str | Path) -> Path:
    """Return the folder to read a bundle from.

    A folder called :data:`EMBEDDED_NAME` that holds a bundle, or a run that is to become one, goes
    before the embedded model of that name.

    Raises:
        BundleError: no right to look.
    """
    folder = resolve_dir(Path(path))
    if str(path) == EMBEDDED_NAME and not any(
        (folder / name).is_file() for name in (MANIFEST, CHECKPOINT)
    ):
        return EMBEDDED_PATH
    return folder


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle that was read and found whole."""

    path: Path
    manifest: Manifest
    vocabulary: Vocabulary
    tokenizer: Tokenizer

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a bundle and check the hash of every file in it but the record of its training.

        Args:
            path: its folder, or :data:`EMBEDDED_NAME`.

        Raises:
            BundleError: it is missing or damaged, of a newer format, or its vocabulary does not
                fit its model. The message names the file.
        """
        given, path = path, find_bundle(path)
        if not path.is_dir():
            what = "is a file" if path.exists() else "does not exist"
            raise BundleError(
                f"bundle {given} {what}: name a folder that lorelm train wrote with --out"
            )
        if (path / CHECKPOINT).is_file() and not (path / MANIFEST).exists():
            raise BundleError(
                f"{given} holds an unfinished run and no model yet: go on with lorelm train "
                f"--resume {quoted(given)}"
            )
        manifest = Manifest.from_json(_read(path / MANIFEST), where=str(path / MANIFEST))
        for name, digest in manifest.files.items():
            if hashlib.sha256(_read(path / name)).hexdigest() != digest:
                raise BundleError(
                    f"{path / name} is not the file that was saved (its SHA-256 differs): restore "
                    "the bundle or train it again"
                )
        for name in (VOCABULARY, graph_name("int8")):
            if name not in manifest.files:
                raise BundleError(f"{path / MANIFEST} lists no {name}, and no bundle is without it")
        return cls(
            path=path,
            manifest=manifest,
            vocabulary=_vocabulary(path / VOCABULARY, manifest.model),
            tokenizer=_tokenizer(path / MANIFEST, manifest.tokenizer),
        )

    @property
    def fingerprint(self) -> str:
        """Tells this model from every other: 16 hexadecimal digits, from the hash of each file.

        The same fingerprint, prompt, settings and seed give the same text.
        """
        manifest = self.manifest
        facts: list[object] = [manifest.tokenizer, sorted(manifest.files.items())]
        if manifest.imported is not None:
            facts.append([manifest.reads_eos_first, manifest.never_written, manifest.precision])
        digest = hashlib.sha256(json.dumps(facts).encode())
        return digest.hexdigest()[:16]

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """The precisions that the bundle has a step graph for."""
        return tuple(p for p in PRECISIONS if graph_name(p) in self.manifest.files)

    def runtime(
        self, precision: Precision | None = None, *, num_threads: int = 1, cache: bool = False
    ) -> Runtime:
        """What executes the model.

        Args:
            precision: None takes that of the manifest.
            cache: with the neural cache.

        Raises:
            BundleError: there is no graph of this precision, or it does not fit the vocabulary; or
                no cache was tuned.
        """
        network = self._network(precision or self.manifest.precision, num_threads=num_threads)
        if not cache:
            return network
        facts = self.manifest.cache
        if facts is None:
            raise BundleError(
                f"bundle {self.path} has no settings of a neural cache{self._why_not()}"
            )
        return CachedRuntime(network, CacheSettings(facts.size, facts.sharpness, facts.weight))

    def _network(self, precision: Precision, *, num_threads: int) -> OnnxRuntime:
        name = graph_name(precision)
        if precision not in self.precisions:
            raise BundleError(
                f"bundle {self.path} has no {name}: it has {', '.join(self.precisions)} only"
            )
        return OnnxRuntime(
            _read(self.path / name),
            self.manifest.model,
            name=str(self.path / name),
            num_threads=num_threads,
        )

    def spelling(self) -> KneserNey | None:
        """The model of how words are spelled, over code points; None where there is none.

        Raises:
            BundleError: it is damaged.
        """
        return self._parsed(SPELLING, KneserNey.from_bytes)

    @property
    def has_ngram(self) -> bool:
        """Whether it carries the n-gram model of its training text."""
        return NGRAM in self.manifest.files and self.manifest.ngram is not None

    def ngram(self, *, cache: bool = False) -> tuple[KneserNey, float]:
        """The n-gram model of the training text, and the weight of the network in the mixture.

        Args:
            cache: the weight of the network with the neural cache.

        Raises:
            BundleError: there is none, it is damaged, or it does not fit the vocabulary.
        """
        model = self._parsed(NGRAM, KneserNey.from_bytes)
        if model is None or self.manifest.ngram is None:
            raise BundleError(
                f"bundle {self.path} carries no n-gram model{self._why_not(' with --ngram')}"
            )
        if model.vocabulary_size != len(self.vocabulary):
            raise BundleError(
                f"{self.path / NGRAM} is of another vocabulary: restore the bundle or train it "
                "again"
            )
        facts = self.manifest.cache
        if cache and facts is not None and facts.mixture_weight is not None:
            return model, facts.mixture_weight
        return model, self.manifest.ngram.mixture_weight

    def _why_not(self, how: str = "") -> str:
        if self.manifest.imported is not None:
            return ", for it was imported, and that is learned from the training text"
        return f": train it again{how}"

    def copies(self) -> FingerprintIndex | None:
        """The fingerprints of the training text; None where there are none.

        Raises:
            BundleError: they are damaged.
        """
        return self._parsed(COPIES, FingerprintIndex.from_bytes)

    def metrics(self) -> list[dict[str, Any]]:
        """How training went, an object an epoch; empty where there is no record of it.

        Raises:
            BundleError: it is damaged.
        """
        path = self.path / METRICS
        if not path.exists():
            return []
        try:
            rows: list[dict[str, Any]] = [json.loads(line) for line in _read(path).splitlines()]
            if all({"epoch", "is_best", *METRICS_FIGURES} <= row.keys() for row in rows):
                return rows
        except (ValueError, AttributeError) as error:  # no JSON, or no objects
            raise BundleError(f"{path} is damaged: {error}") from error
        raise BundleError(f"{path} is damaged: an epoch lacks a figure")

    def record_figures(self, figures: Figures) -> None:
        """Writes into the manifest what the model was found to be worth.

        Raises:
            BundleError: it cannot be written.
        """
        manifest = self.manifest.model_copy(update={"figures": figures})
        try:
            replace_file(self.path / MANIFEST, manifest.to_json())
        except OSError as error:
            raise BundleError(f"{self.path / MANIFEST} cannot be written: {error}") from error

    def _parsed(self, name: str, parse: Callable[[bytes], _T]) -> _T | None:
        if name not in self.manifest.files:
            return None
        try:
            return parse(_read(self.path / name))
        except ValueError as error:
            raise BundleError(f"{self.path / name} is damaged: {error}") from error

    def weights(self) -> dict[str, Floats32]:
        """The tensors of :meth:`ModelConfig.tensor_shapes`, in float32.

        Raises:
            BundleError: there are none, or they do not fit the vocabulary and the model.
            MissingExtraError: the package ``safetensors`` is not installed.
        """
        if WEIGHTS not in self.manifest.files:
            raise BundleError(f"bundle {self.path} has no {WEIGHTS}: it is a serving bundle")
        try:
            from safetensors import SafetensorError
            from safetensors.numpy import load
        except ImportError as error:
            raise MissingExtraError("reading a model's weights", "train") from error
        try:
            stored = load(_read(self.path / WEIGHTS))
        except SafetensorError as error:
            raise BundleError(f"{self.path / WEIGHTS} is damaged: {error}") from error
        weights: dict[str, Floats32] = {n: w.astype(np.float32) for n, w in stored.items()}
        if self.manifest.model.tied and _TIED[1] in weights:
            weights[_TIED[0]] = weights[_TIED[1]]
        shapes = {name: tensor.shape for name, tensor in weights.items()}
        expected = self.manifest.model.tensor_shapes()
        for name in sorted(shapes.keys() | expected.keys()):
            if shapes.get(name) != expected.get(name):
                raise BundleError(
                    f"{self.path / WEIGHTS} does not fit {MANIFEST} and {VOCABULARY}: tensor "
                    f"{name} is {shapes.get(name, 'missing')}, not {expected.get(name, 'expected')}"
                )
        return weights


def save_bundle(
    path: str | Path,
    *,
    vocabulary: Vocabulary,
    tokenizer: Tokenizer,
    model: ModelConfig,
    graphs: Mapping[Precision, bytes],
    weights: Weights | None,
    weight_type: WeightType = "float32",
    reads_eos_first: bool = True,
    never_written: Sequence[str] = (),
    precision: Precision = "int8",
    imported: ImportedFacts | None = None,
    recipe: Mapping[str, object] | None = None,
    corpus: CorpusFacts | None = None,
    evaluation: Evaluation | None = None,
    training: TrainingFacts | None = None,
    spelling: KneserNey | None = None,
    copies: FingerprintIndex | None = None,
    ngram: KneserNey | None = None,
    ngram_facts: NGramFacts | None = None,
    cache: CacheFacts | None = None,
    metrics: bytes = b"",
    curves: bytes | None = None,
) -> None:
    """Writes a bundle in place of the one that may be there, all of it or nothing.

    Without `weights` it is a serving bundle; without `ngram` it cannot give the mixture, without
    `copies` neither tell nor forbid copied spans. Of a model that is `imported`, what is not known
    is left out. Files of other names in the folder stay.

    Args:
        weight_type: the numbers that the weights are written in.
        metrics: the lines of ``metrics.jsonl``.
        curves: the plot ``curves.png``.

    Raises:
        BundleError: it cannot be written.
        MissingExtraError: the package ``safetensors`` is not installed.
    """
    files = {VOCABULARY: vocabulary.to_json().encode()}
    files |= {graph_name(precision): graph for precision, graph in graphs.items()}
    if spelling is not None:
        files[SPELLING] = spelling.to_bytes()
    if copies is not None:
        files[COPIES] = copies.to_bytes()
    if ngram is not None:
        files[NGRAM] = ngram.to_bytes()
    if weights is not None:
        files[WEIGHTS] = _serialize(weights, weight_type, tied=model.tied)
    manifest = Manifest(
        created_by=f"lorelm {VERSION}",
        tokenizer=tokenizer.style,
        model=model,
        reads_eos_first=reads_eos_first,
        never_written=tuple(never_written),
        precision=precision,
        imported=imported,
        recipe=None if recipe is None else dict(recipe),
        corpus=corpus,
        evaluation=evaluation,
        training=training,
        ngram=ngram_facts,
        cache=cache,
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    )
    files[MANIFEST] = manifest.to_json()
    if metrics:
        files[METRICS] = metrics
    if curves is not None:
        files[CURVES] = curves
    try:
        replace_dir(Path(path), files, owned=_OWNED)
    except OSError as error:
        remedy = disk_space_hint(sum(map(len, files.values())), error)
        raise BundleError(
            f"bundle {path} cannot be written: {error.strerror or error}{remedy}"
        ) from error


def check_output_dir(path: str | Path) -> None:
    """Refuses what :func:`lock_output_dir` would refuse, and leaves no trace.

    Raises:
        BundleError: see there.
    """
    path = Path(path)
    if path.is_dir():
        with lock_output_dir(path):
            pass
    else:
        check_output_path(path)


@contextmanager
def lock_output_dir(path: str | Path) -> Iterator[None]:
    """Holds a folder for :func:`save_bundle`, from before the work to after it.

    Raises:
        BundleError: it holds something else than a bundle or an unfinished run, is the embedded
            bundle, cannot be written, or is held by another run.
    """
    path = Path(path)
    if path.resolve() == EMBEDDED_PATH.resolve():
        raise BundleError(f"{path} is the model that LoreLM comes with: give --out a new folder")
    check_output_path(path)
    with lock_dir(path):
        check_replaceable(path, is_ours=_is_ours, early=(METRICS, *_EARLY), owned=_OWNED)
        yield


def find_manifest(path: Path) -> Manifest | None:
    """The manifest of the bundle in a folder; None where there is no bundle."""
    try:
        return Manifest.from_json(_read(path / MANIFEST), where=MANIFEST)
    except BundleError:
        return None


def _is_ours(path: Path) -> bool:
    return (path / CHECKPOINT).is_file() or find_manifest(path) is not None


def _serialize(weights: Weights, weight_type: WeightType, *, tied: bool) -> bytes:
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise MissingExtraError("writing a model's weights", "train") from error
    # A tied matrix is written once.
    stored = {name: w.astype(weight_type) for name, w in weights.items()}
    if tied:
        del stored[_TIED[0]]
    serialized: bytes = save(stored)
    return serialized


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path} is missing or cannot be read ({error.strerror or error}): name a folder that "
            "lorelm train wrote with --out, or restore the file"
        ) from error


def _vocabulary(path: Path, model: ModelConfig) -> Vocabulary:
    try:
        vocabulary = Vocabulary.from_json(_read(path).decode())
    except (CorpusError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} is damaged: {error}") from error
    if len(vocabulary) != model.vocabulary_size:
        raise BundleError(
            f"{path} has {len(vocabulary)} words and the weights are of {model.vocabulary_size}: "
            "these files are of two models; restore the bundle or train it again"
        )
    return vocabulary


def _tokenizer(path: Path, style: str) -> Tokenizer:
    try:
        return make_tokenizer(style)
    except CorpusError as error:
        raise BundleError(f"{path}: {error}") from error
