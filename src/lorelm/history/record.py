"""One sample, as the history keeps it: :class:`Record`."""

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FRACTIONS: Final = 4096

_numbers: Final = itertools.count(secrets.randbelow(1 << 16))


@dataclass(frozen=True, kw_only=True)
class Record:
    """One sample, and all that it takes to make it again.

    Attributes:
        created_at: when it was asked for, with a time zone; microseconds are kept.
        browser: who asked, where it was a person on the page: a name without meaning, of 64
            characters at most. None for programs.
        source: what asked: "page", "api" or "openai".
        model: the name under which the model was served.
        fingerprint: that of the model's bundle.
        has_mixture, has_cache: whether the network was mixed with the n-gram model, and whether it
            had a neural cache.
        prompt_ids: the prompt, where it was given in ids.
        settings: those of the generation; what JSON can hold, with texts for keys.
        seed: that of this sample, below 2**63.
        text: the continuation.
        finish_reason: "eos", "stop", "length", "timeout" or "cancelled".
        num_tokens: of the continuation.
        version: of LoreLM.
        id: 32 hexadecimal digits. Made by :func:`new_id` where none is given, so that records in
            the order of their ids are in the order in which they were asked for.
    """

    created_at: datetime
    browser: str | None
    source: str
    model: str
    fingerprint: str
    has_mixture: bool
    has_cache: bool
    prompt: str
    prompt_ids: Sequence[int] | None
    settings: dict[str, Any] = field(hash=False)
    seed: int
    text: str
    finish_reason: str
    num_tokens: int
    duration_seconds: float
    version: str
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", new_id(self.created_at))
        if self.prompt_ids is not None:
            object.__setattr__(self, "prompt_ids", tuple(self.prompt_ids))


def new_id(created_at: datetime) -> str:
    """Makes a UUID of version 7 (RFC 9562), its time being `created_at` in microseconds.

    What comes after the time counts, so that the samples of one request, which have one time, keep
    the order in which they came; the last 32 bits are random.
    """
    milliseconds, rest = divmod(microseconds_of(created_at), 1000)
    # 12 bits for the part of a millisecond, rounded up so that the microseconds can be read again.
    fraction = -(-rest * _FRACTIONS // 1000)
    number = next(_numbers) & 0x3FFF_FFFF
    high = milliseconds << 16 | 0x7000 | fraction
    low = 0b10 << 62 | number << 32 | secrets.randbits(32)
    return f"{high:016x}{low:016x}"


def microseconds_in(record_id: str) -> int | None:
    """The microseconds since 1970 in what :func:`new_id` has made; None in any other id."""
    try:
        high = int(record_id[:16], 16)
    except ValueError:
        return None
    if len(record_id) != 32 or high >> 12 & 0xF != 7:
        return None
    return (high >> 16) * 1000 + (high & 0xFFF) * 1000 // _FRACTIONS


def microseconds_of(moment: datetime) -> int:
    """The whole microseconds since 1970; `moment` has a time zone."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """The moment, in UTC, so many microseconds after 1970."""
    return _EPOCH + microseconds * _MICROSECOND
