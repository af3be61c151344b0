import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from limits import parse
from limits.strategies import FixedWindowRateLimiter

from lorelm.server.keys.file_storage import FileStorage
from lorelm.server.keys.rate_limit import FILE_SCHEME


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"{FILE_SCHEME}:///{tmp_path}/limits.sqlite"


def test_two_processes_count_together(uri: str) -> None:
    first, second = FileStorage(uri), FileStorage(uri)
    assert [first.incr("a", 60), second.incr("a", 60), first.incr("a", 60, 3)] == [1, 2, 5]
    assert second.incr("b", 60) == 1
    assert (first.get("a"), second.get("b"), first.get("c")) == (5, 1, 0)
    assert 58 < second.get_expiry("a") - time.time() <= 60


def test_processes_may_open_a_new_file_at_the_same_moment(tmp_path: Path) -> None:
    """SQLite refuses one that changes the mode of a file at the same time as another."""

    def open_together(path: Path) -> None:
        together = Barrier(6)

        def open_one(_: int) -> bool:
            storage = FileStorage(f"{FILE_SCHEME}:///{path}")
            together.wait(timeout=20)
            return storage.check()

        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(open_one, range(6)))

    for number in range(40):
        open_together(tmp_path / f"{number}.sqlite")


def test_a_window_ends(uri: str) -> None:
    storage = FileStorage(uri)
    storage.incr("a", 1)
    time.sleep(1.1)
    assert storage.get("a") == 0
    assert storage.incr("a", 1) == 1


def test_no_count_is_lost_between_threads(uri: str) -> None:
    storages = [FileStorage(uri) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        counts = [*pool.map(lambda number: storages[number % 2].incr("a", 60), range(400))]
    assert sorted(counts) == [*range(1, 401)]


def test_a_limit_holds_over_both(uri: str) -> None:
    limiters = [FixedWindowRateLimiter(FileStorage(uri)) for _ in range(2)]
    limit = parse("5/minute")
    assert sum(limiters[number % 2].hit(limit, "me") for number in range(20)) == 5
    limiters[0].storage.clear(limit.key_for("me"))
    assert limiters[1].hit(limit, "me")
    limiters[1].storage.reset()
    assert limiters[0].storage.check()
