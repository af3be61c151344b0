"""Export records as JSON and CSV, in chunks, so that no export has to fit in memory."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC
from types import SimpleNamespace
from typing import Any, Final

from lorelm.history.record import Record

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_UNPRINTABLE: Final = re.compile("[\x00\ud800-\udfff]")

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

_NAMES: Final = ("id", *(field.name for field in fields(Record) if field.name != "id"))


def json_chunks(records: Iterable[Record]) -> Iterator[str]:
    """Yield a JSON array with one record per line; texts are exact."""
    separator = "[\n"
    for record in records:
        yield separator + _json(json_of(record))
        separator = ",\n"
    yield "\n]\n" if separator == ",\n" else "[]\n"


def csv_chunks(records: Iterable[Record]) -> Iterator[str]:
    """Yield CSV (RFC 4180) with a header; settings and ids are JSON in their cells.

    Spreadsheets evaluate cells that begin like a formula: such a text gets an apostrophe in front.
    NUL and lone surrogates become U+FFFD.
    """
    writer = csv.writer(SimpleNamespace(write=str))  # writerow returns what write returns
    header = writer.writerow(_NAMES)
    for record in records:
        yield header + writer.writerow([_cell(value) for value in json_of(record).values()])
        header = ""
    if header:
        yield header


FORMATS: Final[Mapping[str, Callable[[Iterable[Record]], Iterator[str]]]] = {
    "json": json_chunks,
    "csv": csv_chunks,
}
"""Export functions by the name of the format."""


def json_of(record: Record) -> dict[str, Any]:
    """Return a record as a JSON object, with the time in UTC (ISO 8601)."""
    values = {name: getattr(record, name) for name in _NAMES}
    values["created_at"] = record.created_at.astimezone(UTC).isoformat(timespec="microseconds")
    return values


def _json(value: Any) -> str:
    """Return JSON in which only lone surrogates are escaped, which UTF-8 cannot encode."""
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
    text = _UNPRINTABLE.sub("\ufffd", value)
    return "'" + text if text.startswith(_FORMULA) else text
