"""Runs that are stopped early, finished before their time, and extended."""

import dataclasses
import json
import shutil
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.bundle.layout import CHECKPOINT
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus
from lorelm.errors import CheckpointError, RecipeError, TrainingStoppedError
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.callbacks import EpochReport, TrainingCallback
from lorelm.training.checkpoint import Checkpoint
from lorelm.training.loop import CheckpointSettings
from lorelm.training.losses import validation_loss
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.resumption import finished, resumed
from lorelm.training.train import RunContext, train

from .fitting import fit_recipe, new_trainer
from .test_loop import REGULARISED, StopAfter

pytestmark = pytest.mark.system

STEPS_PER_EPOCH = 28


@pytest.fixture
def cosine_recipe(tiny_recipe: Recipe) -> Recipe:
    return dataclasses.replace(tiny_recipe, **REGULARISED, epochs=4)


def stop_after(num_steps: int, tales: Documents, recipe: Recipe, out: Path, **options: Any) -> None:
    """Begin a run and stop it as Ctrl-C does."""
    callback = StopAfter(num_steps)
    context = RunContext(callback=callback, stop=nullcontext(callback.stop))
    with pytest.raises(TrainingStoppedError):
        train(tales, recipe, out=out, options=TrainingOptions(**options), context=context)


def go_on(tales: Documents, checkpoint: Checkpoint, out: Path, **context: Any) -> Bundle:
    """Continue a run by its own settings, as command and Python API do."""
    run = checkpoint.run
    bundle = train(
        tales,
        Recipe.from_dict(run["recipe"]),
        out=out,
        options=TrainingOptions.of_run(run),
        context=RunContext(resume=checkpoint, **context),
    )
    assert bundle is not None
    return bundle


def rates(bundle: Bundle) -> list[float]:
    return [line["learning_rate"] for line in bundle.training_metrics()]


def losses(bundle: Bundle) -> list[float]:
    return [line["valid_loss_nats_per_token"] for line in bundle.training_metrics()]


def test_the_steps_of_these_tests_are_counted_right(corpus: Corpus, tiny_recipe: Recipe) -> None:
    assert new_trainer(corpus, tiny_recipe).updates_per_epoch == STEPS_PER_EPOCH


