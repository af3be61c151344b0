import logging
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.errors import raises_code
from tests.server.redis import Redis

from lorelm.errors import InputError, QuotaError
from lorelm.server.keys import quotas
from lorelm.server.keys.key import Key
from lorelm.server.keys.key_ring import Holder
from lorelm.server.keys.quotas import Counts, Quotas, _day_counter


def holder(name: str = "one", **settings: Any) -> Holder:
    key = Key.of("ll_x", name, **settings)
    return Holder(name, key)


def num_allowed(ask: Callable[[], object]) -> int:
    """How many of ten requests pass."""
    passed = 0
    for _ in range(10):
        try:
            ask()
        except QuotaError:
            continue
        passed += 1
    return passed


def test_a_key_counts_by_its_name_and_others_by_their_address() -> None:
    counted = Quotas("memory://", "3/minute")
    one, two = holder(), holder("two", rate_limit="5/minute")
    assert num_allowed(lambda: counted.count_request(one, "a")) == 3
    assert num_allowed(lambda: counted.count_request(two, "a")) == 5
    assert num_allowed(lambda: counted.count_request(None, "a")) == 3
    assert num_allowed(lambda: counted.count_request(Holder("api-key"), "a")) == 0
    assert num_allowed(lambda: counted.count_request(None, "b")) == 3


def test_without_a_limit_nothing_is_counted() -> None:
    counted = Quotas("memory://", None)
    assert counted.count_request(holder(), "a") is None
    assert counted.count_request(holder(rate_limit="2/minute"), "a").remaining == 1


def test_the_narrowest_of_several_limits_holds() -> None:
    counted = Quotas("memory://", "100/minute;2/hour")
    left = counted.count_request(None, "a")
    assert (left.limit, left.remaining) == (2, 1)
    assert 3590 < left.ends_at - time.time() <= 3600
    counted.count_request(None, "a")
    with raises_code(QuotaError, "quota.requests") as caught:
        counted.count_request(None, "a")
    assert "2 per 1 hour" in str(caught.value)
    assert 3590 < caught.value.retry_after <= 3600


def test_tokens_of_a_day_are_used_up(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/counts.db"
    first, second = Quotas(uri, None), Quotas(uri, None)
    limited, free = holder(tokens_per_day=10), holder("free")
    for each in (limited, free, None):
        first.require_tokens(each)
        first.count_tokens(each, 9, waits=True)
        second.require_tokens(each)
        second.count_tokens(each, 5, waits=False)
    second.close()
    second.count_tokens(limited, 1, waits=False)  # of a stream that ends with the server
    assert first.counts.get(_day_counter(limited.key, datetime.now(UTC))) == 15
    with raises_code(QuotaError, "quota.tokens") as caught:
        first.require_tokens(limited)
    assert "'one' has used up its 10 tokens" in str(caught.value)
    assert 0 < caught.value.retry_after <= 24 * 3600
    first.require_tokens(free)
    first.require_tokens(holder(tokens_per_day=16))  # it was given more
    with raises_code(QuotaError, "quota.tokens"):  # a new server, with the same storage
        Quotas(uri, None).require_tokens(limited)


@pytest.mark.system
def test_while_redis_is_away_a_process_counts_alone(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(quotas, "_SECONDS_BETWEEN_TRIES", 0.1)
    first, second = Counts(redis.url), Counts(redis.url)
    assert [first.add("a", 60), second.add("a", 60), first.get("a")] == [1, 2, 2]
    redis.stop()
    assert [first.add("a", 60), second.add("a", 60), first.add("a", 60)] == [1, 1, 2]
    assert first.is_failing
    redis.start()
    time.sleep(0.15)
    assert [first.add("a", 60), second.add("a", 60)] == [1, 2]
    assert not first.is_failing
    redis.stop()
    assert [first.add("b", 60), first.probe()] == [1, True]
    redis.start()
    time.sleep(0.15)
    assert not first.probe()  # without a request
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 6


def test_redis_that_is_away_does_not_hold_up_a_request() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    counts = Counts(f"redis://127.0.0.1:{port}")
    assert [counts.add("a", 60, 5), counts.get("a")] == [5, 5]
    assert counts.is_failing


@pytest.mark.parametrize("uri", ["tape://x", "nonsense", "", "sqlite:////dev/null/x"])
def test_another_storage_is_refused(uri: str) -> None:
    with raises_code(InputError, "rate_limit.invalid_storage"):
        Counts(uri)
