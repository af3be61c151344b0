"""What the page of a training run shows: :class:`WatchedRun`."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_SECONDS_BETWEEN_EVENTS: Final = 0.3
"""Epochs of a small corpus take less: several go into one event."""

_SECONDS_TO_WAIT: Final = 5.0
"""An event is sent at least as often, so that a client that is gone is noticed."""


@dataclass
class _Series:
    """Rows in their order; `version` changes when rows that were there before are not any more."""

    rows: list[Any] = field(default_factory=list)
    version: int = 0


@dataclass
class Seen:
    """What one reader of a run has seen of it."""

    values: dict[str, int] = field(default_factory=dict)
    series: dict[str, tuple[int, int]] = field(default_factory=dict)


class WatchedRun:
    """Named values and series of rows, fit for JSON, that one thread writes and others stream.

    Writing takes microseconds: streams make their events in their own threads.

    Attributes:
        about: what does not change, for the page's template.
    """

    def __init__(self, about: Mapping[str, object]) -> None:
        self.about: Final = about
        self._values: dict[str, Any] = {}
        self._versions: dict[str, int] = {}
        self._series: dict[str, _Series] = {}
        self._is_over = False
        self._num_streams = 0
        self._changed: Final = threading.Condition()

    def put(self, **values: Any) -> None:
        """Replace values."""
        with self._changed:
            for name, value in values.items():
                self._values[name] = value
                self._versions[name] = self._versions.get(name, 0) + 1
            self._changed.notify_all()

    def value(self, name: str) -> Any:
        """Return a value; None if there is none."""
        with self._changed:
            return self._values.get(name)

    def append(self, name: str, *rows: Any) -> None:
        """Add rows to a series."""
        with self._changed:
            self._series.setdefault(name, _Series()).rows.extend(rows)
            self._changed.notify_all()

    def replace(self, name: str, rows: list[Any]) -> None:
        """Replace a series."""
        with self._changed:
            version = self._series.get(name, _Series()).version
            self._series[name] = _Series(rows, version + 1)
            self._changed.notify_all()

    def finish(self, *, timeout_seconds: float, **values: Any) -> None:
        """Put the last values, and wait until every stream has ended with them."""
        self._is_over = True
        self.put(**values)
        with self._changed:
            self._changed.wait_for(lambda: self._num_streams == 0, timeout_seconds)

    def new(self, seen: Seen) -> dict[str, Any]:
        """Return what changed since the last call with this `seen`, as :meth:`events` does."""
        with self._changed:
            return self._changes(seen)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what changed, at first everything: values by name, and the new rows of series.

        A series is ``{"from": n, "rows": [...]}``: the rows from the n-th on.
        """
        seen = Seen()
        with self._changed:
            self._num_streams += 1
        try:
            while True:
                with self._changed:
                    is_over = self._is_over
                    changes = self._changes(seen)
                yield changes
                if is_over:
                    return
                with self._changed:
                    # Let more changes come together, unless it is the end.
                    self._changed.wait_for(lambda: self._is_over, _SECONDS_BETWEEN_EVENTS)
                    if not self._is_over and not self._has_changes(seen):
                        self._changed.wait(_SECONDS_TO_WAIT)
        finally:
            with self._changed:
                self._num_streams -= 1
                self._changed.notify_all()

    def _has_changes(self, seen: Seen) -> bool:
        there = {name: (each.version, len(each.rows)) for name, each in self._series.items()}
        return self._versions != seen.values or there != seen.series

    def _changes(self, seen: Seen) -> dict[str, Any]:
        """Return what is new to a stream, and record it as seen."""
        changes: dict[str, Any] = {
            name: value
            for name, value in self._values.items()
            if self._versions[name] != seen.values.get(name)
        }
        seen.values |= self._versions
        for name, each in self._series.items():
            version, length = seen.series.get(name, (each.version, 0))
            first = length if version == each.version else 0
            if first < len(each.rows) or version != each.version:
                changes[name] = {"from": first, "rows": each.rows[first:]}
            seen.series[name] = each.version, len(each.rows)
        return changes
