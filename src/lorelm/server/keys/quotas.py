"""How much clients may use: :class:`Quotas` of requests and of generated tokens."""

import logging
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from typing import Any, Final, NamedTuple, cast

from limits.errors import ConfigurationError, StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string

from lorelm.errors import InputError, MissingExtraError, QuotaError
from lorelm.server.keys.file_storage import FileStorage
from lorelm.server.keys.key import Key
from lorelm.server.keys.key_ring import Holder
from lorelm.server.keys.rate_limit import FILE_SCHEME, parse_rate_limit

_log: Final = logging.getLogger(__name__)

_SECONDS_BETWEEN_TRIES: Final = 1.0
"""To reach a storage that failed."""

_SECONDS_TO_ANSWER: Final = 1.0
"""For Redis; a request waits no longer for its count."""

_SECONDS_KEPT: Final = 2 * 24 * 60 * 60
"""How long the tokens of a day are kept."""


class RequestCount(NamedTuple):
    """How many requests a client may send in a window of time.

    Attributes:
        limit: of the window.
        remaining: how many are left.
        ends_at: when the window ends, in seconds since 1970.
    """

    limit: int
    remaining: int
    ends_at: float


class Counts:
    """Counters in a storage that several servers may share. Thread-safe.

    While the storage cannot be reached, each process counts in its own memory.

    Args:
        uri: memory://, sqlite:///PATH, redis://HOST:PORT and what else `limits` knows.

    Attributes:
        is_failing: whether the storage could not be reached at the last try.

    Raises:
        InputError: that is no storage.
        MissingExtraError: it is Redis, and its package is not installed.
    """

    def __init__(self, uri: str) -> None:
        self.is_failing = False
        self._storage: Final = _storage(uri)
        self._memory: Final = MemoryStorage()
        self._next_try = 0.0
        self._lock: Final = threading.Lock()

    def add(self, key: str, seconds: int, amount: int = 1) -> int:
        """Add to a counter, which is forgotten some seconds after its first use; return it."""
        return int(self._call("incr", key, seconds, amount))

    def get(self, key: str) -> int:
        """Return a counter."""
        return int(self._call("get", key))

    def end_of(self, key: str) -> float:
        """Return when a counter is forgotten, in seconds since 1970."""
        return float(self._call("get_expiry", key))

    def probe(self) -> bool:
        """Return whether the storage fails; ask one that has failed whether it answers again."""
        if self.is_failing:
            self.get("")
        return self.is_failing

    def _call(self, method: str, *args: Any) -> Any:
        if self._may_try():
            try:
                result = getattr(self._storage, method)(*args)
            except StorageError as error:
                self._note(error)
            else:
                if self.is_failing:
                    self._note(None)
                return result
        return getattr(self._memory, method)(*args)

    def _may_try(self) -> bool:
        """Return whether to ask the storage; of one that fails, one request a second tries it."""
        if not self.is_failing:
            return True
        with self._lock:
            now = time.monotonic()
            may_try = now >= self._next_try
            if may_try:
                self._next_try = now + _SECONDS_BETWEEN_TRIES
            return may_try

    def _note(self, error: Exception | None) -> None:
        with self._lock:
            has_changed = self.is_failing != (error is not None)
            self.is_failing = error is not None
            self._next_try = time.monotonic() + _SECONDS_BETWEEN_TRIES
        if has_changed and error is not None:
            _log.warning("the storage of quotas fails, so this process counts alone: %s", error)
        elif has_changed:
            _log.warning("the storage of quotas answers again")


