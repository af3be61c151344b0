"""What the folder of a run tells. The runs are real, and some of them are killed."""

import dataclasses
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.errors import raises_code
from tests.systems import needs_signals

from lorelm.bundle import EMBEDDED_PATH
from lorelm.bundle.dir_lock import lock_dir
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus
from lorelm.errors import BundleError, RecipeError, TrainingStoppedError
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runs.registry import Entry, entries, register
from lorelm.runs.removal import remove_run
from lorelm.runs.run import find_run, list_runs, read_run
from lorelm.training.callbacks import EpochReport, TrainingCallback
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.resumption import resumed
from lorelm.training.run_context import RunContext
from lorelm.training.train import train

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def _own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORELM_DATA", str(tmp_path / "data"))


@pytest.fixture
def quick(tiny_recipe: Recipe) -> Recipe:
    return dataclasses.replace(tiny_recipe, epochs=3)


class At(TrainingCallback):
    """Calls a function after the second epoch, or when the evaluation begins."""

    def __init__(
        self,
        second_epoch: Callable[[], object] | None = None,
        evaluation: Callable[[], object] | None = None,
    ) -> None:
        self._second_epoch = second_epoch
        self._evaluation = evaluation

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        if report.epoch == 2 and self._second_epoch:
            self._second_epoch()

    def on_evaluation(self, corpus: Corpus) -> None:
        if self._evaluation:
            self._evaluation()


def fail() -> None:
    raise ValueError("no more memory")


def stop() -> None:
    raise KeyboardInterrupt


def test_a_run_is_registered_and_its_state_follows_it(
    tales: Documents, quick: Recipe, tmp_path: Path
) -> None:
    seen = []
    out = tmp_path / "model"

    def look() -> None:
        [run] = list_runs()
        seen.append((run.state, len(run.epochs), run.num_epochs, run.source))

    bundle = train(tales, quick, out=out, context=RunContext(callback=At(look, look)))
    look()
    assert seen == [
        ("running", 2, 3, "tales.txt"),
        ("evaluating", 3, 3, "tales.txt"),
        ("finished", 3, 3, "tales.txt"),
    ]
    assert bundle is not None
    manifest = bundle.manifest
    [run] = list_runs()
    assert run.path == out
    assert run.test_perplexity == manifest.metrics.perplexity
    assert run.bits_per_character == manifest.metrics.bits_per_character
    assert run.valid_perplexity == manifest.training.valid_perplexity
    assert run.seconds == manifest.training.seconds
    assert run.recipe == manifest.recipe


@pytest.mark.parametrize(("end", "state"), [(fail, "failed"), (stop, "stopped")])
def test_a_run_that_ended_early(
    tales: Documents, quick: Recipe, tmp_path: Path, end: Callable[[], None], state: str
) -> None:
    out = tmp_path / "model"
    with pytest.raises(Exception, match=r"no more memory|stopped"):
        train(tales, quick, out=out, context=RunContext(callback=At(end)))
    [run] = list_runs()
    assert run.state == state
    assert run.error == ("no more memory" if state == "failed" else None)
    assert len(run.epochs) == 2
    assert run.source == "tales.txt"
    assert run.to_json()["epochs_done"] == 2


def test_a_run_that_is_refused_before_its_first_checkpoint_has_failed(
    tales: Documents, quick: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "models" / "model"
    options = TrainingOptions(time_budget_seconds=0.01)
    with raises_code(RecipeError, "recipe.budget_too_short"):
        train(tales, quick, out=out, options=options)
    [run] = list_runs()
    assert run.state == "failed"
    assert run.error
    assert "is too short" in run.error
    out.parent.rename(tmp_path / "others")
    remove_run(run)
    assert entries() == []


def test_a_run_that_is_stopped_before_its_first_checkpoint_is_not_listed(
    tales: Documents, quick: Recipe, tmp_path: Path
) -> None:
    class StopAtOnce(TrainingCallback):
        def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
            raise KeyboardInterrupt

    with raises_code(TrainingStoppedError, "training.stopped"):
        train(tales, quick, out=tmp_path / "a", context=RunContext(callback=StopAtOnce()))
    assert list_runs() == []


def test_an_error_in_the_evaluation_is_a_failure_that_can_be_resumed(
    tales: Documents, quick: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="no more memory"):
        train(
            tales,
            quick,
            out=tmp_path / "model",
            context=RunContext(callback=At(evaluation=fail)),
        )
    assert list_runs()[0].state == "failed"


def test_a_new_run_over_an_old_model_is_no_finished_one(
    tales: Documents, quick: Recipe, tmp_path: Path, tiny_bundle: Path
) -> None:
    out = Path(shutil.copytree(tiny_bundle, tmp_path / "model"))
    assert read_run(out).state == "finished"
    with pytest.raises(Exception, match="stopped"):
        train(tales, quick, out=out, context=RunContext(callback=At(stop)))
    assert read_run(out).state == "stopped"
    assert len(read_run(out).epochs) == 2


def test_a_new_run_does_not_begin_with_the_epochs_of_one_that_was_given_up(
    tales: Documents, quick: Recipe, tmp_path: Path
) -> None:
    out, seen = tmp_path / "model", []
    with pytest.raises(Exception, match="stopped"):
        train(tales, quick, out=out, context=RunContext(callback=At(stop)))
    (out / "checkpoint.safetensors").unlink()

    class Look(TrainingCallback):
        def on_step(self, *, num_tokens: int) -> None:
            seen.append(len(read_run(out).epochs))

    train(tales, quick, out=out, context=RunContext(callback=Look()))
    assert seen[0] == 0


def test_an_extension_that_is_stopped_at_once_keeps_the_epochs_of_the_run(
    tales: Documents, quick: Recipe, tmp_path: Path
) -> None:
    class StopAtOnce(TrainingCallback):
        def on_step(self, *, num_tokens: int) -> None:
            raise KeyboardInterrupt

    out = tmp_path / "model"
    train(tales, quick, out=out)
    before = list_runs()[0].epochs
    checkpoint = resumed(out, {"epochs": 6})
    longer = Recipe.from_dict(checkpoint.run["recipe"])
    context = RunContext(callback=StopAtOnce(), resume=checkpoint)
    with pytest.raises(TrainingStoppedError):
        train(tales, longer, out=out, context=context)
    [run] = list_runs()
    assert (run.state, run.num_epochs) == ("stopped", 6)
    assert run.epochs == before


KILLED = """
import os, sys, signal
import lorelm
def kill(report):
    if report.epoch == 2: os.kill(os.getpid(), signal.SIGKILL)
texts = [line.strip() for line in open("tales.txt")]
lorelm.train(texts, out="model", epochs=3, hidden_size=8, min_frequency=1, on_epoch=kill)
"""


@needs_signals
def test_a_killed_process_leaves_a_stopped_run(tales: Documents, tmp_path: Path) -> None:
    lines = "\n".join(text.replace("\n", " ") for text in tales.texts)
    (tmp_path / "tales.txt").write_text(lines, encoding="utf-8")
    ended = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, check=False)
    assert ended.returncode == -signal.SIGKILL
    [run] = list_runs()
    assert (run.path, run.state) == (tmp_path / "model", "stopped")
    assert (tmp_path / ".model.lock").exists()  # left by the process, and held by nobody
    assert len(run.epochs) == 2