def test_a_run_that_goes_on_has_its_own_recipe_whatever_is_given(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    """As torchrun restarts the first command: its recipe is not yet fitted to the corpus."""
    out = tmp_path / "m"
    stop_after(5, tales, tiny_recipe, out)
    context = RunContext(resume=Checkpoint.load(out))
    bundle = train(tales, Recipe.load("default"), out=out, context=context)
    assert bundle is not None
    assert bundle.manifest.recipe == tiny_recipe.to_dict()


def test_threads_and_trackers_may_be_given_anew(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    train(tales, tiny_recipe, out=out)
    changes = {"epochs": 12, "threads": 1, "tensorboard": str(tmp_path / "board")}
    go_on(tales, resumed(out, changes), out)
    assert list((tmp_path / "board").iterdir())


# Finish


@pytest.mark.parametrize(("num_steps", "num_epochs"), [(3, 1), (2 * STEPS_PER_EPOCH + 9, 3)])
def test_a_stopped_run_is_finished_with_the_best_that_it_has_learned(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path, num_steps: int, num_epochs: int
) -> None:
    out = tmp_path / "m"
    stop_after(num_steps, tales, tiny_recipe, out)
    bundle = go_on(tales, finished(out), out, finish=True)
    training = bundle.manifest.training
    assert (training.epochs, training.ended) == (num_epochs, "finish")
    assert training.best_epoch_of_all.endswith(f" of {num_epochs} (finished before its time)")
    assert min(losses(bundle)) == losses(bundle)[training.best_epoch - 1]
    assert bundle.manifest.metrics is not None
    assert [file.name for file in out.iterdir() if "checkpoint" in file.name] == []


def test_a_finish_that_is_interrupted_leaves_the_run_as_it_was(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    stop_after(STEPS_PER_EPOCH + 9, tales, tiny_recipe, out)
    before = (out / CHECKPOINT).read_bytes()
    with pytest.raises(TrainingStoppedError, match=r"resume=True.* or make a model of its best"):
        train(
            tales,
            tiny_recipe,
            out=out,
            context=RunContext(resume=finished(out), finish=True, callback=InterruptedEvaluation()),
        )
    assert (out / CHECKPOINT).read_bytes() == before


@pytest.mark.parametrize("bias", [-30.0, float("nan")])
def test_a_worse_or_useless_last_part_of_an_epoch_is_not_taken(
    corpus: Corpus, tiny_recipe: Recipe, tmp_path: Path, bias: float
) -> None:
    callback = StopAfter(STEPS_PER_EPOCH * 4 + 5)
    with pytest.raises(TrainingStoppedError):
        fit_recipe(
            corpus,
            tiny_recipe,
            callback=callback,
            checkpoints=CheckpointSettings(out=tmp_path),
            stop=callback.stop,
        )
    snapshot = Checkpoint.load(tmp_path).snapshot
    for name in ("model.fc.bias", "average.fc.bias"):
        snapshot.tensors[name][:10] = bias
    result = fit_recipe(corpus, tiny_recipe, resume=snapshot, finish=True)
    assert result.best.epoch == 4
    assert validation_loss(result.model, corpus.valid.stream) == pytest.approx(
        result.best.valid_loss
    )


def test_a_run_that_has_learned_nothing_cannot_be_finished(
    corpus: Corpus, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    with raises_code(CheckpointError, "checkpoint.missing"):
        finished(tmp_path)
    Checkpoint(run={}, snapshot=new_trainer(corpus, tiny_recipe).snapshot()).save(tmp_path)
    with raises_code(CheckpointError, "checkpoint.nothing_learned"):
        finished(tmp_path)


# Extend


def test_a_stopped_run_is_extended_and_trains_like_a_longer_one(
    tales: Documents, cosine_recipe: Recipe, tmp_path: Path
) -> None:
    out, longer = tmp_path / "m", dataclasses.replace(cosine_recipe, epochs=7)
    stop_after(2 * STEPS_PER_EPOCH, tales, cosine_recipe, out)
    bundle = go_on(tales, resumed(out, {"epochs": 7}), out)
    whole = train(tales, longer, out=tmp_path / "whole")
    from_scratch = dataclasses.replace(longer, unfreezing=0.0)
    assert bundle.manifest.recipe == from_scratch.to_dict()
    assert rates(bundle)[2:] == pytest.approx(rates(whole)[2:])  # after the warm-up
    assert rates(bundle)[:2] != pytest.approx(rates(whole)[:2])
    assert losses(bundle)[6] == min(losses(bundle)) < 0.7 * losses(bundle)[1]


def test_an_interrupted_extension_ends_with_exactly_the_weights_of_an_uninterrupted_one(
    tales: Documents, cosine_recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    train(tales, cosine_recipe, out=out)
    shutil.copytree(out, tmp_path / "other")
    whole = go_on(tales, resumed(out, {"epochs": 6}), out)
    other, stop = tmp_path / "other", StopAfter(STEPS_PER_EPOCH + 5)
    with pytest.raises(TrainingStoppedError):
        go_on(
            tales,
            resumed(other, {"epochs": 6}),
            other,
            callback=stop,
            stop=nullcontext(stop.stop),
        )
    assert Bundle.load(other).manifest.training.epochs == 4, "the first model is still there"
    parts = go_on(tales, resumed(other, {"epochs": 6}), other)  # once more is no other extension
    assert all((whole.weights()[name] == w).all() for name, w in parts.weights().items())
    assert losses(parts) == losses(whole)


def test_a_finished_run_goes_on_from_the_weights_of_its_best_epoch(
    tales: Documents, corpus: Corpus, cosine_recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    recipe = dataclasses.replace(cosine_recipe, epochs=3, fitted=("epochs", "shuffle"))
    bundle = train(tales, recipe, out=out)
    before = losses(bundle)
    checkpoint = resumed(out, {"epochs": 6})
    assert checkpoint.run["recipe"]["fitted"] == ["shuffle"]
    trainer = new_trainer(corpus, Recipe.from_dict(checkpoint.run["recipe"]))
    trainer.restore(checkpoint.snapshot)
    loss = validation_loss(trainer.averaged_model, corpus.valid.stream)
    assert loss == pytest.approx(min(before))
    weights = trainer.model.fc.weight.clone()
    trainer.step()
    assert torch.equal(trainer.model.fc.weight, weights), "the warm-up begins at zero"
    trainer.step()
    assert not torch.equal(trainer.model.fc.weight, weights)
    after = go_on(tales, checkpoint, out)
    assert losses(after)[:3] == before
    assert len(losses(after)) == after.manifest.recipe["epochs"] == 6
    assert min(losses(after)) < min(before)
    assert rates(after)[3] > 5 * rates(after)[2], "it rises again"
    assert rates(after)[5] < 0.05 * cosine_recipe.learning_rate, "and comes down"


def test_the_plateau_of_a_finished_run_goes_on_as_it_is(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    bundle = train(tales, dataclasses.replace(tiny_recipe, learning_rate=0.2), out=out)
    last = bundle.training_metrics()[-1]
    expected = last["learning_rate"] * (1.0 if last["is_best"] else 0.5)
    assert last["learning_rate"] < 0.2
    assert rates(go_on(tales, resumed(out, {"epochs": 11}), out))[10] == expected


def test_the_checkpoint_of_an_extension_is_written_before_its_first_step(
    tales: Documents, cosine_recipe: Recipe, tmp_path: Path
) -> None:
    class Look(TrainingCallback):
        epochs = 0

        def on_step(self, *, num_tokens: int) -> None:
            self.epochs = self.epochs or Checkpoint.load(out).run["recipe"]["epochs"]

    out, look = tmp_path / "m", Look()
    train(tales, cosine_recipe, out=out)
    go_on(tales, resumed(out, {"epochs": 5}), out, callback=look)
    assert look.epochs == 5


@pytest.mark.slow
def test_a_run_is_extended_by_a_time(
    tales: Documents, cosine_recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    train(tales, cosine_recipe, out=out)
    bundle = go_on(tales, resumed(out, {"time_budget_seconds": 15.0}), out)
    lines = bundle.training_metrics()
    assert 0.5 < lines[-1]["seconds"] - lines[3]["seconds"] < 15
    assert lines[-1]["learning_rate"] < 0.05 * cosine_recipe.learning_rate
    assert min(losses(bundle)) < min(losses(bundle)[:4])


@pytest.fixture(scope="module")
def two_epochs(tales: Documents, tiny_recipe: Recipe, tmp_path_factory: Any) -> Path:
    out = tmp_path_factory.mktemp("runs") / "m"
    stop_after(2 * STEPS_PER_EPOCH + 1, tales, tiny_recipe, out)
    return Path(out)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"epochs": 2}, "recipe.epochs_over"),
        ({"epochs": 0}, "recipe.settings"),
        ({"epochs": "many"}, "recipe.settings"),
        ({"time_budget_seconds": -1.0}, "recipe.settings"),
        ({"early_stopping": -1}, "recipe.settings"),
        ({"epochs": 20, "time_budget_seconds": 60.0}, "recipe.two_ends"),
    ],
)
def test_an_extension_that_cannot_be_is_refused(
    two_epochs: Path, changes: dict[str, Any], code: str
) -> None:
    with raises_code(RecipeError, code):
        resumed(two_epochs, changes)


def test_a_run_may_also_be_shortened(two_epochs: Path) -> None:
    checkpoint = resumed(two_epochs, {"epochs": 3})
    assert checkpoint.run["recipe"]["epochs"] == 3
    assert checkpoint.snapshot.begins_extension


def test_a_finished_run_without_another_end_is_over(tiny_bundle: Path) -> None:
    with raises_code(CheckpointError, "checkpoint.finished"):
        resumed(tiny_bundle, {"early_stopping": 3})


@pytest.mark.parametrize("option", ["serving_only", "compact"])
def test_a_small_bundle_cannot_be_extended(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path, option: str
) -> None:
    out = tmp_path / "m"
    train(
        tales,
        dataclasses.replace(tiny_recipe, epochs=1),
        out=out,
        options=TrainingOptions(**{option: True}),
    )
    with raises_code(CheckpointError, "checkpoint.not_extendable"):
        resumed(out, {"epochs": 20})


@pytest.mark.parametrize("lost", ["metrics", "setting"])
def test_a_bundle_that_does_not_say_how_it_was_trained_cannot_be_extended(
    tiny_bundle: Path, tmp_path: Path, lost: str
) -> None:
    out = shutil.copytree(tiny_bundle, tmp_path / "m")
    if lost == "metrics":
        (out / "metrics.jsonl").unlink()
    else:  # as of a version that had fewer
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        del manifest["recipe"]["seed"]
        (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with raises_code(CheckpointError, "checkpoint.not_extendable"):
        resumed(out, {"epochs": 20})


def test_an_extension_with_another_corpus_is_refused(
    tales: Documents, tiny_bundle: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(tiny_bundle, tmp_path / "m")
    other = dataclasses.replace(tales, texts=tales.texts[1:])
    with raises_code(CheckpointError, "checkpoint.other_corpus"):
        go_on(other, resumed(out, {"epochs": 20}), out)
    assert not (out / CHECKPOINT).exists()


# Early stopping


class InterruptedEvaluation(TrainingCallback):
    def on_evaluation(self, corpus: Corpus) -> None:
        raise KeyboardInterrupt


class Worsen(InterruptedEvaluation):
    """Spoils the model after its second epoch and all later ones, so that none is better."""

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        if report.epoch >= 2:
            much = 5.0 if report.epoch == 2 else 0.2
            model.fc.bias.data += torch.linspace(0, much, len(model.fc.bias))


@pytest.fixture
def slow_recipe(tiny_recipe: Recipe) -> Recipe:
    """Learns too slowly to make good for what `Worsen` does."""
    return dataclasses.replace(tiny_recipe, learning_rate=1e-3)


def interrupted(tales: Documents, recipe: Recipe, out: Path, **options: Any) -> None:
    """Run to the end of training, and not to that of the evaluation."""
    with pytest.raises(TrainingStoppedError):
        train(
            tales,
            recipe,
            out=out,
            options=TrainingOptions(**options),
            context=RunContext(callback=Worsen()),
        )


def test_training_stops_after_some_epochs_without_a_better_one_and_keeps_the_best(
    tales: Documents, slow_recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    interrupted(tales, slow_recipe, out, early_stopping=3)
    bundle = go_on(tales, finished(out), out, finish=True)
    assert bundle.manifest.training.best_epoch_of_all == "2 of 5 (stopped early)"
    assert losses(bundle)[1] == min(losses(bundle))


def test_an_extension_begins_to_count_anew(
    tales: Documents, slow_recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    interrupted(tales, slow_recipe, out, early_stopping=3)
    with pytest.raises(TrainingStoppedError):
        go_on(tales, resumed(out, {"epochs": 12, "early_stopping": 2}), out, callback=Worsen())
    bundle = go_on(tales, resumed(out, {}), out)
    assert bundle.manifest.training.best_epoch_of_all == "2 of 7 (stopped early)"


def test_an_interrupted_run_stops_early_where_an_uninterrupted_one_does(
    tales: Documents, slow_recipe: Recipe, tmp_path: Path
) -> None:
    class StopInEpoch4(Worsen):
        def __init__(self) -> None:
            self.stop = threading.Event()

        def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
            super().on_epoch(report, model)
            if report.epoch == 4:
                self.stop.set()

    out, callback = tmp_path / "m", StopInEpoch4()
    context = RunContext(callback=callback, stop=nullcontext(callback.stop))
    options = TrainingOptions(early_stopping=3)
    with pytest.raises(TrainingStoppedError):
        train(tales, slow_recipe, out=out, options=options, context=context)
    with pytest.raises(TrainingStoppedError):
        go_on(tales, resumed(out, {}), out, callback=Worsen())
    bundle = go_on(tales, resumed(out, {}), out)
    assert bundle.manifest.training.best_epoch_of_all == "2 of 5 (stopped early)"
