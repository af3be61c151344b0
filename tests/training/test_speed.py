import dataclasses
import time
from itertools import cycle
from typing import Any

import pytest
import torch

from lorelm.corpus.preparation import Corpus
from lorelm.evaluation.measure import Stage
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.training import speed, trainer
from lorelm.training.callbacks import TimeRange
from lorelm.training.recipe import Recipe
from lorelm.training.speed import EvaluationSpeed, Machine, TrainingSpeed, fastest
from lorelm.training.trainer import Trainer

from .fitting import CPU, fit_recipe

pytestmark = pytest.mark.system


class Clock:
    """A clock that only the given functions advance.

    Attributes:
        processor_share: how much of the time the processor works for this thread.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.processor = 0.0
        self.processor_share = 1.0
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(time, "thread_time", lambda: self.processor)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.processor += seconds * self.processor_share

    def takes(self, owner: Any, name: str, *seconds: float, first: float | None = None) -> None:
        """Make a function take some seconds, in turn; the first call of each object `first`."""
        work = getattr(owner, name)
        called: list[Any] = []
        turns = cycle(seconds)

        def slowly(*arguments: Any, **options: Any) -> Any:
            is_first = first is not None and not any(arguments[0] is other for other in called)
            called.append(arguments[0])
            self.pass_time(first if is_first and first is not None else next(turns))
            return work(*arguments, **options)

        self._monkeypatch.setattr(owner, name, slowly)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize("settings", [{}, {"epochs": 3, "batch_size": 8}, {"batch_size": 99}])
def test_the_first_steps_predict_how_long_all_epochs_take(
    corpus: Corpus, tiny_recipe: Recipe, clock: Clock, settings: dict[str, int]
) -> None:
    clock.takes(Trainer, "update", 1, first=10)
    clock.takes(speed, "validation_loss", 3)
    clock.takes(trainer, "validation_loss", 3)
    recipe = dataclasses.replace(tiny_recipe, **settings)
    measured = Machine(device=CPU, max_seconds=35.0).training_speed(corpus, recipe)
    assert clock.now < 55
    clock.now = -9.0
    fit_recipe(corpus, recipe)
    assert recipe.epochs * measured.epoch_seconds(len(corpus.valid.stream)) == pytest.approx(
        clock.now
    )


def test_a_stall_does_not_decide_how_fast_training_is(
    corpus: Corpus, tiny_recipe: Recipe, clock: Clock
) -> None:
    clock.takes(Trainer, "update", 1, 1, 1, 60, 1, 1)
    measured = Machine(device=CPU, max_seconds=80.0).training_speed(corpus, tiny_recipe)
    assert measured.seconds_per_update == 1
    assert measured.expected.seconds_per_update == 1


def test_on_a_busy_machine_the_processor_time_says_how_fast_a_free_one_is(
    corpus: Corpus, tiny_recipe: Recipe, clock: Clock
) -> None:
    clock.processor_share = 0.25
    clock.takes(Trainer, "update", 4)
    clock.takes(KneserNey, "fit_orders", 4)
    machine = Machine(device=CPU, max_seconds=40.0)
    training = machine.training_speed(corpus, tiny_recipe)
    assert (training.seconds_per_update, training.processor_share) == (4, 0.25)
    assert training.expected.seconds_per_update == pytest.approx(2)
    counting = machine.evaluation_speed(corpus, tiny_recipe).stages(corpus)[Stage.NGRAMS]
    assert counting == TimeRange(1, 4)


def test_the_reserve_is_enough_for_a_machine_that_becomes_slower(corpus: Corpus) -> None:
    free = EvaluationSpeed(
        graph_seconds=1.0,
        token_seconds=0.1,
        float_token_seconds=0.1,
        cache_seconds=0.1,
        ngram_seconds=1.0,
    )
    takes = sum(busy.high for busy in free.stages(corpus).values())
    assert free.seconds(corpus) >= 1.5 * takes
    busy = dataclasses.replace(free, processor_share=0.5)
    assert takes < busy.seconds(corpus) < free.seconds(corpus)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Device(Machine):
    """A device whose updates take a known time; None: it lacks an operation."""

    seconds: float | None

    def training_speed(self, corpus: Corpus, recipe: Recipe) -> TrainingSpeed:
        if self.seconds is None:
            raise RuntimeError("the operator is not implemented for this device")
        return TrainingSpeed(
            seconds_per_update=self.seconds, updates_per_epoch=1, seconds_per_valid_token=0.0
        )


@pytest.mark.parametrize(
    ("seconds", "best"), [([2.0, 1.0], 1), ([1.0, 2.0], 0), ([1.0, 1.0], 0), ([1.0, None], 0)]
)
def test_the_fastest_device_trains(
    corpus: Corpus, tiny_recipe: Recipe, seconds: list[float | None], best: int
) -> None:
    devices = [Device(device=CPU, seconds=each) for each in seconds]
    assert fastest(devices, corpus, tiny_recipe) is devices[best]


def test_measuring_changes_no_random_number(corpus: Corpus, tiny_recipe: Recipe) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3).tolist()
    torch.manual_seed(7)
    machine = Machine(device=CPU, max_seconds=0.0)
    machine.training_speed(corpus, tiny_recipe)
    machine.evaluation_speed(corpus, tiny_recipe)
    assert torch.rand(3).tolist() == expected


def test_predicting_is_measured_per_token(
    corpus: Corpus, tiny_recipe: Recipe, clock: Clock
) -> None:
    clock.takes(OnnxRuntime, "step", 0.5)
    measured = Machine(device=CPU).evaluation_speed(corpus, tiny_recipe)
    a_token = measured.token_seconds
    assert 0.5 / 16 < a_token < 0.5 / 10  # 16 rows are read side by side, and warmed up
    stages = measured.stages(corpus)
    assert stages[Stage.VALIDATION].high == pytest.approx(a_token * len(corpus.valid.stream))
    num_tokens = len(corpus.test.stream) * (1 + speed._LINE_PASSES)
    assert stages[Stage.METRICS].high == pytest.approx(a_token * num_tokens)
    uncounted = dataclasses.replace(corpus, may_be_counted=False)
    generated = a_token * speed._GENERATED_TOKENS
    whole, without = (
        sum(each.high for each in measured.stages(of).values()) for of in (corpus, uncounted)
    )
    assert whole - without == pytest.approx(generated)


def test_fitting_ngrams_grows_with_the_training_part(
    corpus: Corpus, tiny_recipe: Recipe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.takes(KneserNey, "fit_orders", 3.0)
    whole = Machine(device=CPU).evaluation_speed(corpus, tiny_recipe)
    assert whole.ngram_seconds == 3
    monkeypatch.setattr(speed, "_NGRAM_TOKENS", len(corpus.train.stream) // 10)
    part = Machine(device=CPU).evaluation_speed(corpus, tiny_recipe)
    assert 10 < part.ngram_seconds / whole.ngram_seconds < 20


def test_smaller_held_out_parts_take_less_time(corpus: Corpus) -> None:
    measured = EvaluationSpeed(
        graph_seconds=1.0,
        token_seconds=0.1,
        float_token_seconds=0.1,
        cache_seconds=0.1,
        ngram_seconds=0.0,
    )
    seconds = [measured.seconds(corpus.with_samples(n)) for n in (10, 50, 100, 10**9)]
    assert seconds == sorted(set(seconds))
    assert seconds[-1] == measured.seconds(corpus)
