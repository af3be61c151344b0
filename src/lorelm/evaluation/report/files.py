"""Output files of the user's choice: refused early, written atomically."""

from collections.abc import Iterable
from pathlib import Path

from lorelm.bundle.atomic_dir import replace_file
from lorelm.errors import InputError


def check_file(path: Path, *, what: str) -> None:
    """Refuse a path that :func:`write_file` could not write, as far as that shows beforehand.

    Args:
        what: the kind of file in a word, for the message.

    Raises:
        InputError: it is not an ordinary file, or its folder cannot be one.
    """
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no ordinary file"
        raise InputError(
            f"{what} {path} cannot be written: it is {kind}; name a file",
            code="output.not_a_file",
        )
    check_folder(path.parent, what=f"{what} {path}")


def check_folder(path: Path, *, what: str) -> None:
    """Refuse a path that cannot be a folder.

    Raises:
        InputError: it, or a part of its path, is something else.
    """
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not existing.is_dir():
        raise InputError(
            f"{what} cannot be written: {existing} is no folder", code="output.not_a_folder"
        )


def write_file(path: Path, content: bytes | Iterable[bytes], *, what: str) -> None:
    """Replace a file atomically, and make its folder if need be.

    Raises:
        InputError: it cannot be written; an old file is unchanged.
    """
    try:
        check_file(path, what=what)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        raise InputError(
            f"{what} {path} cannot be written: {error.strerror or error}",
            code="output.unwritable",
        ) from error
