"""Files that an evaluation leaves where the user wants them."""

from pathlib import Path

from lorelm.bundle.folder import replace_file
from lorelm.errors import InputError


def write_file(path: Path, content: bytes, *, what: str) -> None:
    """Puts a file in its place, whole, and makes the folder that it is in if need be.

    Args:
        what: the file in a word, for the message.

    Raises:
        InputError: it cannot be written (an old file is as it was).
    """
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no ordinary file"
            raise InputError(f"{what} {path} cannot be written: it is {kind}; name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{what} {path} cannot be written: {path.parent} is no folder") from error
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{what} {path} cannot be written: {reason}") from error
