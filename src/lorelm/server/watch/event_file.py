"""Events of a training run as lines of JSON in a file: :class:`EventFile`, :class:`Follower`.

::

    {"put": {"progress": {...}}}             values, in place of earlier ones of these names
    {"append": "epochs", "rows": [...]}      rows of a series
    {"replace": "usage", "rows": [...]}      a series, in place of the earlier one

A run that goes on appends to the file of the same run, so that a reader has its samples too.
"""

import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol, TextIO


class RunSink(Protocol):
    """Receives what happens in a run: values and rows of series by name, fit for JSON."""

    def put(self, **values: Any) -> None:
        """Replace values."""

    def append(self, name: str, *rows: Any) -> None:
        """Add rows to a series."""

    def replace(self, name: str, rows: list[Any]) -> None:
        """Replace a series."""


class EventFile:
    """Writes a line for each event. A full disk ends the file and not the run."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO | None = path.open("a", encoding="utf-8")
        self._lock: Final = threading.Lock()

    def put(self, **values: Any) -> None:
        self._write({"put": values})

    def append(self, name: str, *rows: Any) -> None:
        self._write({"append": name, "rows": rows})

    def replace(self, name: str, rows: list[Any]) -> None:
        self._write({"replace": name, "rows": rows})

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                with suppress(OSError):
                    self._file.close()
                self._file = None

    def _write(self, event: dict[str, Any]) -> None:
        with self._lock:
            if self._file is None:
                return
            try:
                self._file.write(json.dumps(event, ensure_ascii=False) + "\n")
                self._file.flush()
            except OSError:
                self._file = None


class Follower:
    """Passes the events of a file on to a sink, as they are written."""

    def __init__(self, path: Path, sink: RunSink) -> None:
        self._path: Final = path
        self._sink: Final = sink
        self._place = 0

    def read(self) -> None:
        """Pass on what is new; a line that is not complete yet waits for the next call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                content = file.read()
        except OSError:
            return
        lines, _, _ = content.rpartition(b"\n")
        self._place += len(lines) + 1 if lines else 0
        for line in lines.splitlines():
            with suppress(ValueError, KeyError, TypeError):  # of a process that was killed
                self._pass_on(json.loads(line))

    def _pass_on(self, event: dict[str, Any]) -> None:
        if "put" in event:
            self._sink.put(**event["put"])
        elif "append" in event:
            self._sink.append(event["append"], *event["rows"])
        else:
            self._sink.replace(event["replace"], event["rows"])
