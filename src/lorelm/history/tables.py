"""The tables of the history; a test compares them with the result of the migrations.

Their names have a prefix, as the database may be shared with other programs.
"""

from typing import Final

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

VERSION_TABLE: Final = "history_version"

REVISIONS: Final = ("0001",)
"""The migrations in their order; the last one makes the tables above."""
