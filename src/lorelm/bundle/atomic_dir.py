"""Replaces a folder as a whole, so that whoever is killed meanwhile leaves the old one whole."""

import errno
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from lorelm.errors import BundleError


def check_output_path(path: Path) -> None:
    """Refuses a place where no folder can be replaced as a whole.

    Raises:
        BundleError: it is a file, a link, a mount point, the current folder or the root; or nobody
            can look.
    """
    path = path.absolute()
    try:
        is_fixed = path in (Path.cwd(), Path(path.anchor)) or path.is_symlink() or path.is_mount()
        is_file = path.exists() and not path.is_dir()
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror or error}") from error
    if is_fixed:
        raise BundleError(f"{path} cannot be replaced as a whole: give --out a new folder")
    if is_file:
        raise BundleError(f"{path} is a file: give --out a folder to write the bundle to")


def check_replaceable(
    path: Path,
    *,
    is_ours: Callable[[Path], bool],
    early: Collection[str],
    owned: Collection[str] = (),
) -> None:
    """Refuses to replace what is not ours, or cannot be: better now than after hours of training.

    Args:
        is_ours: tells whether a folder is one that we wrote; it may hold other things, which stay.
        early: names, or patterns of names, of the files that a folder of ours may hold before
            `is_ours` knows it.
        owned: as for :func:`replace_dir`.

    Raises:
        BundleError: there is a folder with other things in it, or it cannot be written.
    """
    path = path.absolute()
    try:
        recover(path, owned=owned)
        if _old(path).exists():
            raise BundleError(
                f"{_old(path)} is in the way, which an earlier save has left: move it elsewhere"
            )
        if path.is_dir():
            if not is_ours(path):
                _check_contents(path, early=early)
            path.rename(_old(path))
            _old(path).rename(path)
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror or error}") from error
    if not os.access(path.parent, os.W_OK):
        raise BundleError(f"{path} cannot be written: no right to write in {path.parent}")


def _check_contents(path: Path, *, early: Collection[str]) -> None:
    for entry in path.iterdir():
        if entry.is_dir() or not _is_among(entry.name, early):
            raise BundleError(
                f"{path} is a folder that holds other things (such as {entry.name}): give --out a "
                "new folder"
            )


def replace_dir(path: Path, files: Mapping[str, bytes], *, owned: Collection[str] = ()) -> None:
    """Makes `path` a folder of these files.

    What else it held before stays, subfolders too, but for the files among the `owned`, which may
    be patterns (``ids.*``).

    All is written beside it and takes its place by renaming. Killed at any moment, it leaves the
    old folder or the new one; :func:`recover` puts it in place if need be.

    Raises:
        OSError: it cannot be written (the old folder is as it was).
    """
    path = path.absolute()
    recover(path, owned=owned)
    path.parent.mkdir(parents=True, exist_ok=True)
    new, old = _new(path), _old(path)
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir()
        for name, content in files.items():
            _write(new / name, content)
        if path.is_dir():
            path.rename(old)
        new.rename(path)
    except BaseException:  # Ctrl-C too
        shutil.rmtree(new, ignore_errors=True)
        recover(path, owned=owned)
        raise
    recover(path, owned=owned)


def replace_file(path: Path, content: bytes) -> None:
    """Puts `content` in place of a file by renaming, so that the old or the new is there, whole.

    Raises:
        OSError: it cannot be written (the old file is as it was).
    """
    new = path.with_name(temporary_name(path.name))
    try:
        _write(new, content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def temporary_name(name: str) -> str:
    """What :func:`replace_file` calls a file until it is whole."""
    return f".{name}.new"


def disk_space_hint(num_bytes: int, error: OSError) -> str:
    """What to do about an error where it is a lack of room, in brackets; else nothing."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return f" (free {num_bytes / 1e6:.1f} MB for it)" if is_full else ""


def recover(path: Path, *, owned: Collection[str] = ()) -> None:
    """Finishes what a killed :func:`replace_dir` began.

    The old folder goes back; where the new one is in its place, what is not ours in the old one
    goes over, and the rest away.

    Args:
        owned: as for :func:`replace_dir`.
    """
    path = path.absolute()
    old = _old(path)
    if not old.is_dir():
        return
    if not path.is_dir():
        old.rename(path)
        return
    with suppress(OSError):  # what cannot be moved keeps the old folder there
        for entry in [*old.iterdir()]:
            if _is_among(entry.name, owned) or (path / entry.name).exists():
                entry.unlink()  # which takes no folder away
            else:
                entry.rename(path / entry.name)
        old.rmdir()


def resolve_dir(path: Path) -> Path:
    """Where to read the folder: `path`, or where a save that is under way or was killed left it.

    Nothing is moved, since the save may be going on.

    Raises:
        BundleError: nobody can look.
    """
    path = path.absolute()
    try:
        return _old(path) if path.name and not path.exists() and _old(path).is_dir() else path
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}") from error


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
