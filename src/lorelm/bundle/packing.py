"""Make one file of a bundle, and a directory of that file: :func:`pack` and :func:`unpack`."""

from pathlib import Path

from lorelm.bundle import layout
from lorelm.bundle.atomic_dir import replace_dir, replace_file, wrap_write_errors
from lorelm.bundle.bundle import Bundle
from lorelm.bundle.files import is_pack, pack_bytes
from lorelm.bundle.writer import lock_output_dir
from lorelm.errors import BundleError


def pack(bundle: Bundle, out: Path, *, fingerprints: bool = True, weights: bool = True) -> None:
    """Write a bundle as one file; a pack that is there is replaced.

    Args:
        fingerprints: with the fingerprints of the training text. Without them the model cannot mark
            or forbid copies, and nobody can test whether a sentence was in the text.
        weights: with what only training needs: the weights and the float32 graph, unless the model
            is served by that.

    Raises:
        BundleError: `out` is a directory or a file that is no pack, or cannot be written.
    """
    _check_replaceable(out, bundle)
    content = pack_bytes(packed_files(bundle, fingerprints=fingerprints, weights=weights))
    with wrap_write_errors(out, len(content)):
        out.parent.mkdir(parents=True, exist_ok=True)
        replace_file(out, content)


def unpack(bundle: Bundle, out: Path) -> None:
    """Write the files of a bundle into a directory, and replace a bundle that is there.

    Raises:
        BundleError: the directory holds other things, or cannot be written.
    """
    files = packed_files(bundle)
    with lock_output_dir(out), wrap_write_errors(out, sum(map(len, files.values()))):
        replace_dir(out, files, owned=layout.OWNED_FILES)


def _check_replaceable(out: Path, bundle: Bundle) -> None:
    what = ""
    if out.is_dir():
        what = "a folder"
    elif out.exists() and not is_pack(out):
        what = "another file"
    elif out.exists() and out.samefile(bundle.path):
        what = "the model itself"
    if what:
        raise BundleError(
            f"{out} is {what}: choose another name (out, --out)", code="bundle.in_use"
        )


def packed_files(
    bundle: Bundle, *, fingerprints: bool = True, weights: bool = True
) -> dict[str, bytes]:
    """Return the files of a bundle by their names; see :func:`pack` for the arguments."""
    left_out = set() if fingerprints else {layout.COPIES}
    if not weights:
        left_out.add(layout.WEIGHTS)
        if bundle.manifest.precision == "int8":
            left_out.add(layout.graph_name("float32"))
    kept = {n: digest for n, digest in bundle.manifest.files.items() if n not in left_out}
    manifest = bundle.manifest.model_copy(update={"files": kept})
    unhashed = [name for name in (layout.METRICS, layout.CURVES) if name in bundle.files]
    files = {name: bundle.files.read(name) for name in (*kept, *unhashed)}
    return {layout.MANIFEST: manifest.to_json(), **files}
