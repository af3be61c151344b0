"""Files that an evaluation leaves where the user wants them."""

from pathlib import Path

from lorelm.bundle.atomic_dir import replace_file
from lorelm.errors import InputError


def check_file(path: Path, *, what: str) -> None:
    """Refuses a place where :func:`write_file` could not write, as far as can be told before.

    Raises:
        InputError: it is no ordinary file, or its folder cannot be one.
    """
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no ordinary file"
        raise InputError(f"{what} {path} cannot be written: it is {kind}; name a file")
    check_folder(path.parent, what=f"{what} {path}")


def check_folder(path: Path, *, what: str) -> None:
    """Refuses what cannot be a folder.

    Raises:
        InputError: it, or a part of its path, is something else.
    """
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not existing.is_dir():
        raise InputError(f"{what} cannot be written: {existing} is no folder")


def write_file(path: Path, content: bytes, *, what: str) -> None:
    """Puts a file in its place, whole, and makes the folder that it is in if need be.

    Args:
        what: the file in a word, for the message.

    Raises:
        InputError: it cannot be written (an old file is as it was).
    """
    try:
        check_file(path, what=what)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{what} {path} cannot be written: {reason}") from error
