"""Convert records to rows and back.

PostgreSQL cannot store NUL, and neither database can store lone surrogates, which JSON allows. Such
a character, and U+001A itself, is encoded as U+001A and a private-use character that stands for it,
so that every text is read back unchanged.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from operator import index
from typing import Any, Final

from lorelm.history.record import Record, microseconds_of, moment_of

_ESCAPE: Final = "\x1a"
_PRIVATE: Final = 0x100000
_UNSTORABLE: Final = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED: Final = re.compile("\x1a(.)", re.DOTALL)

_RECORD_FIELDS: Final = tuple(field.name for field in fields(Record))


def row_of(record: Record) -> dict[str, Any]:
    """Return the row of a record.

    Raises:
        TypeError, ValueError, AttributeError: a field has the wrong type.
    """
    return {
        "id": encode_text(record.id),
        "created_at": microseconds_of(record.created_at),
        "browser": None if record.browser is None else encode_text(record.browser),
        "source": encode_text(record.source),
        "model": encode_text(record.model),
        "fingerprint": encode_text(record.fingerprint),
        "has_mixture": bool(record.has_mixture),
        "has_cache": bool(record.has_cache),
        "seed": index(record.seed),
        "finish_reason": encode_text(record.finish_reason),
        "num_tokens": index(record.num_tokens),
        "duration_seconds": float(record.duration_seconds),
        "version": encode_text(record.version),
        "settings": json.dumps(record.settings, allow_nan=False),
        "prompt_ids": _ids_text(record),
        "prompt": encode_text(record.prompt),
        "text": encode_text(record.text),
        "searched": search_text(record.prompt + record.text),
    }


def _ids_text(record: Record) -> str | None:
    if record.prompt_ids is None:
        return None
    return json.dumps([index(one) for one in record.prompt_ids], separators=(",", ":"))


def record_of(row: Mapping[str, Any]) -> Record:
    """Return the record of a row."""
    values: dict[str, Any] = {
        name: decode_text(value) if isinstance(value, str) else value
        for name, value in row.items()
        if name in _RECORD_FIELDS
    }
    values["created_at"] = moment_of(row["created_at"])
    values["settings"] = json.loads(row["settings"])
    values["prompt_ids"] = row["prompt_ids"] and json.loads(row["prompt_ids"])
    return Record(**values)


def encode_text(text: str) -> str:
    """Encode a text so that both databases can store it; :func:`decode_text` reverses it."""
    return _UNSTORABLE.sub(lambda match: _ESCAPE + chr(_PRIVATE + ord(match[0])), text)


def decode_text(text: str) -> str:
    """Return the text that :func:`encode_text` has encoded."""
    return _ESCAPED.sub(lambda match: chr(ord(match[1]) - _PRIVATE), text)


def search_text(text: str) -> str:
    """Fold the case of a text or of a search term, and encode it."""
    return encode_text(text.casefold())