class Quotas:
    """Count what clients use, and refuse what is more than they may. Thread-safe.

    Args:
        storage: see :class:`Counts`.
        rate_limit: of clients without one of their own; None: there is none.

    Raises:
        InputError: the storage or the limit cannot be parsed.
        MissingExtraError: see :class:`Counts`.
    """

    def __init__(self, storage: str, rate_limit: str | None) -> None:
        self.counts: Final = Counts(storage)
        self._rate_limit: Final = rate_limit
        self._background: Final = ThreadPoolExecutor(1, thread_name_prefix="lorelm-quotas")
        if rate_limit is not None:
            parse_rate_limit(rate_limit)

    def count_request(self, holder: Holder | None, address: str) -> RequestCount | None:
        """Count a request, of a key of the file or else of an address.

        Returns:
            the narrowest window; None where nothing is limited.

        Raises:
            QuotaError: there have been too many.
        """
        key = holder.key if holder is not None and holder.is_valid else None
        text = (key and key.rate_limit) or self._rate_limit
        if text is None:
            return None
        client = f"key/{key.name}" if key is not None else f"address/{address}"
        counted: list[RequestCount] = []
        for limit in parse_rate_limit(text):
            counter = limit.key_for(client)
            count = self.counts.add(counter, limit.get_expiry())
            ends_at = self.counts.end_of(counter)
            if count > limit.amount:
                sender = f"the key {key.name!r}" if key is not None else "this address"
                raise QuotaError(
                    f"{sender} may send {limit}: try again later",
                    code="quota.requests",
                    retry_after=ends_at - time.time(),
                )
            counted.append(RequestCount(limit.amount, limit.amount - count, ends_at))
        return min(counted, key=lambda each: each.remaining)

    def require_tokens(self, holder: Holder | None) -> None:
        """Refuse a request with a key whose tokens of the day are used up.

        Raises:
            QuotaError: they are.
        """
        key = holder and holder.key
        if key is None or key.tokens_per_day is None:
            return
        now = datetime.now(UTC)
        if self.counts.get(_day_counter(key, now)) >= key.tokens_per_day:
            midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            seconds = (midnight - now).total_seconds()
            raise QuotaError(
                f"the key {key.name!r} has used up its {key.tokens_per_day:,} tokens of this day: "
                f"the next one begins at 00:00 UTC, in {_in_words(seconds)}",
                code="quota.tokens",
                retry_after=seconds,
            )

    def count_tokens(self, holder: Holder | None, num_tokens: int, *, waits: bool) -> None:
        """Count generated tokens of a key that has a quota of them.

        Args:
            waits: return when they are counted; else at once, as an event loop must.
        """
        key = holder and holder.key
        if key is None or key.tokens_per_day is None or not num_tokens:
            return
        counter = _day_counter(key, datetime.now(UTC))
        add = partial(self.counts.add, counter, _SECONDS_KEPT, num_tokens)
        if not waits:
            with suppress(RuntimeError):  # the server ends; only then may its event loop wait
                self._background.submit(add)
                return
        add()

    def close(self) -> None:
        """Return when all is counted."""
        self._background.shutdown()


def _day_counter(key: Key, now: datetime) -> str:
    return f"lorelm/tokens/{key.name}/{now:%Y-%m-%d}"


def _in_words(seconds: float) -> str:
    hours, minutes = divmod(int(seconds) // 60 + 1, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _without_password(uri: str) -> str:
    return re.sub("//.*@", "//…@", uri)


def _storage(uri: str) -> Storage:
    """Return a storage of `limits`, whose errors are all :class:`StorageError`."""
    if uri.startswith(f"{FILE_SCHEME}:///"):
        storage = FileStorage(uri, wrap_exceptions=True)
        try:
            storage.check()
        except StorageError as error:
            raise InputError(
                f"{uri}, where quotas are to be counted, cannot be written: {error}",
                code="rate_limit.invalid_storage",
            ) from error
        return storage
    options: dict[str, Any] = {}
    if uri.startswith("redis"):
        if find_spec("redis") is None:
            raise MissingExtraError("counting in Redis", "redis")
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        options = {
            "socket_timeout": _SECONDS_TO_ANSWER,
            "socket_connect_timeout": _SECONDS_TO_ANSWER,
            # Once, for a connection that Redis has closed; the default waits for seconds.
            "retry": Retry(NoBackoff(), 1),
        }
    try:
        return cast(Storage, storage_from_string(uri, wrap_exceptions=True, **options))
    except (ConfigurationError, ValueError) as error:
        raise InputError(
            f"{_without_password(uri)!r} is no storage for quotas: write memory://, "
            f"{FILE_SCHEME}:///PATH or redis://HOST:PORT",
            code="rate_limit.invalid_storage",
        ) from error
