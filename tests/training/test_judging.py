import dataclasses
import time
from typing import Any

import pytest
import torch

from lorelm.corpus.preparation import Corpus
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.training import judging
from lorelm.training.judging import JudgingSpeed, measure_judging_speed
from lorelm.training.recipe import Recipe

CPU = torch.device("cpu")


class Clock:
    """Stands still but for what is said to take time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def takes(self, owner: Any, name: str, seconds: float) -> None:
        """So many seconds for each call of a method, which does what it does."""
        work = getattr(owner, name)

        def slowly(*arguments: Any, **options: Any) -> Any:
            self.now += seconds
            return work(*arguments, **options)

        self._monkeypatch.setattr(owner, name, slowly)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_foretelling_is_tried_out_event_by_event(
    corpus: Corpus, tiny_recipe: Recipe, clock: Clock
) -> None:
    clock.takes(OnnxRuntime, "step", 0.5)
    speed = measure_judging_speed(corpus, tiny_recipe, device=CPU)
    assert speed.foretelling_seconds == speed.tuning_seconds == 0.5
    assert speed.fixed_seconds == speed.validation_seconds == speed.counting_seconds == 0
    num_valid, num_test = len(corpus.valid.stream), len(corpus.test.stream)
    # As often as it is foretold by training and judging, and something for what is not measured.
    counted = 0.5 * (2 * num_test + 2 * num_valid)
    assert 1.2 * counted < speed.seconds(corpus) < 2 * counted


def test_tuning_on_many_events_takes_longer_than_on_the_first(
    corpus: Corpus, tiny_recipe: Recipe, clock: Clock
) -> None:
    clock.takes(judging, "tune_cache", 100.0)
    several = dataclasses.replace(corpus, valid=corpus.train)
    few = measure_judging_speed(corpus, tiny_recipe, device=CPU)
    many = measure_judging_speed(several, tiny_recipe, device=CPU)
    assert few.tuning_seconds * len(corpus.valid.stream) == pytest.approx(100)
    assert many.tuning_seconds * 1_000 > 150


def test_counting_grows_with_the_training_part(
    corpus: Corpus, tiny_recipe: Recipe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.takes(KneserNey, "fit_orders", 3.0)
    whole = measure_judging_speed(corpus, tiny_recipe, device=CPU)
    assert whole.counting_seconds == pytest.approx(6)  # for the bundle and for the figures
    monkeypatch.setattr(judging, "_COUNTED_TOKENS", len(corpus.train.stream) // 10)
    part = measure_judging_speed(corpus, tiny_recipe, device=CPU)
    assert 60 < part.counting_seconds < 120
    uncounted = dataclasses.replace(corpus, may_be_counted=False)
    assert part.seconds(uncounted) == 0
    assert part.seconds(corpus) > 60


def test_less_to_judge_takes_less_time(corpus: Corpus) -> None:
    speed = JudgingSpeed(
        fixed_seconds=1.0,
        foretelling_seconds=0.1,
        validation_seconds=0.01,
        tuning_seconds=0.2,
        spelling_seconds=0.0,
        counting_seconds=0.0,
    )
    seconds = [speed.seconds(corpus.with_samples(n)) for n in (10, 50, 100, 10**9)]
    assert seconds == sorted(set(seconds))
    assert seconds[-1] == speed.seconds(corpus)
