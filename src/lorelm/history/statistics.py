"""What a history contains: :class:`HistoryStats`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, cast, func, select, text

from lorelm.history.record import microseconds_of, moment_of
from lorelm.history.tables import METADATA, RECORDS, decode_text

_NUM_DAYS: Final = 30
_DAY_MICROSECONDS: Final = 24 * 60 * 60 * 1_000_000


@dataclass(frozen=True, kw_only=True)
class ModelStats:
    """What one model has generated."""

    model: str
    fingerprint: str
    num_records: int
    num_tokens: int


@dataclass(frozen=True, kw_only=True)
class HistoryStats:
    """Counts of the records of a history.

    Attributes:
        by_model: in the order of the numbers of records, greatest first.
        by_source, by_finish_reason: numbers of records, greatest first.
        by_day: numbers of records of the last 30 days in UTC, oldest day first.
        first_at, last_at: times of the oldest and the newest record; None if there is none.
        mean_duration_seconds: of a sample; None if there is none.
        size_bytes: of the database on disk.
    """

    num_records: int
    num_tokens: int
    by_model: Sequence[ModelStats]
    by_source: Mapping[str, int]
    by_finish_reason: Mapping[str, int]
    by_day: Mapping[date, int]
    first_at: datetime | None
    last_at: datetime | None
    mean_duration_seconds: float | None
    size_bytes: int


def read_stats(connection: Connection) -> HistoryStats:
    """Count the records of a database."""
    keys = [RECORDS.c[name] for name in ("model", "fingerprint", "source", "finish_reason")]
    query = select(
        *keys,
        func.count().label("num_records"),
        cast(func.sum(RECORDS.c.num_tokens), BigInteger).label("num_tokens"),
        func.sum(RECORDS.c.duration_seconds).label("duration_seconds"),
        func.min(RECORDS.c.created_at).label("first"),
        func.max(RECORDS.c.created_at).label("last"),
    ).group_by(*keys)
    groups = connection.execute(query).all()
    num_records = sum(group.num_records for group in groups)
    duration_seconds = sum(group.duration_seconds for group in groups)
    return HistoryStats(
        num_records=num_records,
        num_tokens=sum(group.num_tokens for group in groups),
        by_model=_model_stats(groups),
        by_source=_num_records_by("source", groups),
        by_finish_reason=_num_records_by("finish_reason", groups),
        by_day=_records_by_day(connection),
        first_at=moment_of(min(group.first for group in groups)) if groups else None,
        last_at=moment_of(max(group.last for group in groups)) if groups else None,
        mean_duration_seconds=duration_seconds / num_records if num_records else None,
        size_bytes=size_bytes(connection),
    )


def _model_stats(groups: Iterable[Any]) -> list[ModelStats]:
    records: Counter[tuple[str, str]] = Counter()
    tokens: Counter[tuple[str, str]] = Counter()
    for group in groups:
        key = decode_text(group.model), decode_text(group.fingerprint)
        records[key] += group.num_records
        tokens[key] += group.num_tokens
    return [
        ModelStats(model=key[0], fingerprint=key[1], num_records=count, num_tokens=tokens[key])
        for key, count in records.most_common()
    ]


def _num_records_by(column: str, groups: Iterable[Any]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for group in groups:
        counts[decode_text(getattr(group, column))] += group.num_records
    return dict(counts.most_common())


def _records_by_day(connection: Connection) -> dict[date, int]:
    first = datetime.now(UTC).date() - timedelta(days=_NUM_DAYS - 1)
    since = microseconds_of(datetime.combine(first, time(), UTC))
    day = (RECORDS.c.created_at // _DAY_MICROSECONDS).label("day")
    query = select(day, func.count()).where(RECORDS.c.created_at >= since).group_by(text("day"))
    counts = {
        moment_of(number * _DAY_MICROSECONDS).date(): count
        for number, count in connection.execute(query)
    }
    days = (first + timedelta(days=i) for i in range(_NUM_DAYS))
    return {day: counts.get(day, 0) for day in days}


def size_bytes(connection: Connection) -> int:
    """Return the size of a history on disk, of any version."""
    if connection.dialect.name == "sqlite":
        size = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        return int(connection.execute(text(size)).scalar_one())
    sizes = [
        func.pg_total_relation_size(table.name)
        for table in METADATA.sorted_tables
        if connection.dialect.has_table(connection, table.name)
    ]
    return sum(connection.execute(select(*sizes)).one())
