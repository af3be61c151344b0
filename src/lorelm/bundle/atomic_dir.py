"""Replace a directory atomically, so that a crash leaves the old or the new one intact."""

import errno
import os
import shutil
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from lorelm.errors import BundleError
from lorelm.machine.renaming import rename

_IN_USE: Final = (5, 32)
"""Errors of Windows when a file, or one in a folder, is open: access denied, sharing violation."""


@contextmanager
def wrap_write_errors(path: Path, num_bytes: int = 0) -> Iterator[None]:
    """Turn an OSError into a BundleError; if the disk is full, say how many bytes to free."""
    try:
        yield
    except OSError as error:
        hint = disk_space_hint(num_bytes, error) if num_bytes else ""
        if getattr(error, "winerror", None) in _IN_USE:
            hint = " (a program may have it open, such as a viewer or a terminal: close that)"
        raise BundleError(
            f"{path} cannot be written: {error.strerror or error}{hint}", code="bundle.unwritable"
        ) from error


_OPTION: Final = "out, --out"


def check_output_path(path: Path, *, option: str = _OPTION) -> None:
    """Refuse a path where no directory can be replaced as a whole, such as a file or a link.

    Args:
        option: names, in an error, where the user gave the path.
    """
    path = path.absolute()
    with wrap_write_errors(path):
        is_mount = os.path.ismount(path)  # Path.is_mount fails on Windows with Python 3.11
        is_fixed = path in (Path.cwd(), Path(path.anchor)) or path.is_symlink() or is_mount
        is_file = path.exists() and not path.is_dir()
    if is_fixed:
        raise BundleError(
            f"{path} cannot be replaced as a whole: choose a new folder ({option})",
            code="bundle.fixed_path",
        )
    if is_file:
        raise BundleError(
            f"{path} is a file: choose a folder to write to ({option})",
            code="bundle.path_is_file",
        )


