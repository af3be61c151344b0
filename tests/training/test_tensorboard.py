import dataclasses
import sys
from pathlib import Path

import pytest

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.errors import InputError, MissingExtraError
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.callbacks import EpochReport, TrainingCallback
from lorelm.training.checkpoint import Checkpoint
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.tensorboard import TensorBoardLog
from lorelm.training.train import RunContext, train

from .test_checkpoint import fill

pytestmark = pytest.mark.system


def test_the_event_file_holds_the_metrics_of_each_epoch(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options = TrainingOptions(device="cpu", tensorboard=str(tmp_path / "board"))
    recipe = dataclasses.replace(tiny_recipe, epochs=3)
    train(tales, recipe, out=tmp_path / "model", options=options)
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    metrics = Bundle.load(tmp_path / "model").training_metrics()
    for tag, key in (
        ("loss/train", "train_loss_nats_per_token"),
        ("loss/valid", "valid_loss_nats_per_token"),
        ("perplexity/valid", "valid_perplexity"),
        ("learning rate", "learning_rate"),
        ("tokens per second", "tokens_per_second"),
    ):
        scalars = events.Scalars(tag)
        assert [scalar.step for scalar in scalars] == [1, 2, 3]
        expected = [row[key] for row in metrics]
        assert [scalar.value for scalar in scalars] == pytest.approx(expected)


class PowerCut(TrainingCallback):
    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        if report.epoch == 2:
            raise SystemExit


def test_epochs_repeated_after_an_interruption_appear_once(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "model"
    options = TrainingOptions(device="cpu", tensorboard=str(tmp_path / "board"))
    recipe = dataclasses.replace(tiny_recipe, epochs=3)
    with pytest.raises(SystemExit):  # the only checkpoint is that of the beginning
        train(tales, recipe, out=out, options=options, context=RunContext(callback=PowerCut()))
    train(tales, recipe, out=out, options=options, context=RunContext(resume=Checkpoint.load(out)))
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    scalars = events.Scalars("loss/valid")
    assert [scalar.step for scalar in scalars] == [1, 2, 3]


class FullDisk(TrainingCallback):
    def __init__(self, ballast: Path) -> None:
        self.ballast = ballast
        self.problems: list[str] = []

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        fill(self.ballast)

    def on_problem(self, message: str) -> None:
        self.problems.append(message)


# A thread of TensorBoard's own ends with a traceback, too.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_training_goes_on_without_it_when_its_disk_is_full(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path, small_disk: Path
) -> None:
    options = TrainingOptions(device="cpu", tensorboard=str(small_disk / "board"))
    callback = FullDisk(small_disk / "ballast")
    recipe = dataclasses.replace(tiny_recipe, epochs=30)  # a page of the disk holds some
    train(
        tales,
        recipe,
        out=tmp_path / "model",
        options=options,
        context=RunContext(callback=callback),
    )
    assert len(Bundle.load(tmp_path / "model").training_metrics()) == 30
    (problem,) = callback.problems
    assert "board for TensorBoard cannot be written: No space left on device" in problem
    assert problem.endswith("training goes on without it")


def test_without_tensorboard_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"TensorBoard .*lorelm\[tensorboard\]"):
        TensorBoardLog(tmp_path / "board", TrainingCallback())
    assert not (tmp_path / "board").exists()


def test_a_file_in_place_of_the_folder_is_refused(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "board").write_text("")
    options = TrainingOptions(device="cpu", tensorboard=str(tmp_path / "board"))
    with pytest.raises(InputError, match="board for TensorBoard cannot be written: File exists"):
        train(tales, tiny_recipe, out=tmp_path / "model", options=options)
    assert not (tmp_path / "model").exists()
