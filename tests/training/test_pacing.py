import dataclasses
import time
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus
from lorelm.errors import RecipeError
from lorelm.evaluation.measure import Stage
from lorelm.training import pacing, plan
from lorelm.training.callbacks import TRAINING, Progress, TrainingCallback
from lorelm.training.options import TrainingOptions
from lorelm.training.pacing import Pacer, ReplannedError
from lorelm.training.plan import Plan
from lorelm.training.recipe import Recipe
from lorelm.training.run_context import RunContext
from lorelm.training.schedule import TrainingHorizon
from lorelm.training.speed import EvaluationSpeed, TrainingSpeed
from lorelm.training.time_budget import TimeBudget
from lorelm.training.train import train
from lorelm.training.trainer import Trainer

from .fitting import CPU, initial_model

SAVING = EvaluationSpeed(
    graph_seconds=0.0,
    token_seconds=0.0,
    float_token_seconds=0.0,
    cache_seconds=0.0,
    ngram_seconds=6.0,
)
"""A reserve of 12.4 s: n-grams, and 1.3 s to draw."""


@dataclasses.dataclass
class FakeMachine:
    evaluation: EvaluationSpeed
    num_measured: int = 0

    def evaluation_speed(self, corpus: Corpus, recipe: Recipe) -> EvaluationSpeed:
        self.num_measured += 1
        return self.evaluation


