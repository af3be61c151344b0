"""The file of API keys: :class:`KeyFile`, a JSON file that `lorelm keys` writes.

It holds hashes of the keys, and no key.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lorelm.bundle.atomic_dir import replace_file
from lorelm.bundle.dir_lock import lock_dir
from lorelm.errors import BundleError, KeyFileError
from lorelm.parameters import closest
from lorelm.server.keys.key import Key, new_key

_OWNER_ONLY: Final = 0o600

_SECONDS_TO_WAIT: Final = 10.0
"""For another command that changes the file."""


Stamp = tuple[int, ...]


def stamp_of(status: os.stat_result) -> Stamp:
    """Return numbers that change with the content of a file, also when a link leads elsewhere."""
    return (
        *(status.st_dev, status.st_ino, status.st_size),
        *(status.st_mtime_ns, status.st_ctime_ns),
    )


class _Document(BaseModel):
    """The content of the file."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["lorelm-keys"]
    format_version: Literal[1]
    keys: list[Key]


class KeyFile:
    """A file of keys. Reading needs no lock, since the file is replaced as a whole.

    Args:
        path: of the file, or of a link to it.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path

    def read(self) -> Sequence[Key]:
        """Return all keys, the oldest first.

        Raises:
            KeyFileError: there is no such file, or it is not one of keys.
        """
        return self.parse(self.content()[0])

    def content(self) -> tuple[bytes, Stamp]:
        """Return what the file holds, and the stamp of just this content.

        Raises:
            KeyFileError: there is no such file, or it cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                stamp = stamp_of(os.fstat(file.fileno()))  # first: what comes later changes it
                return file.read(), stamp
        except FileNotFoundError as error:
            raise KeyFileError(
                f"there is no file {self.path}: lorelm keys add NAME --file FILE makes one",
                code="keys.missing",
            ) from error
        except OSError as error:
            raise self._failed("read", error) from error

    def parse(self, content: bytes) -> Sequence[Key]:
        """Return the keys in the content of a file.

        Raises:
            KeyFileError: it is not one of keys.
        """
        try:
            keys = _Document.model_validate_json(content).keys
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the whole"
            raise KeyFileError(
                f"{self.path} is no file of keys ({place}: {first['msg']}): lorelm keys makes one",
                code="keys.invalid_file",
            ) from error
        for name, count in Counter(key.name for key in keys).items():
            if count > 1:
                raise KeyFileError(
                    f"{self.path} has {count} keys of the name {name!r}", code="keys.invalid_file"
                )
        return keys

    def add(self, name: str, **settings: Any) -> str:
        """Make a key and return it; only its hash is kept. Make the file if there is none.

        The name of a key that is revoked or expired may be given again.

        Raises:
            KeyFileError: there is a valid key of this name, or the name cannot be one.
            InputError: a setting is wrong.
        """
        key = new_key()
        made = Key.of(key, name, **settings)
        with self._changing(create=True) as keys:
            if name in keys and keys[name].is_valid:
                raise KeyFileError(
                    f"there is a key {name!r} already: choose another name, or revoke it first "
                    f"(lorelm keys revoke {name})",
                    code="keys.duplicate_name",
                )
            keys.pop(name, None)
            keys[name] = made
        return key

    def change(self, name: str, **settings: Any) -> Key:
        """Change settings of a key, and return it.

        Raises:
            KeyFileError: there is no such key, or it is revoked.
        """
        with self._changing() as keys:
            if name not in keys:
                near = closest(name, keys)
                known = f"the keys are {', '.join(keys)}" if keys else "it has none yet"
                raise KeyFileError(
                    f"there is no key {name!r} in {self.path}: "
                    f"{f'did you mean {near}?' if near else known}",
                    code="keys.unknown_name",
                )
            if keys[name].revoked_at is not None:
                raise KeyFileError(
                    f"the key {name!r} was {keys[name].state}, for good: lorelm keys add {name} "
                    "makes another",
                    code="keys.revoked",
                )
            keys[name] = keys[name].model_copy(update=settings)
            return keys[name]

    @contextmanager
    def _changing(self, *, create: bool = False) -> Iterator[dict[str, Key]]:
        """Lock the file, give its keys by their names, and write what they became."""
        if not create:
            self.read()  # before a folder is made for the lock
        target = self.path.resolve()  # a link stays; what it leads to is replaced
        with _locked(target):
            exists = target.exists()
            keys = {key.name: key for key in self.read()} if exists or not create else {}
            yield keys
            document = _Document(format="lorelm-keys", format_version=1, keys=list(keys.values()))
            content = document.model_dump_json(indent=2).encode() + b"\n"
            try:
                # A server that runs as another user must be able to read what root has written.
                like = target.stat() if exists else None
                replace_file(target, content, mode=_OWNER_ONLY, like=like)
            except OSError as error:
                raise self._failed("written", error) from error

    def _failed(self, what: str, error: OSError) -> KeyFileError:
        return KeyFileError(
            f"{self.path} cannot be {what}: {error.strerror or error}", code="keys.inaccessible"
        )


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Lock a file; wait for another command that changes it.

    Raises:
        KeyFileError: that takes too long, or the folder cannot be written.
    """
    give_up = time.monotonic() + _SECONDS_TO_WAIT
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(lock_dir(target))
                break
            except BundleError as error:
                if error.code != "bundle.locked":
                    raise KeyFileError(str(error), code="keys.inaccessible") from error
                if time.monotonic() > give_up:
                    raise KeyFileError(
                        f"another command has been changing {target} for {_SECONDS_TO_WAIT:g} s: "
                        "try again when it has ended",
                        code="keys.locked",
                    ) from error
            time.sleep(0.05)
        yield
