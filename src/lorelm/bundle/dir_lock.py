"""Keeps two processes from writing to one folder: :func:`lock_dir`."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

from lorelm.errors import BundleError

_LOCKED_BYTE: Final = 1 << 30
"""Windows lets nobody read a byte that is locked: not one of those that say who holds it."""


@contextmanager
def lock_dir(path: Path) -> Iterator[None]:
    """Holds a folder, which need not be there yet; the system lets go of it when a process dies.

    The lock is on a file beside the folder, since the folder itself is replaced as a whole. Where
    the file system knows no locks, nobody is kept away.

    Raises:
        BundleError: another process holds it, or nothing can be written beside it.
    """
    path = path.absolute()
    lock = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _locked(lock, path)
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        if sys.platform == "win32":  # which takes no file away that is open
            file.close()
        with suppress(OSError):
            lock.unlink()
        file.close()


def _locked(lock: Path, path: Path) -> FileIO:
    """The file of the lock, which is held as long as it is open.

    Raises:
        BundleError: another process holds it.
        OSError: it cannot be written.
    """
    while True:
        file = FileIO(lock, "a+")
        if not _is_held_now(file):
            file.seek(0)
            holder = file.read().decode() or "just begun"
            file.close()
            raise BundleError(
                f"another run ({holder}) writes to {path}: wait for its end, or give --out another "
                "folder"
            )
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                break
        file.close()  # who held it before took the file away meanwhile
    with suppress(OSError):  # a full disk
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}".encode())
    return file


if sys.platform == "win32":
    import msvcrt

    def _is_held_now(file: FileIO) -> bool:
        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _is_held_now(file: FileIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # the latter over NFS
            return False
        except OSError:
            return True  # there are no locks here
        return True
