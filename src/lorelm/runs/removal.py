"""Remove a run: :func:`remove_run`."""

import shutil
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from lorelm.bundle.atomic_dir import (
    recover,
    temporary_name,
    wrap_write_errors,
)
from lorelm.bundle.dir_lock import lock_dir
from lorelm.bundle.files import is_pack
from lorelm.bundle.layout import EMBEDDED_PATH, METRICS, OWNED_FILES
from lorelm.errors import BundleError
from lorelm.runs.registry import forget
from lorelm.runs.run import Run

_OURS = (*OWNED_FILES, METRICS)


def owned_files(folder: Path) -> list[Path]:
    """Return the files of a run's folder that LoreLM wrote; of a packed model, its file."""
    if not folder.is_dir():
        return [folder] if is_pack(folder) else []
    return [
        entry
        for entry in sorted(folder.iterdir())
        if any(fnmatchcase(entry.name, name) for name in _OURS)
        and (entry.is_file() or entry.is_symlink())
    ]


def remove_run(run: Run) -> None:
    """Delete the files of a run and, if nothing else is in it, its folder; forget the run.

    Raises:
        BundleError: it is running, cannot be deleted, or is the embedded model.
    """
    if run.path.resolve() == EMBEDDED_PATH.resolve():
        raise BundleError(
            f"{run.path} is the model that LoreLM comes with, which stays", code="bundle.embedded"
        )
    if run.state != "gone" and run.path.parent.is_dir():
        _delete(run.path)
    forget(run.path)


def _delete(path: Path) -> None:
    try:
        with lock_dir(path), wrap_write_errors(path):
            recover(path, owned=_OURS)
            for file in owned_files(path):
                file.unlink()
            # What a save was writing when its process was killed.
            shutil.rmtree(path.with_name(temporary_name(path.name)), ignore_errors=True)
            with suppress(OSError):  # other files are in it
                path.rmdir()
    except BundleError as error:
        if error.code != "bundle.locked":
            raise
        raise BundleError(
            f"the run in {path} is running: stop it with Ctrl-C in its terminal before you "
            "remove it",
            code="runs.running",
        ) from error