def check_replaceable(
    path: Path,
    *,
    is_ours: Callable[[Path], bool],
    early: Collection[str],
    owned: Collection[str] = (),
    option: str = _OPTION,
) -> None:
    """Refuse to replace a foreign or read-only directory, before hours of training are lost.

    Args:
        is_ours: whether LoreLM wrote a directory; it may hold other files, which stay.
        early: names, or patterns of names, of the files that a directory of ours may hold before
            `is_ours` recognises it.
        option: see :func:`check_output_path`.
    """
    path = path.absolute()
    with wrap_write_errors(path):
        recover(path, owned=owned)
        if _old(path).exists():
            raise BundleError(
                f"{_old(path)} is in the way, which an earlier save has left: move it elsewhere",
                code="bundle.old_dir_in_the_way",
            )
        if path.is_dir():
            for entry in [] if is_ours(path) else path.iterdir():
                if entry.is_dir() or not _matches(entry.name, early):
                    raise BundleError(
                        f"{path} is a folder that holds other things (such as {entry.name}): "
                        f"choose a new folder ({option})",
                        code="bundle.foreign_dir",
                    )
            _try_to_put_aside(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise OSError(f"no right to write in {path.parent}")


def replace_dir(path: Path, files: Mapping[str, bytes], *, owned: Collection[str] = ()) -> None:
    """Make `path` a directory of these files; other files and subdirectories in it stay.

    The new directory is written beside the old one and takes its place by renaming. Where it cannot
    be renamed (on Windows, while a file in it is open), its files are replaced one by one. A crash
    at any moment leaves the old files or the new ones; :func:`recover` completes it.

    Args:
        owned: names, or patterns (``ids.*``), of old files to remove.

    Raises:
        OSError: it cannot be written; the old directory is unchanged.
    """
    path = path.absolute()
    recover(path, owned=owned)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(temporary_name(path.name))
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir()
        for name, content in files.items():
            _write(new / name, content)
        if not path.is_dir() or _put_aside(path):
            rename(new, path)
        else:
            _replace_files(path, new, files, owned)
    finally:
        recover(path, owned=owned)
        shutil.rmtree(new, ignore_errors=True)


def _try_to_put_aside(path: Path) -> None:
    """Rename a directory there and back.

    Raises:
        OSError: it cannot be renamed, and its files cannot be replaced one by one instead.
    """
    if _put_aside(path):
        rename(_old(path), path)
    elif os.name != "nt":  # no right to, since there an open file is no obstacle
        raise PermissionError(errno.EACCES, f"no right to rename {path}")


def _put_aside(path: Path) -> bool:
    """Rename a directory for :func:`recover`; return whether that is possible."""
    try:
        rename(path, _old(path))
    except PermissionError:
        return False
    return True


def _replace_files(path: Path, new: Path, names: Collection[str], owned: Collection[str]) -> None:
    """Replace files of a directory by those of a new one, and delete the others of `owned`.

    The old files are put aside first. After an error, an interrupt or a crash, :func:`recover`
    brings them back, unless all new files were in their places.
    """
    aside = _aside(path)
    aside.mkdir()
    added = [name for name in names if not (path / name).exists()]
    try:
        for name in names:
            if name not in added:
                rename(path / name, aside / name)
        for name in names:
            rename(new / name, path / name)
        rename(aside, new / "replaced")
    except BaseException:
        for name in added:
            with suppress(OSError):
                (path / name).unlink()
        raise
    for entry in path.iterdir():
        if _matches(entry.name, owned) and entry.name not in names:
            with suppress(OSError):  # it is open, or a directory
                entry.unlink()


def replace_file(
    path: Path,
    content: bytes | Iterable[bytes],
    *,
    mode: int = 0o666,
    like: os.stat_result | None = None,
) -> None:
    """Replace a file atomically; after an OSError the old file is unchanged.

    Args:
        mode: permissions of the new file, less those of the process's umask.
        like: a file whose owner and permissions it gets instead, once it is written.
    """
    new = path.with_name(temporary_name(path.name))
    try:
        new.unlink(missing_ok=True)  # of a process that was killed, with another mode
        _write(new, content, mode)
        if like is not None and sys.platform != "win32":
            if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(new, like.st_uid, like.st_gid)
            new.chmod(stat.S_IMODE(like.st_mode))
        rename(new, path)
    finally:
        new.unlink(missing_ok=True)


def temporary_name(name: str) -> str:
    """Return the name that a file or directory has until it is complete."""
    return f".{name}.new"


def disk_space_hint(num_bytes: int, error: OSError) -> str:
    """Return how much disk space to free, in brackets; empty if the error has another cause."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return f" (free {num_bytes / 1e6:.1f} MB for it)" if is_full else ""


def recover(path: Path, *, owned: Collection[str] = ()) -> None:
    """Complete a :func:`replace_dir` that was killed.

    Without a new directory, the old one is renamed back. Otherwise files of the old one that are
    not ours move to the new one, and the rest is deleted. Files that were put aside one by one are
    brought back.

    Raises:
        OSError: a directory or a file cannot be renamed; what was put aside stays there.
    """
    path = path.absolute()
    if path.is_dir() and _aside(path).is_dir():
        for entry in [*_aside(path).iterdir()]:
            rename(entry, path / entry.name)
        _aside(path).rmdir()
    old = _old(path)
    if not old.is_dir():
        return
    if not path.is_dir():
        rename(old, path)
        return
    for entry in [*old.iterdir()]:
        is_there = (path / entry.name).exists()
        is_dir = entry.is_dir() and not entry.is_symlink()
        with suppress(OSError):  # what cannot be moved keeps the old directory there
            if is_there or (_matches(entry.name, owned) and not is_dir):
                entry.unlink()  # fails for a directory
            else:
                entry.rename(path / entry.name)
    with suppress(OSError):
        old.rmdir()


def resolve_dir(path: Path) -> Path:
    """Return where to read a directory: `path`, or where an unfinished save left the old one.

    Nothing is moved, since the save may still be running.
    """
    path = path.absolute()
    try:
        return _old(path) if path.name and not path.exists() and _old(path).is_dir() else path
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read: {error.strerror or error}", code="bundle.unreadable"
        ) from error


def _matches(name: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _old(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _aside(path: Path) -> Path:
    """Return where the old files of a directory are while they are replaced one by one."""
    return path.with_name(temporary_name(path.name)) / "old"


def _write(path: Path, content: bytes | Iterable[bytes], mode: int = 0o666) -> None:
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.writelines([content] if isinstance(content, bytes) else content)
        file.flush()
        os.fsync(file.fileno())
