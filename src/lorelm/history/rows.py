"""Records to rows and back.

PostgreSQL keeps no NUL, and neither database a lone surrogate, which JSON can hold all the same.
Such a character is written as U+001A and a private character that says which it was, and U+001A
itself alike, so every text comes back as it was.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from operator import index
from typing import Any, Final

from lorelm.history.record import Record, microseconds_of, moment_of

_MARK: Final = "\x1a"
_PRIVATE: Final = 0x100000
_UNWRITABLE: Final = re.compile("[\x00\x1a\ud800-\udfff]")
_WRITTEN: Final = re.compile("\x1a(.)", re.DOTALL)

_RECORD_FIELDS: Final = tuple(field.name for field in fields(Record))


def row_of(record: Record) -> dict[str, Any]:
    """The row of a record.

    Raises:
        TypeError, ValueError, AttributeError: a field has not the type that it should have.
    """
    return {
        "id": writable(record.id),
        "created_at": microseconds_of(record.created_at),
        "browser": None if record.browser is None else writable(record.browser),
        "source": writable(record.source),
        "model": writable(record.model),
        "fingerprint": writable(record.fingerprint),
        "has_mixture": bool(record.has_mixture),
        "has_cache": bool(record.has_cache),
        "seed": index(record.seed),
        "finish_reason": writable(record.finish_reason),
        "num_tokens": index(record.num_tokens),
        "duration_seconds": float(record.duration_seconds),
        "version": writable(record.version),
        "settings": json.dumps(record.settings, allow_nan=False),
        "prompt_ids": _ids_text(record),
        "prompt": writable(record.prompt),
        "text": writable(record.text),
        "searched": searched(record.prompt + record.text),
    }


def _ids_text(record: Record) -> str | None:
    if record.prompt_ids is None:
        return None
    return json.dumps([index(one) for one in record.prompt_ids], separators=(",", ":"))


def record_of(row: Mapping[str, Any]) -> Record:
    """The record of a row."""
    values: dict[str, Any] = {
        name: as_written(value) if isinstance(value, str) else value
        for name, value in row.items()
        if name in _RECORD_FIELDS
    }
    values["created_at"] = moment_of(row["created_at"])
    values["settings"] = json.loads(row["settings"])
    values["prompt_ids"] = row["prompt_ids"] and json.loads(row["prompt_ids"])
    return Record(**values)


def writable(text: str) -> str:
    """A text as both databases can keep it; :func:`as_written` is the way back."""
    return _UNWRITABLE.sub(lambda match: _MARK + chr(_PRIVATE + ord(match[0])), text)


def as_written(text: str) -> str:
    """What :func:`writable` was given."""
    return _WRITTEN.sub(lambda match: chr(ord(match[1]) - _PRIVATE), text)


def searched(text: str) -> str:
    """A text, or what is looked for in one, so that upper and lower case are the same."""
    return writable(text.casefold())
