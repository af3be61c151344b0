import dataclasses
import time
from typing import Any

import pytest

from lorelm.corpus.preparation import Corpus
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.training import speed, trainer
from lorelm.training.recipe import Recipe
from lorelm.training.speed import EvaluationSpeed, Machine
from lorelm.training.trainer import Trainer

from .fitting import CPU, fit_recipe

pytestmark = pytest.mark.system


class Clock:
    """A clock that only the given functions advance."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def takes(self, owner: Any, name: str, seconds: float, *, first: float | None = None) -> None:
        """Make a function take some seconds, the first call of each object `first`."""
        work = getattr(owner, name)
        called: list[Any] = []

        def slowly(*arguments: Any, **options: Any) -> Any:
            is_first = first is not None and not any(arguments[0] is other for other in called)
            called.append(arguments[0])
            self.now += first if is_first and first is not None else seconds
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
    assert clock.now < 45
    clock.now = -9.0
    fit_recipe(corpus, recipe)
    assert recipe.epochs * measured.epoch_seconds(len(corpus.valid.stream)) == pytest.approx(
        clock.now
    )


def test_predicting_is_measured_per_token(
    corpus: Corpus, tiny_recipe: Recipe, clock: Clock
) -> None:
    clock.takes(OnnxRuntime, "step", 0.5)
    measured = Machine(device=CPU).evaluation_speed(corpus, tiny_recipe)
    num_valid, num_test = len(corpus.valid.stream), len(corpus.test.stream)
    uncounted = dataclasses.replace(corpus, may_be_counted=False)
    # As often as training and evaluation predict it, and a margin for what is not measured.
    predicted = 0.5 * (num_test + 2 * num_valid)
    assert 1.2 * predicted < measured.seconds(uncounted) < 3 * predicted
    generated = 0.5 * 4_000
    assert 1.2 * generated < measured.seconds(corpus) - measured.seconds(uncounted) < 2 * generated


def test_fitting_ngrams_grows_with_the_training_part(
    corpus: Corpus, tiny_recipe: Recipe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.takes(KneserNey, "fit_orders", 3.0)
    whole = Machine(device=CPU).evaluation_speed(corpus, tiny_recipe)
    assert 3 < whole.ngram_seconds < 10
    monkeypatch.setattr(speed, "_NGRAM_TOKENS", len(corpus.train.stream) // 10)
    part = Machine(device=CPU).evaluation_speed(corpus, tiny_recipe)
    assert 10 < part.ngram_seconds / whole.ngram_seconds < 20
    uncounted = dataclasses.replace(corpus, may_be_counted=False)
    assert part.seconds(corpus) == part.seconds(uncounted) + part.ngram_seconds


def test_smaller_held_out_parts_take_less_time(corpus: Corpus) -> None:
    measured = EvaluationSpeed(fixed_seconds=1.0, token_seconds=0.1, ngram_seconds=0.0)
    seconds = [measured.seconds(corpus.with_samples(n)) for n in (10, 50, 100, 10**9)]
    assert seconds == sorted(set(seconds))
    assert seconds[-1] == measured.seconds(corpus)
