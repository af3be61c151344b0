"""A logged sample: :class:`Record`."""

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
    """One sample, with everything needed to generate it again.

    Attributes:
        created_at: time of the request, with a time zone, in microseconds.
        browser: random id of the browser, at most 64 characters; None for programs.
        source: "page", "api" or "openai".
        model: the name of the model on the server.
        fingerprint: of the model's bundle.
        has_mixture, has_cache: whether the model was mixed with its n-gram model, and whether it
            had a neural cache.
        prompt_ids: the prompt, if it was given as ids.
        settings: of the generation, as a JSON object.
        seed: of this sample, below 2**63.
        text: the continuation.
        finish_reason: "eos", "stop", "length", "timeout" or "cancelled".
        num_tokens: of the continuation.
        version: of LoreLM.
        id: 32 hexadecimal digits; by default from :func:`new_id`. Ids sort in the order of the
            requests.
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
    """Return a UUID of version 7 (RFC 9562) with the time `created_at` in microseconds.

    A counter follows the time, so that the samples of one request, which have the same time, keep
    their order; the last 32 bits are random.
    """
    milliseconds, rest = divmod(microseconds_of(created_at), 1000)
    # 12 bits for the fraction of a millisecond, rounded up so that microseconds can be recovered.
    fraction = -(-rest * _FRACTIONS // 1000)
    number = next(_numbers) & 0x3FFF_FFFF
    high = milliseconds << 16 | 0x7000 | fraction
    low = 0b10 << 62 | number << 32 | secrets.randbits(32)
    return f"{high:016x}{low:016x}"


def microseconds_in(record_id: str) -> int | None:
    """Return the microseconds since 1970 in an id of :func:`new_id`; None for any other id."""
    try:
        high = int(record_id[:16], 16)
    except ValueError:
        return None
    if len(record_id) != 32 or high >> 12 & 0xF != 7:
        return None
    return (high >> 16) * 1000 + (high & 0xFFF) * 1000 // _FRACTIONS


def microseconds_of(moment: datetime) -> int:
    """Return the microseconds since 1970 of a time with a time zone."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """Return the time in UTC from microseconds since 1970."""
    return _EPOCH + microseconds * _MICROSECOND
