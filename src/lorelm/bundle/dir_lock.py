"""Keep two processes from writing to one directory: :func:`lock_dir`."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

from lorelm.bundle.atomic_dir import wrap_write_errors
from lorelm.errors import BundleError

# On Windows a locked byte cannot be read, so this one lies behind those that name the holder.
_LOCKED_BYTE: Final = 1 << 30


@contextmanager
def lock_dir(path: Path) -> Iterator[None]:
    """Lock a directory, which need not exist yet; the system releases it when the process dies.

    The lock is on a file beside the directory, because the directory itself gets replaced. On a
    file system without locks this does nothing.

    Raises:
        BundleError: another process holds it, or the file cannot be written.
    """
    path = path.absolute()
    lock = _lock_file(path)
    with wrap_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _acquire(lock, path)
    try:
        yield
    finally:
        if sys.platform == "win32":  # which cannot delete an open file
            file.close()
        with suppress(OSError):
            lock.unlink()
        file.close()


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of a directory now.

    To find out, the lock that a killed process left is taken for some microseconds.
    """
    try:
        file = FileIO(_lock_file(path.absolute()), "r+")
    except OSError:
        return False
    with file:
        return not _try_lock(file)


def _lock_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _acquire(lock: Path, path: Path) -> FileIO:
    """Return the lock file, which is locked as long as it is open."""
    while True:
        file = FileIO(lock, "a+")
        if not _try_lock(file):
            file.seek(0)
            holder = file.read().decode() or "just begun"
            file.close()
            raise BundleError(
                f"another run ({holder}) writes to {path}: wait for its end, or choose another "
                "folder (out, --out)",
                code="bundle.locked",
            )
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                break
        file.close()  # the process that held it before has deleted this file meanwhile
    with suppress(OSError):  # the disk is full
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}".encode())
    return file


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: FileIO) -> bool:
        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: FileIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # the latter over NFS
            return False
        except OSError:
            return True  # the file system has no locks
        return True
