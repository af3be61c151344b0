"""How much a history holds: :class:`HistoryStats`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

NUM_DAYS: Final = 30


@dataclass(frozen=True, kw_only=True)
class ModelStats:
    """What one model has written."""

    model: str
    fingerprint: str
    num_records: int
    num_tokens: int


@dataclass(frozen=True, kw_only=True)
class HistoryStats:
    """What a history holds.

    Attributes:
        by_model: the most used first.
        by_source, by_finish_reason: numbers of records, the greatest first.
        by_day: numbers of records of the last 30 days, in UTC, the oldest day first.
        first_at, last_at: when the oldest and the newest record was asked for; None without one.
        mean_duration_seconds: of a sample; None without one.
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


@dataclass(frozen=True, kw_only=True)
class Group:
    """Records that have model, source and finish reason in common."""

    model: str
    fingerprint: str
    source: str
    finish_reason: str
    num_records: int
    num_tokens: int
    duration_seconds: float


def statistics_of(
    groups: Sequence[Group],
    *,
    days: Mapping[date, int],
    today: date,
    first_at: datetime | None,
    last_at: datetime | None,
    size_bytes: int,
) -> HistoryStats:
    """Adds groups of records up."""
    num_records = sum(group.num_records for group in groups)
    duration_seconds = sum(group.duration_seconds for group in groups)
    last_days = [today - timedelta(days=NUM_DAYS - 1 - i) for i in range(NUM_DAYS)]
    return HistoryStats(
        num_records=num_records,
        num_tokens=sum(group.num_tokens for group in groups),
        by_model=_models(groups),
        by_source=_counted((group.source, group.num_records) for group in groups),
        by_finish_reason=_counted((group.finish_reason, group.num_records) for group in groups),
        by_day={day: days.get(day, 0) for day in last_days},
        first_at=first_at,
        last_at=last_at,
        mean_duration_seconds=duration_seconds / num_records if num_records else None,
        size_bytes=size_bytes,
    )


def _models(groups: Iterable[Group]) -> list[ModelStats]:
    records: Counter[tuple[str, str]] = Counter()
    tokens: Counter[tuple[str, str]] = Counter()
    for group in groups:
        records[group.model, group.fingerprint] += group.num_records
        tokens[group.model, group.fingerprint] += group.num_tokens
    return [
        ModelStats(model=key[0], fingerprint=key[1], num_records=count, num_tokens=tokens[key])
        for key, count in records.most_common()
    ]


def _counted(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for name, count in counts:
        total[name] += count
    return dict(total.most_common())
