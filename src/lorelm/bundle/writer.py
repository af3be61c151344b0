"""Write a bundle, :func:`save_bundle`, or add to one."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lorelm.bundle import atomic_dir, layout
from lorelm.bundle.bundle import Bundle
from lorelm.bundle.dir_lock import lock_dir
from lorelm.bundle.files import find_manifest, is_pack
from lorelm.bundle.hub import is_hub_address
from lorelm.bundle.manifest import Manifest
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.errors import BundleError, MissingExtraError
from lorelm.machine.quoting import quoted
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.runtime.step_graph import Precision, Weights
from lorelm.version import VERSION

WeightType = Literal["float32", "float16"]


@dataclass(frozen=True, kw_only=True)
class BundleContents:
    """Everything that a bundle is written from.

    Attributes:
        manifest: all metadata; :func:`save_bundle` fills in its `created_by` and `files`.
        weights: None makes a serving bundle, which cannot be trained further.
        weight_type: the number format of the weights on disk.
        metrics, curves: the contents of ``metrics.jsonl`` and ``curves.png``.
    """

    manifest: Manifest
    vocabulary: Vocabulary
    graphs: Mapping[Precision, bytes]
    weights: Weights | None = None
    weight_type: WeightType = "float32"
    spelling: KneserNey | None = None
    copies: FingerprintIndex | None = None
    ngram: KneserNey | None = None
    metrics: bytes = b""
    curves: bytes | None = None

    def files(self) -> dict[str, bytes]:
        """Return the content of every file by its name."""
        files = {layout.VOCABULARY: self.vocabulary.to_json().encode()}
        files |= {layout.graph_name(precision): graph for precision, graph in self.graphs.items()}
        models = {
            layout.SPELLING: self.spelling,
            layout.COPIES: self.copies,
            layout.NGRAM: self.ngram,
        }
        files |= {name: model.to_bytes() for name, model in models.items() if model is not None}
        if self.weights is not None:
            is_tied = self.manifest.model.tied
            files[layout.WEIGHTS] = _serialize(self.weights, self.weight_type, tied=is_tied)
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        metadata = {"created_by": f"lorelm {VERSION}", "files": hashes}
        files[layout.MANIFEST] = self.manifest.model_copy(update=metadata).to_json()
        if self.metrics:
            files[layout.METRICS] = self.metrics
        if self.curves is not None:
            files[layout.CURVES] = self.curves
        return files


def save_bundle(path: str | Path, contents: BundleContents) -> None:
    """Write a bundle and replace one that may be there, atomically.

    Files in the directory that are not those of a bundle stay.

    Raises:
        BundleError: it cannot be written.
        MissingExtraError: the package ``safetensors`` is not installed.
    """
    files = contents.files()
    with atomic_dir.wrap_write_errors(Path(path), sum(map(len, files.values()))):
        atomic_dir.replace_dir(Path(path), files, owned=layout.OWNED_FILES)


def add_ngram(bundle: Bundle, model: KneserNey, changes: Mapping[str, object]) -> Bundle:
    """Add an n-gram model to a bundle, atomically: a crash leaves the bundle as it was.

    Args:
        changes: what else changes in the manifest.

    Raises:
        BundleError: it cannot be written, is the embedded bundle, or has been replaced.
    """
    path, content = bundle.path, model.to_bytes()
    _refuse_embedded(path, "copy the folder and add the n-gram model to the copy")
    with lock_dir(path), atomic_dir.wrap_write_errors(path, len(content)):
        if find_manifest(path) != bundle.manifest:
            raise BundleError(
                f"bundle {path} was replaced meanwhile: add the n-gram model again",
                code="bundle.replaced",
            )
        files = bundle.manifest.files | {layout.NGRAM: hashlib.sha256(content).hexdigest()}
        manifest = bundle.manifest.model_copy(update={**changes, "files": files})
        # The model first: as long as the manifest does not list it, the bundle is the old one.
        bundle.files.replace({layout.NGRAM: content, layout.MANIFEST: manifest.to_json()})
    return Bundle.load(path)


def check_output_dir(path: str | Path) -> None:
    """Refuse what :func:`lock_output_dir` would refuse, and leave no trace."""
    path = Path(path)
    if path.is_dir():
        with lock_output_dir(path):
            pass
    else:
        atomic_dir.check_output_path(path)


@contextmanager
def lock_output_dir(path: str | Path) -> Iterator[None]:
    """Hold the directory that a bundle will be saved to, from before the work to after it.

    Raises:
        BundleError: it holds something else than a bundle or an unfinished run, is the embedded
            bundle, cannot be written, or is locked by another run.
    """
    path = Path(path)
    _refuse_embedded(path, "choose a new folder (out, --out)")
    if is_hub_address(path):
        raise BundleError(
            f"{path} is on the Hugging Face Hub: choose a folder (out, --out), and publish it with "
            "lorelm push",
            code="bundle.on_the_hub",
        )
    if is_pack(path):
        raise BundleError(
            f"{path} is a packed model, which cannot be written into: unpack it (lorelm unpack "
            f"{quoted(path)}), or choose a new folder (out, --out)",
            code="bundle.packed",
        )
    atomic_dir.check_output_path(path)
    with lock_dir(path):
        atomic_dir.check_replaceable(
            path,
            is_ours=lambda path: (
                (path / layout.CHECKPOINT).is_file() or find_manifest(path) is not None
            ),
            early=(layout.METRICS, *layout.TRAINING_FILES),
            owned=layout.OWNED_FILES,
        )
        yield


def _refuse_embedded(path: Path, remedy: str) -> None:
    if path.resolve() == layout.EMBEDDED_PATH.resolve():
        raise BundleError(
            f"{path} is the model that LoreLM comes with: {remedy}", code="bundle.embedded"
        )


def _serialize(weights: Weights, weight_type: WeightType, *, tied: bool) -> bytes:
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise MissingExtraError("writing a model's weights", "train") from error
    # A tied matrix is stored once, as the embedding.
    stored = {
        name: array.astype(weight_type)
        for name, array in weights.items()
        if not (tied and name == "fc.weight")
    }
    serialized: bytes = save(stored)
    return serialized
