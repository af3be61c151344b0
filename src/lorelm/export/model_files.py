"""The files of a model for the browser: one that it needs to write, and one to tell copies."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final

import numpy.typing as npt

from lorelm.bundle import Bundle, layout
from lorelm.errors import BundleError
from lorelm.export.onnx_file import read_graph
from lorelm.export.step_tensors import step_tensors
from lorelm.export.tensor_file import tensor_file
from lorelm.generation.settings import GenerationSettings
from lorelm.ngrams.npz import load_arrays

FORMAT: Final = 1
"""Of the files; a page of another version cannot read them."""

LEFT_OUT: Final = ("logit_bias", "banned_words", "must_contain", "blend", "memory")
"""Generation settings that the model in the browser does not know."""


def model_file(bundle: Bundle, *, mixture: bool) -> bytes:
    """Return the weights, the words, and with `mixture` the n-gram model.

    Raises:
        BundleError: a part of the bundle is missing or damaged, or of another version.
    """
    tensors = dict(_step_tensors(bundle))
    manifest = bundle.manifest
    metadata: dict[str, Any] = {
        "format": FORMAT,
        "tokenizer": manifest.tokenizer,
        "words": bundle.vocabulary.words,
        "network": asdict(manifest.model),
        "reads_eos_first": manifest.reads_eos_first,
        "never_written": manifest.never_written,
        "has_stand_ins": manifest.imported is None,
        "mixture_weight": None,
        "defaults": default_settings(),
    }
    if mixture:
        ngram, metadata["mixture_weight"] = bundle.ngram()
        tensors |= {f"ngram.{name}": array for name, array in load_arrays(ngram.to_bytes()).items()}
        del tensors["ngram.vocabulary_size"]
    return tensor_file(tensors, metadata)


def copies_file(bundle: Bundle) -> bytes | None:
    """Return the fingerprints of the training text; None where the bundle has none."""
    if not has_copies(bundle):
        return None
    # Not as an index, which is sorted for seconds. Its hash was checked when the bundle was loaded.
    arrays = load_arrays(bundle.files.read(layout.COPIES))
    tensors = {f"copies.{name}": arrays[name] for name in ("high", "low")}
    return tensor_file(tensors, {"format": FORMAT})


def has_copies(bundle: Bundle) -> bool:
    """Return whether a bundle has the fingerprints of its training text."""
    return layout.COPIES in bundle.manifest.files


def default_settings() -> dict[str, Any]:
    """Return the settings of a request to the page, and their defaults."""
    defaults = GenerationSettings()
    names = [each.name for each in fields(defaults) if each.name not in LEFT_OUT]
    return {"prompt": "", **{name: getattr(defaults, name) for name in names}}


def _step_tensors(bundle: Bundle) -> Mapping[str, npt.NDArray[Any]]:
    name = layout.graph_name("int8")
    try:
        return step_tensors(read_graph(bundle.files.read(name)), bundle.manifest.model)
    except ValueError as error:
        raise BundleError(
            f"{bundle.files.place(name)} cannot be exported ({error}): train the model again with "
            "this version of LoreLM",
            code="export.other_graph",
        ) from error
