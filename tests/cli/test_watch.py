from pathlib import Path

import pytest

from lorelm.cli import watch
from lorelm.cli.watch import WatchPage
from lorelm.errors import TrainingStoppedError
from lorelm.training.callbacks import TRAINING, Progress, TimeRange


def test_a_page_of_a_run_that_is_over_names_no_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "show_address", lambda _: None)
    page = WatchPage(tmp_path, "tales.txt")

    def stop() -> None:
        page.on_progress(Progress(stage=TRAINING, share=0.5, left=TimeRange(10, 20)))
        assert page._progress["secondsLeft"] == 15
        raise TrainingStoppedError("stopped")

    with pytest.raises(TrainingStoppedError), page:
        stop()
    [event] = page._run.events()
    assert event["progress"]["stage"] == "stopped"
    assert event["progress"]["secondsLeft"] is None
