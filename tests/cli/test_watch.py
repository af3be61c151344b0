from pathlib import Path

import pytest

from lorelm.cli.watch import RunReporter, event_file
from lorelm.errors import InputError, TrainingStoppedError
from lorelm.server.watch.event_file import Follower
from lorelm.server.watch.watched_run import WatchedRun
from lorelm.training.callbacks import TRAINING, Progress, TimeRange


def test_a_run_that_is_over_has_no_time_left(tmp_path: Path) -> None:
    run = WatchedRun({})
    page = RunReporter(run, tmp_path)

    def stop() -> None:
        page.on_progress(Progress(stage=TRAINING, share=0.5, left=TimeRange(10, 20)))
        assert page._progress["secondsLeft"] == 15
        raise TrainingStoppedError("stopped")

    with pytest.raises(TrainingStoppedError), page:
        stop()
    run.finish(timeout_seconds=0)
    [event] = run.events()
    assert event["progress"]["stage"] == "stopped"
    assert event["progress"]["secondsLeft"] is None


def test_a_file_of_events_shows_what_the_page_shows(tmp_path: Path) -> None:
    """Also of a run that goes on in a second process: its samples stay, its usage begins anew."""
    for epoch in (1, 2):
        with event_file(tmp_path / "events" / "run.jsonl", tmp_path) as reporter:
            reporter.on_sample(epoch, f"text {epoch}")
            reporter._run.append("usage", [epoch, 0, 0, 0])
    run = WatchedRun({})
    follower = Follower(tmp_path / "events" / "run.jsonl", run)
    follower.read()
    run.finish(timeout_seconds=0)
    [event] = run.events()
    assert [row["text"] for row in event["samples"]["rows"]] == ["text 1", "text 2"]
    assert event["usage"]["rows"] == [[2, 0, 0, 0]]
    assert event["progress"]["stage"] == "preparing"


def test_a_line_that_is_not_complete_is_read_later(tmp_path: Path) -> None:
    path, run = tmp_path / "run.jsonl", WatchedRun({})
    follower = Follower(path, run)
    follower.read()
    path.write_text('{"append": "epochs", "rows": [1]}\n{"append": "epo')
    follower.read()
    with path.open("a") as file:
        file.write('chs", "rows": [2]}\nkilled in the middle{\n{"put": {"end": {}}}\n')
    follower.read()
    run.finish(timeout_seconds=0)
    assert [*run.events()] == [{"end": {}, "epochs": {"from": 0, "rows": [1, 2]}}]


def test_events_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--events"), event_file(tmp_path, tmp_path):
        pass
