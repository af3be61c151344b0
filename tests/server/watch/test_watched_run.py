import threading
from collections.abc import Iterator
from typing import Any

from lorelm.server.watch.watched_run import WatchedRun


def new_run() -> WatchedRun:
    return WatchedRun({"source": "tales.txt"})


def test_a_stream_begins_with_everything_and_goes_on_with_what_changed() -> None:
    run = new_run()
    run.put(stage="training", threads=2)
    run.append("epochs", "a", "b")
    events = run.events()
    assert next(events) == {
        "stage": "training",
        "threads": 2,
        "epochs": {"from": 0, "rows": ["a", "b"]},
    }
    run.put(stage="evaluating")
    run.append("epochs", "c")
    assert next(events) == {"stage": "evaluating", "epochs": {"from": 2, "rows": ["c"]}}


def test_a_series_that_is_replaced_is_sent_whole() -> None:
    run = new_run()
    run.append("epochs", "a", "b", "c")
    events = run.events()
    next(events)
    run.replace("epochs", ["a", "x"])
    assert next(events) == {"epochs": {"from": 0, "rows": ["a", "x"]}}
    run.replace("epochs", [])
    assert next(events) == {"epochs": {"from": 0, "rows": []}}


def test_several_streams_each_get_everything() -> None:
    run = new_run()
    run.append("epochs", "a")
    first = run.events()
    next(first)
    run.append("epochs", "b")
    second = run.events()
    assert next(second) == {"epochs": {"from": 0, "rows": ["a", "b"]}}
    assert next(first) == {"epochs": {"from": 1, "rows": ["b"]}}


def test_the_end_waits_until_each_stream_has_it() -> None:
    run = new_run()
    received: list[dict[str, Any]] = []
    is_open = threading.Event()

    def read(events: Iterator[dict[str, Any]]) -> None:
        for event in events:
            received.append(event)
            is_open.set()

    reader = threading.Thread(target=read, args=(run.events(),))
    reader.start()
    assert is_open.wait(10)
    run.finish(timeout_seconds=10, end="saved")
    assert received[-1] == {"end": "saved"}
    reader.join(10)
    assert not reader.is_alive()
    # A page that is opened now gets all of it, and its stream ends.
    assert [*run.events()] == [{"end": "saved"}]


def test_a_client_that_is_gone_delays_the_end_no_longer_than_allowed() -> None:
    run = new_run()
    forgotten = run.events()
    next(forgotten)
    run.finish(timeout_seconds=0.05)
    forgotten.close()
    run.finish(timeout_seconds=60)