class FakeRun:
    """A run of a 100 s budget: 88 to train, 1,000 updates expected; its trainer only counts."""

    def __init__(self, corpus: Corpus, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        per_epoch = 100
        self.plan = Plan(
            recipe=recipe,
            horizon=TrainingHorizon(seconds=88.0),
            speed=TrainingSpeed(
                seconds_per_update=0.088, updates_per_epoch=per_epoch, seconds_per_valid_token=0.0
            ),
            evaluation=SAVING,
        )
        model = initial_model(corpus, recipe, CPU)
        self.trainer = Trainer(model, corpus, recipe, horizon=self.plan.horizon)
        self.machine = FakeMachine(SAVING)
        self.metadata: dict[str, Any] = {}
        self.num_plans = 0
        self.wider = dataclasses.replace(
            self.plan, recipe=dataclasses.replace(recipe, hidden_size=64), notes=["64 wide"]
        )
        self.replanned: Plan | RecipeError = self.wider

    def replan(self) -> Plan:
        self.num_plans += 1
        if isinstance(self.replanned, RecipeError):
            raise self.replanned
        return self.replanned

    def pacer(self, *, replan: Callable[[], Plan] | None = None) -> Pacer:
        budget = TimeBudget(seconds=100, started=0.0)
        return Pacer(self.plan, budget, self.machine, replan=replan, run=self.metadata)

    def train(self, pacer: Pacer, seconds_per_update: float, *, until: float = 1.0) -> None:
        """Train until a share of the run is over."""
        if not self.trainer.num_updates:
            self.trainer.start_clock()
        while self.trainer.progress < until:
            self.now += seconds_per_update
            self.trainer.num_updates += 1
            self.trainer._set_progress()
            pacer.after_step(self.trainer)


@pytest.fixture
def run(corpus: Corpus, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    return FakeRun(corpus, tiny_recipe, monkeypatch)


@pytest.mark.parametrize(("factor", "change"), [(3.0, "slower"), (1 / 3, "faster")])
def test_training_begins_again_where_the_machine_is_another(
    run: FakeRun, factor: float, change: str
) -> None:
    with pytest.raises(ReplannedError) as caught:
        run.train(run.pacer(replan=run.replan), 0.088 * factor)
    assert run.now < 5
    assert caught.value.plan.recipe.hidden_size == 64
    assert caught.value.plan.notes == [
        f"Training begins again: the machine is {change} than expected.",
        "64 wide",
    ]


def test_a_change_a_little_later_is_noticed(run: FakeRun) -> None:
    pacer = run.pacer(replan=run.replan)
    run.train(pacer, 0.088, until=0.06)
    with pytest.raises(ReplannedError):
        run.train(pacer, 0.088 / 4)
    assert run.now < 12


@pytest.mark.parametrize("factor", [1.9, 1 / 1.9])
def test_a_small_difference_is_none(run: FakeRun, factor: float) -> None:
    run.train(run.pacer(replan=run.replan), 0.088 * factor)
    assert run.num_plans == 0


def test_training_goes_on_if_no_other_width_is_better(run: FakeRun) -> None:
    run.replanned = run.plan
    run.train(run.pacer(replan=run.replan), 0.3)
    assert run.num_plans == 1


def test_training_goes_on_if_too_little_time_is_left_to_begin_again(run: FakeRun) -> None:
    run.replanned = RecipeError("too short")
    run.train(run.pacer(replan=run.replan), 0.3)
    assert run.num_plans == 1


def test_a_width_that_is_given_stays(run: FakeRun) -> None:
    run.train(run.pacer(), 0.3)
    assert run.trainer.progress == 1


@pytest.mark.parametrize(("share", "slowdown"), [(1.0, 1.0), (1.0, 0.4), (0.5, 2.0), (0.7, 1.4)])
def test_training_ends_as_the_evaluation_of_the_moment_needs(
    run: FakeRun, share: float, slowdown: float
) -> None:
    run.machine.evaluation = dataclasses.replace(
        SAVING, ngram_seconds=6.0 * slowdown, processor_share=share
    )
    run.train(run.pacer(), 0.088)
    assert run.machine.num_measured == 1
    reserve = run.machine.evaluation.seconds(run.trainer.corpus)
    assert run.now == pytest.approx(100 - reserve, abs=0.3)
    stored = Plan.of_run(run.metadata, run.plan.recipe)
    assert stored.horizon == run.trainer.horizon


def test_an_evaluation_that_takes_all_the_time_ends_training_at_once(run: FakeRun) -> None:
    run.machine.evaluation = dataclasses.replace(SAVING, ngram_seconds=1000.0)
    run.train(run.pacer(), 0.088)
    assert run.now < 81


def test_a_run_without_a_budget_is_left_alone(run: FakeRun) -> None:
    pacer = Pacer(run.plan, None, run.machine, replan=None, run=run.metadata)
    run.train(pacer, 0.088)
    assert run.now == pytest.approx(88, abs=0.1)
    assert run.machine.num_measured == 0


class WiderAtTheSecondLook(TrainingCallback):
    """Makes another width the only one as soon as training has begun."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.widths: list[int] = []
        self.notes: list[str] = []

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        self.widths.append(recipe.hidden_size)
        self.notes += corpus.notes
        self._monkeypatch.setattr(plan, "_WIDTHS", (24,))


@pytest.mark.system
def test_a_run_that_begins_again_becomes_the_bundle_of_the_second_plan(
    tales: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setattr(plan, "_WIDTHS", (16,))
    monkeypatch.setattr(pacing, "_MAX_DIFFERENCE", 1.0)
    monkeypatch.setattr(pacing, "_LOOKS", (0.5,))  # an epoch is over by then
    callback = WiderAtTheSecondLook(monkeypatch)
    board = tmp_path / "board"
    options = TrainingOptions(device="cpu", time_budget_seconds=300, tensorboard=str(board))
    recipe = Recipe.load("default", min_frequency=1, epochs=3)
    context = RunContext(callback=callback)
    bundle = train(tales, recipe, out=tmp_path / "m", options=options, context=context)
    assert bundle is not None
    assert callback.widths == [16, 24]
    assert any(note.startswith("Training begins again: ") for note in callback.notes)
    assert bundle.manifest.model.hidden_size == 24
    assert len(bundle.training_metrics()) == 3
    events = EventAccumulator(str(board))
    events.Reload()
    assert [scalar.step for scalar in events.Scalars("loss/valid")] == [1, 2, 3]


class Stages(TrainingCallback):
    def __init__(self) -> None:
        self.events: list[Progress] = []

    def on_progress(self, progress: Progress) -> None:
        self.events.append(progress)


@pytest.mark.system
def test_the_progress_of_a_run_has_all_stages_and_ends_below_the_whole(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    callback = Stages()
    train(tales, tiny_recipe, out=tmp_path / "m", context=RunContext(callback=callback))
    stages = [stage for stage, _ in groupby(event.stage for event in callback.events)]
    assert stages == [
        "preparing tales.txt",
        "measuring the speed of this machine",
        TRAINING,
        *(stage for stage in Stage if stage is not Stage.BLEND),  # training has one model
    ]
    shares = [event.share for event in callback.events]
    assert shares == sorted(shares)
    assert shares[-1] < 1
    assert all(event.left for event in callback.events if event.stage in list(Stage))
