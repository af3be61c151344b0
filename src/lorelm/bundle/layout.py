"""Files of a bundle: a directory or a pack with a trained model, the only form models are kept in.

::

    manifest.json         what it is, how it was made, its metrics, the SHA-256 of each file
    vocabulary.json       the words in the order of their ids
    weights.safetensors   the weights                      (not in a serving bundle)
    step.float32.onnx     one step of the model            (not in a serving or compact bundle)
    step.int8.onnx        the same in int8, four times faster: the default for serving
    spelling.npz          character n-gram model that prices unknown words
    copies.npz            fingerprints of the training text, to detect copied spans
    ngram.npz             n-gram model of the training text (optional)
    metrics.jsonl         training metrics, one line per epoch
    curves.png            the same as a plot               (where Matplotlib is installed)
"""

from pathlib import Path
from typing import Final

from lorelm.bundle.atomic_dir import temporary_name
from lorelm.corpus.id_store import STORE_PATTERNS
from lorelm.runtime.step_graph import PRECISIONS, Precision

MANIFEST: Final = "manifest.json"
VOCABULARY: Final = "vocabulary.json"
WEIGHTS: Final = "weights.safetensors"
SPELLING: Final = "spelling.npz"
COPIES: Final = "copies.npz"
NGRAM: Final = "ngram.npz"
METRICS: Final = "metrics.jsonl"
CURVES: Final = "curves.png"
METRICS_SO_FAR: Final = "metrics.so-far.jsonl"
CHECKPOINT: Final = "checkpoint.safetensors"


def graph_name(precision: Precision) -> str:
    return f"step.{precision}.onnx"


BUNDLE_FILES: Final = (
    *(MANIFEST, VOCABULARY, *map(graph_name, PRECISIONS), WEIGHTS),
    *(SPELLING, COPIES, NGRAM, METRICS, CURVES),
)
"""All files of a bundle, in the order of a pack."""

PACK_ENDING: Final = ".lorelm"

TRAINING_FILES: Final = (
    *(METRICS_SO_FAR, CHECKPOINT),
    *map(temporary_name, (METRICS_SO_FAR, CHECKPOINT)),
    *STORE_PATTERNS,
)
"""Names and patterns of files that exist during training; saving the bundle removes them."""

OWNED_FILES: Final = (
    *(name for name in BUNDLE_FILES if name != METRICS),
    *map(temporary_name, (MANIFEST, NGRAM)),
    *TRAINING_FILES,
)
"""Names and patterns of files that saving a bundle replaces; other files in the directory stay."""

EMBEDDED_PATH: Final = Path(__file__).parent / "embedded"
"""The bundle that the package ships: a model of novels, stories and plays in English."""

EMBEDDED_NAME: Final = "english"
"""Name of the embedded model wherever the path of a bundle is expected."""
