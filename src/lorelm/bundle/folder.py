"""Replaces a folder as a whole, so that whoever is killed meanwhile leaves the old one whole."""

import os
import shutil
from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from lorelm.errors import BundleError


def check_replaceable(
    path: Path, *, is_ours: Callable[[Path], bool], early: Collection[str]
) -> None:
    """Refuses to replace what is not ours, or cannot be: better now than after hours of training.

    Args:
        is_ours: tells whether a folder is one that we wrote.
        early: names, or patterns of names, of the files that a folder of ours may hold before
            anything else is in it.

    Raises:
        BundleError: it is a file, a link, the current folder or one with other things in it, or it
            cannot be written.
    """
    path = path.absolute()
    if path in (Path.cwd(), Path(path.anchor)) or path.is_symlink():
        raise BundleError(f"{path} cannot be replaced as a whole: give --out a new folder")
    if path.exists() and not path.is_dir():
        raise BundleError(f"{path} is a file: give --out a folder to write the bundle to")
    try:
        recover(path)
        if path.is_dir():
            _check_contents(path, is_ours=is_ours(path), early=early)
            path.rename(_old(path))
            _old(path).rename(path)
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror or error}") from error
    if not os.access(path.parent, os.W_OK):
        raise BundleError(f"{path} cannot be written: no right to write in {path.parent}")


def _check_contents(path: Path, *, is_ours: bool, early: Collection[str]) -> None:
    for entry in path.iterdir():
        if entry.is_dir() or not (is_ours or _is_among(entry.name, early)):
            raise BundleError(
                f"{path} is a folder that holds other things (such as {entry.name}): give --out a "
                "new folder"
            )


def replace_folder(path: Path, files: Mapping[str, bytes], *, owned: Collection[str] = ()) -> None:
    """Makes `path` a folder of these files.

    Of the files that it had before, those of other names stay, unless they are among the `owned`,
    which may be patterns (``ids.*``).

    All is written beside it and takes its place by renaming. Killed at any moment, it leaves the
    old folder or the new one; :func:`recover` puts it in place if need be.

    Raises:
        OSError: it cannot be written (the old folder is as it was).
    """
    path = path.absolute()
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
                if entry.is_file() and not _is_among(entry.name, {*files, *owned}):
                    shutil.copy2(entry, new / entry.name)
            path.rename(old)
        new.rename(path)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        recover(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def replace_file(path: Path, content: bytes) -> None:
    """Puts `content` in place of a file by renaming, so that the old or the new is there, whole.

    Raises:
        OSError: it cannot be written (the old file is as it was).
    """
    new = path.with_name(f".{path.name}.new")
    try:
        _write(new, content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def recover(path: Path) -> None:
    """Finishes what a killed :func:`replace_folder` began: the old folder goes back or away."""
    path = path.absolute()
    old = _old(path)
    if not old.is_dir():
        return
    if path.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.rename(path)


def whole_folder(path: Path) -> Path:
    """Where to read the folder: `path`, or where a save that is under way or was killed left it.

    Nothing is moved, since the save may be going on.
    """
    path = path.absolute()
    return _old(path) if path.name and not path.exists() and _old(path).is_dir() else path


def _is_among(name: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _new(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _old(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
