"""The tables of the history, and records as their rows.

A test compares the tables with the result of the migrations. Their names have a prefix, as the
database may be shared with other programs.
"""

import json
import re
from collections.abc import Mapping
from operator import index
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from lorelm.history.record import Record, microseconds_of, moment_of

METADATA: Final = MetaData()

RECORDS: Final = Table(
    "history_records",
    METADATA,
    Column("id", String(64), primary_key=True),
    # Microseconds since 1970: the same arithmetic in both databases.
    Column("created_at", BigInteger, nullable=False),
    Column("browser", String(64)),
    Column("source", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("has_mixture", Boolean, nullable=False),
    Column("has_cache", Boolean, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("finish_reason", Text, nullable=False),
    Column("num_tokens", BigInteger, nullable=False),
    Column("duration_seconds", Double, nullable=False),
    Column("version", Text, nullable=False),
    # JSON as text: jsonb rejects NUL and lone surrogates, and keeps no order.
    Column("settings", Text, nullable=False),
    Column("prompt_ids", Text),
    Column("prompt", Text, nullable=False),
    Column("text", Text, nullable=False),
    # Prompt and text with case folded: neither SQLite nor every PostgreSQL can fold Ä.
    Column("searched", Text, nullable=False),
    Index("history_records_by_time", "created_at", "id"),
    Index("history_records_by_browser", "browser", "created_at", "id"),
)

KEYS: Final = Table(
    "history_keys",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

DRAFTS: Final = Table(
    "history_drafts",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("browser", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("is_starred", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("excerpt", Text, nullable=False),
    # Last: SQLite reads the columns of a list without the long ones behind them.
    Column("content", Text, nullable=False),
    Column("searched", Text, nullable=False),
    Index("history_drafts_by_browser", "browser", "is_starred", "changed_at", "id"),
)

LINKS: Final = Table(
    "history_links",
    METADATA,
    Column("id", String(64), primary_key=True),
    # Of the secret in the address: the database alone opens no link.
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("browser", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("excerpt", Text, nullable=False),
    Column("content", Text, nullable=False),
    Index("history_links_by_browser", "browser", "created_at", "id"),
)

VERSION_TABLE: Final = "history_version"

REVISIONS: Final = ("0001", "0002")
"""The migrations in their order; the last one makes the tables above."""

_ESCAPE: Final = "\x1a"
_PRIVATE: Final = 0x100000
_UNSTORABLE: Final = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED: Final = re.compile("\x1a(.)", re.DOTALL)

_TEXTS: Final = ("id", "source", "model", "fingerprint", "finish_reason", "version")


def row_of(record: Record) -> dict[str, Any]:
    """Return the row of a record.

    Raises:
        TypeError, ValueError, AttributeError: a field has the wrong type.
    """
    ids = record.prompt_ids and [index(each) for each in record.prompt_ids]
    return {
        **{name: encode_text(getattr(record, name)) for name in (*_TEXTS, "prompt", "text")},
        "created_at": microseconds_of(record.created_at),
        "browser": None if record.browser is None else encode_text(record.browser),
        "has_mixture": bool(record.has_mixture),
        "has_cache": bool(record.has_cache),
        "seed": index(record.seed),
        "num_tokens": index(record.num_tokens),
        "duration_seconds": float(record.duration_seconds),
        "settings": json.dumps(record.settings, allow_nan=False),
        "prompt_ids": None if ids is None else json.dumps(ids, separators=(",", ":")),
        "searched": search_text(record.prompt + record.text),
    }


def record_of(row: Mapping[str, Any]) -> Record:
    """Return the record of a row without its column `searched`."""
    values: dict[str, Any] = {
        name: decode_text(value) if isinstance(value, str) else value for name, value in row.items()
    }
    values["created_at"] = moment_of(row["created_at"])
    values["settings"] = json.loads(row["settings"])
    values["prompt_ids"] = row["prompt_ids"] and json.loads(row["prompt_ids"])
    return Record(**values)


def encode_text(text: str) -> str:
    """Encode a text so that both databases can store it; :func:`decode_text` reverses it.

    PostgreSQL cannot store NUL, and neither database can store lone surrogates, which JSON allows.
    Such a character, and U+001A itself, becomes U+001A and a private-use character.
    """
    return _UNSTORABLE.sub(lambda match: _ESCAPE + chr(_PRIVATE + ord(match[0])), text)


def decode_text(text: str) -> str:
    """Return the text that :func:`encode_text` has encoded."""
    return _ESCAPED.sub(lambda match: chr(ord(match[1]) - _PRIVATE), text)


def search_text(text: str) -> str:
    """Fold the case of a text or of a search term, and encode it."""
    return encode_text(text.casefold())
