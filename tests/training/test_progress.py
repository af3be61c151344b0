import time
from collections.abc import Sequence

import pytest

from lorelm.corpus.preparation import Corpus
from lorelm.evaluation.measure import Stage
from lorelm.training.callbacks import TRAINING, Progress, TimeRange, TrainingCallback
from lorelm.training.progress import RunProgress
from lorelm.training.recipe import Recipe
from lorelm.training.time_budget import TimeBudget
from lorelm.training.trainer import Trainer

from .fitting import new_trainer


class Recorder(TrainingCallback):
    def __init__(self) -> None:
        self.events: list[Progress] = []

    def on_progress(self, progress: Progress) -> None:
        self.events.append(progress)


class FakeRun:
    """A run on a clock of its own; its trainer's progress is set, not made.

    Attributes:
        trainer: a real one, never trained.
    """

    def __init__(self, trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        self.recorder = Recorder()
        self.progress = RunProgress(self.recorder, started=90.0)
        self.trainer = trainer

    def stage(self, name: str, seconds: float = 0.0) -> Progress:
        self.now += seconds
        self.progress.begin(name)
        return self.recorder.events[-1]

    def train(self, seconds: float, share: float) -> Progress:
        """Make steps of a tenth of a second, until a share of the training is over."""
        before, num_steps = self.trainer.progress, round(seconds * 10)
        for step in range(num_steps):
            self.now += 0.1
            self.trainer.progress = before + (share - before) * (step + 1) / num_steps
            self.progress.on_step(num_tokens=1)
        return self.recorder.events[-1]

    def begin_training(self, *, is_timed: bool = False, **stages: Sequence[float]) -> None:
        expected = {Stage[name]: TimeRange(*seconds) for name, seconds in stages.items()}
        self.progress.begin_training(self.trainer, expected, is_timed=is_timed)
        self.trainer.start_clock()


@pytest.fixture
def run(corpus: Corpus, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    return FakeRun(new_trainer(corpus, tiny_recipe), monkeypatch)


def test_before_training_nothing_is_known_without_a_budget(run: FakeRun) -> None:
    assert run.stage("preparing") == Progress(stage="preparing", share=0.0, left=None)


def test_what_is_left_is_the_rest_of_training_and_the_evaluation(run: FakeRun) -> None:
    run.begin_training(SAMPLES=(5, 10), SAVING=(1, 2))
    found = run.train(10, 0.25)
    assert found.stage == TRAINING
    assert found.left is not None
    assert found.left.low == pytest.approx(30 + 6, abs=1)
    assert found.left.high == pytest.approx(30 + 12, abs=1)
    assert found.share == pytest.approx(20 / (20 + 39), abs=0.02)  # ten seconds were over before


def test_the_range_is_from_the_mean_speed_to_that_of_now(run: FakeRun) -> None:
    run.begin_training()
    run.train(100, 0.5)
    found = run.train(20, 0.52)  # ten times as slow
    assert found.left is not None
    assert found.left.low == pytest.approx(0.48 * 120 / 0.52, rel=0.02)
    assert found.left.high == pytest.approx(0.48 * 20 / 0.02, rel=0.05)


def test_stages_are_over_when_the_next_one_begins(run: FakeRun) -> None:
    run.begin_training(GRAPHS=(1, 1), NGRAMS=(4, 4), METRICS=(8, 8), SAVING=(2, 2))
    run.train(20, 1.0)
    assert run.stage(Stage.GRAPHS).left == TimeRange(15, 15)
    assert run.stage(Stage.NGRAMS, 0.2).left == TimeRange(14, 14)
    assert run.stage(Stage.METRICS, 40).left == TimeRange(10, 10)
    assert run.stage(Stage.SAVING, 1).left == TimeRange(2, 2)
    shares = [event.share for event in run.recorder.events]
    assert shares == sorted(shares)
    assert shares[-1] < 1


def test_the_time_left_of_a_budget_is_its_own(run: FakeRun) -> None:
    run.progress.set_budget(TimeBudget(seconds=60, started=90.0))
    first = run.stage("preparing")
    assert first.left == TimeRange(50, 50)
    assert first.share == pytest.approx(10 / 60)
    run.begin_training(is_timed=True, SAVING=(1, 2))
    found = run.train(20, 0.9).left
    assert found is not None
    assert found.low == found.high == pytest.approx(30, abs=0.5)
    last = run.stage(Stage.SAVING, 100)
    assert last.left is not None
    assert last.left.high > 0
    assert last.share < 1


def test_a_run_that_ends_before_its_budget_says_so(run: FakeRun) -> None:
    run.progress.set_budget(TimeBudget(seconds=1000, started=90.0))
    run.begin_training(is_timed=False, SAVING=(1, 2))
    found = run.train(10, 0.5)
    assert found.left is not None
    assert 10 < found.left.low <= found.left.high < 13


def test_a_resumed_run_begins_where_it_was(run: FakeRun) -> None:
    run.begin_training()
    run.trainer.start_clock(90.0)  # as a restored one
    run.trainer.progress = 0.5
    run.progress.on_restore((), epoch_tokens=0)
    found = run.train(2, 0.51)
    assert found.left is not None
    assert found.left.low == pytest.approx(98, abs=2)
    assert found.share == pytest.approx((90 + 10 + 2) / 200, abs=0.02)


def test_events_come_twice_a_second(run: FakeRun) -> None:
    run.begin_training()
    before = len(run.recorder.events)
    run.train(10, 0.5)
    assert 15 <= len(run.recorder.events) - before <= 20
