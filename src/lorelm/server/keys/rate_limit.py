"""How often something may be done, as text and as limits: :func:`parse_rate_limit`."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from lorelm.errors import InputError

if TYPE_CHECKING:
    from limits import RateLimitItem

FILE_SCHEME: Final = "sqlite"
"""Of the storage in :mod:`lorelm.server.keys.file_storage`."""


@lru_cache(256)
def parse_rate_limit(text: str) -> "Sequence[RateLimitItem]":
    """Return the limits that a text such as '5/second;1000/day' names.

    Raises:
        InputError: it names none.
    """
    from limits import parse_many

    try:
        limits = parse_many(text)
        if any(limit.amount < 1 for limit in limits):
            raise ValueError("a limit of nothing")
        return limits
    except ValueError as error:
        raise InputError(
            f"{text!r} is no rate limit: write one such as '60/minute' or '5/second;1000/day'",
            code="rate_limit.invalid",
        ) from error
