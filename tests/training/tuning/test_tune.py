"""The whole way of a tuning, on the tales."""

import csv
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus
from lorelm.errors import BundleError, CorpusError, InputError, RecipeError, TrainingStoppedError
from lorelm.training.callbacks import EpochReport
from lorelm.training.losses import LossDivergedError
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.train import train
from lorelm.training.trainer import Trainer
from lorelm.training.tuning.callbacks import TuningCallback, TuningStart
from lorelm.training.tuning.options import TuningOptions
from lorelm.training.tuning.trials import Candidate, TrialReport, TuningResult
from lorelm.training.tuning.tune import TuningContext, tune

pytestmark = pytest.mark.system

CPU = TrainingOptions(device="cpu")


@pytest.fixture
def recipe(tiny_recipe: Recipe) -> Recipe:
    return dataclasses.replace(tiny_recipe, epochs=4, precision="float32")


class Observer(TuningCallback):
    """Keeps what happens, in its order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.problems: list[str] = []
        self.trials: list[TrialReport] = []
        self.found: Sequence[Candidate] = ()

    def on_start(self, start: TuningStart) -> None:
        self.events.append("start")
        self.start = start

    def on_epoch(self, number: int, report: EpochReport) -> None:
        self.events.append(f"epoch {report.epoch}")

    def on_trial(self, report: TrialReport, *, is_best: bool) -> None:
        self.events.append(f"trial {report.number}{' best' if is_best else ''}")
        self.trials.append(report)

    def on_finalists(self, found: Sequence[Candidate]) -> None:
        self.events.append("finalists")
        self.found = found

    def on_evaluation(self, report: TrialReport) -> None:
        self.events.append("evaluation")

    def on_problem(self, message: str) -> None:
        self.problems.append(message)


def tuned(
    tales: Documents, recipe: Recipe, out: Path, trials: int | None = 3, **more: Any
) -> tuple[TuningResult, Observer]:
    observer = more.pop("observer", None) or Observer()
    fixed = more.pop("fixed", ())
    options = TuningOptions(trials=trials, **more)
    context = TuningContext(callback=observer, fixed=fixed)
    result = tune(tales, recipe, out=out, options=options, training=CPU, context=context)
    return result, observer


@pytest.fixture(scope="module")
def finished(
    tales: Documents, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, TuningResult, Observer]:
    """A tuning of sixteen settings, and its folder."""
    out = tmp_path_factory.mktemp("tuned") / "tales"
    recipe = dataclasses.replace(tiny_recipe, epochs=4, precision="float32")
    return out, *tuned(tales, recipe, out, trials=16)


def test_the_recipe_is_tried_first_and_the_best_is_at_least_as_good(
    finished: tuple[Path, TuningResult, Observer], recipe: Recipe
) -> None:
    _, result, observer = finished
    assert result.trials[0].recipe == recipe
    assert result.trials[0].is_complete
    lowest = {each.first.recipe: each.mean_perplexity for each in result.finalists}
    assert result.finalists[0].mean_perplexity == min(lowest.values()) <= lowest[recipe]
    own = [each for each in result.trials if not each.is_repetition]
    assert [each.number for each in own] == list(range(16))
    assert len({each.recipe for each in own}) == 16
    ends = [event for event in observer.events if not event.startswith(("trial", "epoch"))]
    assert ends == ["start", "finalists", "evaluation"]
    assert observer.events[-2:] == ["finalists", "evaluation"]


def test_the_best_settings_and_the_recipe_have_a_second_run(
    finished: tuple[Path, TuningResult, Observer], recipe: Recipe
) -> None:
    _, result, _ = finished
    ranked = sorted(
        (each for each in result.trials if each.is_complete and not each.is_repetition),
        key=lambda each: each.valid_perplexity or math.inf,
    )
    expected = {each.recipe.dropout for each in ranked[:2]} | {recipe.dropout}
    second = [each for each in result.trials if each.is_repetition]
    assert {each.recipe.dropout for each in second} == expected
    assert {each.recipe.seed for each in second} == {recipe.seed + 1}
    assert all(each.epochs == each.recipe.epochs for each in second)


def test_the_folder_holds_what_was_found(
    finished: tuple[Path, TuningResult, Observer], recipe: Recipe
) -> None:
    out, result, observer = finished
    assert {path.name for path in out.iterdir()} == {
        *("best.toml", "importance.png", "model", "study.db", "trials", "trials.csv", "trials.png")
    }
    with (out / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial"]) for row in rows] == [each.number for each in result.trials]
    for row, trial in zip(rows, result.trials, strict=True):
        assert row["state"] == trial.state
        for name in observer.start.tuned:
            assert float(row[name]) == getattr(trial.recipe, name)
    for name in ("trials.png", "importance.png"):
        with Image.open(out / name) as image:
            assert min(image.size) > 200
    # Weights of the best trials and of the recipe alone.
    assert (out / "trials" / "0.safetensors").exists()
    assert len(list((out / "trials").iterdir())) <= 6 + 2


def test_the_best_recipe_trains_the_model_that_was_saved(
    finished: tuple[Path, TuningResult, Observer], tales: Documents, tmp_path: Path
) -> None:
    out, result, _ = finished
    saved = Bundle.load(out / "model")
    assert saved.manifest.metrics is not None  # it was evaluated on the test part
    best = Recipe.load(str(out / "best.toml"))
    assert best == result.recipe
    again = train(tales, best, out=tmp_path / "again", options=CPU)
    assert again is not None
    expected, found = saved.weights(), again.weights()
    assert all(found[name].tobytes() == expected[name].tobytes() for name in expected)
    assert again.manifest.recipe == saved.manifest.recipe


def test_no_trial_sees_the_test_part(
    tales: Documents, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Corpus] = []

    class WatchedTrainer(Trainer):
        def __init__(self, model: Any, corpus: Corpus, *rest: Any, **more: Any) -> None:
            seen.append(corpus)
            super().__init__(model, corpus, *rest, **more)

    monkeypatch.setattr("lorelm.training.tuning.runner.Trainer", WatchedTrainer)
    result, _ = tuned(tales, recipe, tmp_path / "out", trials=2)
    assert len(seen) == 2
    assert all(len(corpus.test.stream) == corpus.test.num_documents == 0 for corpus in seen)
    assert result.bundle is not None
    assert result.bundle.manifest.corpus is not None
    assert result.bundle.manifest.corpus.test_tokens > 0


def test_the_same_call_goes_on_and_evaluates_only_what_is_new(
    tales: Documents, recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    tuned(tales, recipe, out, trials=2)
    result, observer = tuned(tales, recipe, out, trials=2)
    assert observer.trials == []
    assert "evaluation" not in observer.events
    assert result.bundle is not None
    result, observer = tuned(tales, recipe, out, trials=4)
    assert [each.number for each in observer.trials] == [2, 3]
    assert observer.start.num_finished == 2
    is_new = result.finalists[0].first.number >= 2
    assert ("evaluation" in observer.events) == is_new


def test_what_is_given_is_not_tuned(tales: Documents, recipe: Recipe, tmp_path: Path) -> None:
    fixed = ["hidden_size", "epochs", "learning_rate"]
    result, observer = tuned(tales, recipe, tmp_path / "out", fixed=fixed)
    for name in fixed:
        assert name not in observer.start.tuned
        assert {getattr(each.recipe, name) for each in result.trials} == {getattr(recipe, name)}
    with raises_code(RecipeError, "recipe.other_study"):
        tuned(tales, recipe, tmp_path / "out")


def test_a_trial_that_diverges_or_lacks_memory_fails_alone(
    tales: Documents, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss of the second trial diverges, and the third finds no memory."""
    num_begun = 0

    class FailingTrainer(Trainer):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            nonlocal num_begun
            num_begun += 1
            self._number = num_begun
            super().__init__(*arguments, **more)

        def step(self) -> EpochReport | None:
            if self._number == 2 and self._window == 1:
                raise LossDivergedError
            if self._number == 3:
                torch.empty(2**60)  # PyTorch's own error
            return super().step()

    monkeypatch.setattr("lorelm.training.tuning.runner.Trainer", FailingTrainer)
    result, _ = tuned(tales, recipe, tmp_path / "out", trials=4)
    assert [each.state for each in result.trials[1:3]] == ["failed", "failed"]
    assert result.trials[1].problem == "the loss diverged"
    assert result.trials[1].epochs == 0
    assert result.trials[2].problem == "there was no memory for it"
    assert result.trials[3].problem == ""


