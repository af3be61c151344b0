"""Replaces a folder as a whole, so that whoever is killed meanwhile leaves the old one whole."""

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from lorelm.errors import BundleError


def check_replaceable(path: Path, owned: str) -> None:
    """Refuses to replace what is not ours: a file, or a folder with other things in it.

    Args:
        owned: pattern of the files that a folder of ours may hold without a manifest.

    Raises:
        BundleError: it is not ours, or cannot be written.
    """
    recover(path)
    if path.is_file():
        raise BundleError(f"{path} is a file: give --out a folder to write the bundle to")
    if path.is_dir() and not (path / "manifest.json").is_file():
        others = [entry.name for entry in path.iterdir() if not entry.match(owned)]
        if others:
            raise BundleError(
                f"{path} is a folder that holds other things (such as {others[0]}): give --out a "
                "new folder"
            )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BundleError(f"{path} cannot be made: {error.strerror or error}") from error
    if not os.access(path.parent, os.W_OK):
        raise BundleError(f"{path} cannot be written: no right to write in {path.parent.resolve()}")


def replace_folder(path: Path, files: Mapping[str, bytes], *, owned: Collection[str] = ()) -> None:
    """Makes `path` a folder of these files.

    Of the files that it had before, those of other names stay, unless they are among the `owned`.

    All is written beside it and takes its place by renaming. Killed at any moment, it leaves the
    old folder or the new one; :func:`recover` puts it in place if need be.

    Raises:
        OSError: it cannot be written (the old folder is as it was).
    """
    recover(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new, old = _new(path), _old(path)
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir()
        for name, content in files.items():
            _write(new / name, content)
        if path.is_dir():
            for entry in path.iterdir():
                if entry.is_file() and entry.name not in {*files, *owned}:
                    shutil.copy2(entry, new / entry.name)
            path.rename(old)
        new.rename(path)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        recover(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def recover(path: Path) -> None:
    """Finishes what a killed :func:`replace_folder` began: the old folder goes back or away."""
    old = _old(path)
    if not old.is_dir():
        return
    if path.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.rename(path)


def _new(path: Path) -> Path:
    return path.absolute().with_name(f".{path.absolute().name}.new")


def _old(path: Path) -> Path:
    return path.absolute().with_name(f".{path.absolute().name}.old")


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