def test_a_lock_without_training_is_no_run(tiny_bundle: Path) -> None:
    with lock_dir(tiny_bundle):
        assert read_run(tiny_bundle).state == "finished"


def test_moved_and_deleted_folders(tiny_bundle: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(tiny_bundle, tmp_path / "model"))
    register(Entry.of(out, "tales.txt"))
    moved = out.rename(tmp_path / "elsewhere")
    [run] = list_runs()
    assert (run.state, run.source) == ("gone", "tales.txt")
    assert find_run(moved).state == "finished"
    remove_run(run)
    assert entries() == []
    assert moved.is_dir()


def test_a_run_is_found_by_its_name(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with raises_code(BundleError, "runs.unknown"):
        find_run("model")
    for folder in ("one", "two"):
        path = Path(shutil.copytree(tiny_bundle, tmp_path / folder / "model"))
        register(Entry.of(path, "tales.txt"))
        if folder == "one":
            assert find_run("model").path == path
    with raises_code(BundleError, "runs.ambiguous"):
        find_run("model")
    assert find_run("two/model").path == tmp_path / "two" / "model"


def test_a_damaged_checkpoint_hides_the_rest_of_no_list(tmp_path: Path) -> None:
    for name, content in (
        ("a", b"\xff" * 20),
        ("b", b""),
        ("c", (5).to_bytes(8, "little") + b"{}"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "checkpoint.safetensors").write_bytes(content)
        register(Entry.of(tmp_path / name, "tales.txt"))
    assert [run.state for run in list_runs()] == ["gone"] * 3


class TestRemoval:
    def test_only_files_of_lorelm_go(self, tiny_bundle: Path, tmp_path: Path) -> None:
        out = Path(shutil.copytree(tiny_bundle, tmp_path / "model"))
        (out / "notes.txt").write_text("mine")
        (out / "plots").mkdir()
        (out / "checkpoint.safetensors").mkdir()  # no file of ours
        register(Entry.of(out, "tales.txt"))
        remove_run(read_run(out))
        assert sorted(path.name for path in out.iterdir()) == [
            "checkpoint.safetensors",
            "notes.txt",
            "plots",
        ]
        assert entries() == []

    def test_an_empty_folder_goes_too(self, tiny_bundle: Path, tmp_path: Path) -> None:
        out = Path(shutil.copytree(tiny_bundle, tmp_path / "models" / "model"))
        remove_run(read_run(out))
        assert [*(tmp_path / "models").iterdir()] == []

    def test_an_unfinished_run_goes(self, tales: Documents, quick: Recipe, tmp_path: Path) -> None:
        with pytest.raises(Exception, match="stopped"):
            train(tales, quick, out=tmp_path / "model", context=RunContext(callback=At(stop)))
        [run] = list_runs()
        remove_run(run)
        assert not (tmp_path / "model").exists()
        assert list_runs() == []

    def test_a_running_one_stays(self, tales: Documents, quick: Recipe, tmp_path: Path) -> None:
        def try_to_remove() -> None:
            with raises_code(BundleError, "runs.running"):
                remove_run(list_runs()[0])

        callback = At(try_to_remove, try_to_remove)
        bundle = train(tales, quick, out=tmp_path / "model", context=RunContext(callback=callback))
        assert bundle is not None
        assert [run.state for run in list_runs()] == ["finished"]

    def test_the_embedded_model_stays(self) -> None:
        with raises_code(BundleError, "bundle.embedded"):
            remove_run(read_run(EMBEDDED_PATH))