def test_a_recipe_that_cannot_be_trained_says_so_at_once(
    tales: Documents, recipe: Recipe, tmp_path: Path
) -> None:
    wide = dataclasses.replace(recipe, batch_size=100_000)
    with raises_code(CorpusError, "corpus.too_few_tokens"):
        tuned(tales, wide, tmp_path / "out")


@pytest.mark.slow
def test_a_tuning_ends_in_its_time_with_a_model(
    tales: Documents, recipe: Recipe, tmp_path: Path
) -> None:
    result, observer = tuned(tales, recipe, tmp_path / "out", trials=None, time_budget_seconds=30.0)
    assert result.bundle is not None
    assert result.trials[0].is_complete
    assert len(result.trials) > 3
    assert observer.start.trial_seconds is not None
    for trial in result.trials:
        if trial.state == "pruned" and trial.problem:
            assert trial.problem == "the time was over"


def test_a_time_too_short_for_one_trial_is_refused_and_leaves_nothing(
    tales: Documents, recipe: Recipe, tmp_path: Path
) -> None:
    long = dataclasses.replace(recipe, epochs=100_000)
    with raises_code(RecipeError, "recipe.budget_too_short") as caught:
        tuned(tales, long, tmp_path / "out", trials=None, time_budget_seconds=20.0)
    assert "one trial takes about" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_ctrl_c_keeps_what_was_found_and_the_trial_comes_first_afterwards(
    tales: Documents, recipe: Recipe, tmp_path: Path
) -> None:
    class Interrupting(Observer):
        def on_epoch(self, number: int, report: EpochReport) -> None:
            if number == 1 and report.epoch == 1:
                raise KeyboardInterrupt

    out, observer = tmp_path / "out", Interrupting()
    with raises_code(TrainingStoppedError, "training.stopped") as caught:
        tuned(tales, recipe, out, observer=observer)
    assert f"the best recipe so far is in {out / 'best.toml'}" in str(caught.value)
    assert [each.first.number for each in observer.found] == [0]
    assert Recipe.load(str(out / "best.toml")) == recipe
    result, observer = tuned(tales, recipe, out)
    stopped, again = result.trials[1:3]
    assert (stopped.state, stopped.problem) == ("failed", "its process was stopped")
    assert observer.trials[0].recipe == stopped.recipe == again.recipe
    assert [each.state != "failed" for each in result.trials] == [True, False, True, True]


def test_other_folders_and_torchrun_are_refused(
    tales: Documents,
    recipe: Recipe,
    tmp_path: Path,
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with raises_code(BundleError, "bundle.foreign_dir"):
        tuned(tales, recipe, tiny_bundle)
    with raises_code(RecipeError, "recipe.options"):
        tuned(tales, recipe, tmp_path / "out", trials=None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with raises_code(InputError, "tuning.torchrun"):
        tuned(tales, recipe, tmp_path / "out")


def test_trials_start_from_an_initial_checkpoint(
    tales: Documents, tiny_bundle: Path, tmp_path: Path
) -> None:
    recipe = Recipe.load("fine-tune", epochs=2, batch_size=4, min_frequency=2)
    options = TuningOptions(trials=2)
    training = TrainingOptions(init=str(tiny_bundle), device="cpu")
    result = tune(tales, recipe, out=tmp_path / "out", options=options, training=training)
    assert {each.recipe.hidden_size for each in result.trials} == {32}
    assert result.trials[0].valid_perplexity is not None
    assert result.trials[0].valid_perplexity < 10  # the tales are known already
    settings = (tmp_path / "out" / "best.toml").read_text()
    assert "hidden_size" not in settings  # which --init determines
