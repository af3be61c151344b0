"""Records as JSON and as CSV, in pieces of text, so that no export has to be held in memory."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC
from typing import Any, Final

from lorelm.history.record import Record

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NOT_IN_CSV: Final = re.compile("[\x00\ud800-\udfff]")

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

_NAMES: Final = ("id", *(field.name for field in fields(Record) if field.name != "id"))


def json_chunks(records: Iterable[Record]) -> Iterator[str]:
    """A JSON array, a record a line; texts are exactly what they were."""
    separator = "[\n"
    for record in records:
        yield separator + _json(json_of(record))
        separator = ",\n"
    yield "\n]\n" if separator == ",\n" else "[]\n"


def csv_chunks(records: Iterable[Record]) -> Iterator[str]:
    """CSV as RFC 4180 has it, a header first; settings and ids are JSON in their cells.

    It is for spreadsheets, which compute what begins like a formula, whoever wrote it: such a text
    has an apostrophe put before it. A NUL or a lone surrogate becomes U+FFFD.
    """
    cells = io.StringIO(newline="")
    writer = csv.writer(cells)
    writer.writerow(_NAMES)
    for record in records:
        yield _taken(cells)
        writer.writerow([_cell(value) for value in json_of(record).values()])
    yield _taken(cells)


FORMATS: Final[Mapping[str, Callable[[Iterable[Record]], Iterator[str]]]] = {
    "json": json_chunks,
    "csv": csv_chunks,
}
"""What an export can be, by the name of the format."""


def json_of(record: Record) -> dict[str, Any]:
    """A record as JSON can hold it; times are in UTC, in the form of ISO 8601."""
    values = {name: getattr(record, name) for name in _NAMES}
    values["created_at"] = record.created_at.astimezone(UTC).isoformat(timespec="microseconds")
    return values


def _json(value: Any) -> str:
    """JSON with letters of all scripts in it, and what UTF-8 cannot hold escaped."""
    return _SURROGATE.sub(
        lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False)
    )


def _cell(value: Any) -> Any:
    if isinstance(value, dict | tuple):
        return _json(value)
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return value
    text = _NOT_IN_CSV.sub("\ufffd", value)
    return "'" + text if text.startswith(_FORMULA) else text


def _taken(cells: io.StringIO) -> str:
    """What was written since the last time."""
    taken = cells.getvalue()
    cells.seek(0)
    cells.truncate()
    return taken
