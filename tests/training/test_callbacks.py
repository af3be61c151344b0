import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.bundle.bundle import METRIC_NAMES
from lorelm.corpus.preparation import Corpus
from lorelm.training.callbacks import (
    CallbackList,
    EpochReport,
    Progress,
    TimeRange,
    TrainingCallback,
    metrics_lines,
)
from lorelm.training.recipe import Recipe

from .fitting import fit_recipe

REPORT = EpochReport(
    epoch=1,
    train_loss=4.0,
    valid_loss=0.0,
    is_best=True,
    learning_rate=0.01,
    tokens_per_second=1000.0,
    seconds=2.5,
)


def test_a_line_holds_the_metrics_of_an_epoch() -> None:
    (line,) = metrics_lines([REPORT]).splitlines()
    assert json.loads(line) == {
        "epoch": 1,
        "train_loss_nats_per_token": 4.0,
        "valid_loss_nats_per_token": 0.0,
        "valid_perplexity": 1.0,
        "is_best": True,
        "learning_rate": 0.01,
        "tokens_per_second": 1000.0,
        "seconds": 2.5,
    }
    assert set(METRIC_NAMES) <= json.loads(line).keys()


class Samples(TrainingCallback):
    def __init__(self, *, wants_samples: bool) -> None:
        self.wants_samples = wants_samples
        self.samples: list[tuple[int, str]] = []

    def on_sample(self, epoch: int, text: str) -> None:
        self.samples.append((epoch, text))


def test_samples_are_written_once_for_all_that_want_them(
    corpus: Corpus, tiny_recipe: Recipe
) -> None:
    recipe = dataclasses.replace(tiny_recipe, epochs=2)
    one, other = Samples(wants_samples=True), Samples(wants_samples=False)
    fit_recipe(corpus, recipe, callback=CallbackList([one, other]))
    assert [epoch for epoch, _ in one.samples] == [1, 2]
    assert one.samples == other.samples
    silent = Samples(wants_samples=False)
    fit_recipe(corpus, recipe, callback=silent)
    assert silent.samples == []


def test_a_list_passes_every_event_to_every_callback() -> None:
    events: list[str] = []

    class Recorder(TrainingCallback):
        def __getattribute__(self, name: str) -> object:
            return lambda *_, **__: events.append(name)

    callbacks = CallbackList([Recorder(), Recorder()])
    names = [name for name in vars(TrainingCallback) if name.startswith("on_")]
    for name in names:
        getattr(callbacks, name)("anything", named="too")
    assert events == [name for name in names for _ in range(2)]


SECONDS = st.floats(0, 1e6)


@given(low=SECONDS, more=SECONDS, share=st.floats(0, 0.99), waits=st.lists(SECONDS, min_size=2))
def test_progress_goes_on_but_never_to_the_end(
    low: float, more: float, share: float, waits: list[float]
) -> None:
    begun = Progress(stage="saving", share=share, left=TimeRange(low, low + more))
    later = [begun.after(seconds) for seconds in sorted(waits)]
    shares = [share, *(each.share for each in later)]
    assert shares == pytest.approx(sorted(shares))
    for each in later:
        assert each.share < 1
        assert each.left is not None
        assert 0 <= each.left.low <= each.left.high
        assert each.left.high > 0


def test_what_takes_longer_than_expected_takes_longer_still() -> None:
    assert TimeRange(10, 20).after(5) == TimeRange(5, 15)
    assert TimeRange(10, 20).after(100) == TimeRange(0, 10)


def test_nothing_is_known_later_where_nothing_is_known_now() -> None:
    begun = Progress(stage="preparing", share=0.0, left=None)
    assert begun.after(100) == begun
