"""One line of JSON per request, without prompts or texts: :class:`AccessLog`."""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lorelm.errors import InputError

STDERR: Final = "-"

_log: Final = logging.getLogger(__name__)


class AccessLog:
    """Appends to a file, or writes to stderr.

    Args:
        path: of the file, or :data:`STDERR`.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = None if path == STDERR else Path(path)
        try:
            self._append("")
        except OSError as error:
            raise InputError(
                f"the access log {path} cannot be written: {error.strerror}",
                code="access_log.unwritable",
            ) from error

    def write(self, **entry: Any) -> None:
        """Add a line; a full disk does not stop the server."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            self._append(json.dumps({"time": now} | entry) + "\n")
        except OSError as error:
            _log.error("the access log %s cannot be written: %s", self._path, error.strerror)

    def _append(self, line: str) -> None:
        if self._path is None:
            sys.stderr.write(line)
            return
        with self._path.open("a", encoding="utf-8") as file:  # reopened: logs are rotated
            file.write(line)
