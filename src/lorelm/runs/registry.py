"""Where the training runs of this user are: a small file per run in the user's data folder.

::

    runs/HASH.json    the folder of a run, when it began, its corpus, the error that ended it

HASH is of the folder's path, on Windows in lower case. A process writes no file but that of its own
run, so that runs at the same time do not disturb each other. How a run is doing is not written
here, where it would be wrong after a crash or a move: :mod:`lorelm.runs.run` reads it from the
folder of the run.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Self

from lorelm.bundle.atomic_dir import replace_file
from lorelm.errors import InputError, TrainingStoppedError, WorkerLostError
from lorelm.machine.folders import data_folder


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A run as the registry knows it.

    Attributes:
        path: of its folder, absolute.
        source: the name of its corpus.
        began_at: when it began or was last resumed, in ISO 8601 and UTC.
        error: the message that ended it; None if it ended well, was stopped, or goes on.
    """

    path: str
    source: str
    began_at: str
    error: str | None = None

    @classmethod
    def of(cls, folder: Path, source: str, began_at: datetime | None = None) -> Self:
        moment = began_at or datetime.now(UTC)
        return cls(
            path=os.path.abspath(folder),  # noqa: PTH100 - resolve() would follow links
            source=source,
            began_at=moment.isoformat(timespec="seconds"),
        )


def registry_dir() -> Path:
    """Return the folder of the registry, which need not exist."""
    return data_folder() / "runs"


def entries() -> list[Entry]:
    """Return the runs of this user, the newest first. Damaged files are passed over."""
    found = filter(None, map(_read, registry_dir().glob("*.json")))
    return sorted(found, key=lambda entry: entry.began_at, reverse=True)


def find_entry(folder: Path) -> Entry | None:
    """Return what is known of the run in a folder."""
    path = Entry.of(folder, "").path
    entry = _read(_file(path))
    is_same = entry is not None and os.path.normcase(entry.path) == os.path.normcase(path)
    return entry if is_same else None


def register(entry: Entry) -> None:
    """Put a run in place of an earlier one of its folder.

    Raises:
        InputError: the file cannot be written.
    """
    path = _file(entry.path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(asdict(entry)).encode())
    except OSError as error:
        raise InputError(
            f"{path.parent}, which lorelm runs lists, cannot be written: {error.strerror or error}",
            code="runs.unwritable",
        ) from error


def move_entry(folder: Path, new: Path) -> None:
    """Let the list name a run by its new folder, if it names it at all."""
    entry = find_entry(folder)
    if entry is not None:
        forget(folder)
        with suppress(InputError):
            register(replace(entry, path=Entry.of(new, "").path))


def forget(folder: Path) -> None:
    """Take a run from the list; its folder stays."""
    with suppress(OSError):
        _file(Entry.of(folder, "").path).unlink(missing_ok=True)


@contextmanager
def registered(folder: Path, source: str, *, on_problem: Callable[[str], object]) -> Iterator[None]:
    """Register the run that happens inside, and the error that ends it.

    Args:
        on_problem: receives a sentence if the registry cannot be written; the run goes on.
    """
    entry = Entry.of(folder, source)
    _try_to_register(entry, on_problem)
    try:
        yield
    except (KeyboardInterrupt, SystemExit, TrainingStoppedError, WorkerLostError):
        if not folder.exists():  # stopped before its first checkpoint: nothing is left of it
            forget(folder)
        raise
    except BaseException as error:
        message = str(error) or type(error).__name__
        _try_to_register(replace(entry, error=message), on_problem)
        raise


def _try_to_register(entry: Entry, on_problem: Callable[[str], object]) -> None:
    try:
        register(entry)
    except InputError as error:
        on_problem(f"{error}; training goes on")


def _read(path: Path) -> Entry | None:
    try:
        return Entry(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _file(path: str) -> Path:
    path = os.path.normcase(path)  # one folder has one name on Windows, whatever the case
    name = sha256(path.encode(errors="surrogatepass")).hexdigest()[:16]
    return registry_dir() / f"{name}.json"
