"""The API keys of a running server: :class:`KeyRing`."""

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from lorelm.errors import KeyFileError
from lorelm.server.keys.key import RESERVED_NAMES, Key, digest_of
from lorelm.server.keys.key_file import KeyFile, Stamp, stamp_of

_log: Final = logging.getLogger(__name__)


class Holder(NamedTuple):
    """The client that sent a request, by its key.

    Attributes:
        name: of the key.
        key: its entry in the file; None for those of --api-key and --admin-key.
        is_admin: whether the key opens the whole history and the metrics.
    """

    name: str
    key: Key | None = None
    is_admin: bool = False

    @property
    def is_valid(self) -> bool:
        return self.key is None or self.key.is_valid

    @property
    def is_for_metrics(self) -> bool:
        """Whether the key was made for /metrics alone."""
        return self.key is not None and self.key.metrics_only


class KeyRing:
    """Finds the holder of a key, by its hash. Thread-safe.

    The file is looked at for each key, and read again when it has changed: what `lorelm keys` does
    holds from the next request on. A file that cannot be read changes nothing.

    Args:
        path: of a file of keys; None: there is none.
        api_key: the key that all share; None: there is none.
        admin_key: likewise; it opens the whole history and the metrics.

    Attributes:
        problem: what is wrong with the file since it was last read well; None: nothing.

    Raises:
        KeyFileError: the file cannot be read, or is not one of keys.
    """

    def __init__(
        self, path: Path | None, *, api_key: str | None = None, admin_key: str | None = None
    ) -> None:
        self.problem: str | None = None
        self._file: Final = None if path is None else KeyFile(path)
        self._lock: Final = threading.Lock()
        api_name, admin_name = RESERVED_NAMES
        self._fixed: dict[str, Holder] = {}
        if api_key is not None:
            self._fixed[digest_of(api_key)] = Holder(api_name)
        if admin_key is not None:
            self._fixed[digest_of(admin_key)] = Holder(admin_name, is_admin=True)
        self._stamp: Stamp = ()
        self._holders: Mapping[str, Holder] = self._fixed
        if self._file is not None:
            self._holders, self._stamp = self._read(self._file)

    @property
    def has_any(self) -> bool:
        """Whether the server was started with keys, or with a file of them."""
        return self._file is not None or bool(self._fixed)

    @property
    def num_valid(self) -> int:
        """How many keys of the file open the models now."""
        return sum(
            each.key is not None and each.is_valid and not each.is_for_metrics
            for each in self._holders.values()
        )

    def find(self, key: str) -> Holder | None:
        """Return the holder of a key, which may be valid no more; None if there is none.

        A key is looked up by its hash, so that how long this takes says nothing about the keys.
        """
        if not key:
            return None
        self.refresh()
        return self._holders.get(digest_of(key))

    def refresh(self) -> None:
        """Read the file again if it has changed."""
        if self._file is None:
            return
        try:
            stamp = stamp_of(os.stat(self._file.path))  # noqa: PTH116 - half the time of Path.stat()
        except OSError as error:
            stamp = (error.errno or -1,)
        if stamp != self._stamp:
            with self._lock:
                if stamp != self._stamp:
                    self._read_again(self._file, stamp)

    def _read_again(self, file: KeyFile, stamp: Stamp) -> None:
        try:
            # The stamp last: other threads that see it take these holders without the lock.
            self._holders, self._stamp = self._read(file)
        except KeyFileError as error:
            if error.code == "keys.invalid_file":
                self._stamp = stamp  # its content stays so; what cannot be read is tried again
            if self.problem != str(error):
                self.problem = str(error)
                _log.error("%s; the keys that were read last still hold", error)
            return
        if self.problem is not None:
            _log.warning("%s is a file of keys again", file.path)
            self.problem = None

    def _read(self, file: KeyFile) -> tuple[Mapping[str, Holder], Stamp]:
        content, stamp = file.content()
        holders = {key.sha256: Holder(key.name, key) for key in file.parse(content)}
        return holders | self._fixed, stamp
