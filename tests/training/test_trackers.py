import dataclasses
import json
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.errors import InputError, MissingExtraError
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.callbacks import EpochReport, TrainingCallback
from lorelm.training.checkpoint import Checkpoint
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.run_context import RunContext
from lorelm.training.trackers import MLflow, TensorBoard, WeightsAndBiases
from lorelm.training.train import train

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
    [result] = events.Scalars("perplexity/test")
    metrics_of_test = Bundle.load(tmp_path / "model").manifest.metrics
    assert metrics_of_test is not None
    assert result.value == pytest.approx(metrics_of_test.perplexity)
    samples = events.Tensors("sample/text_summary")
    assert [sample.step for sample in samples] == [1, 2, 3]
    assert samples[0].tensor_proto.string_val[0].decode().strip()


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
    # TensorBoard reads the files of one second by name, so that of its tenth writer before the
    # ninth's. A power cut takes longer.
    time.sleep(1 - time.time() % 1)
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
        TensorBoard(tmp_path / "board")
    assert not (tmp_path / "board").exists()


def test_a_file_in_place_of_the_folder_is_refused(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "board").write_text("")
    options = TrainingOptions(device="cpu", tensorboard=str(tmp_path / "board"))
    with pytest.raises(InputError, match="board for TensorBoard cannot be written: File exists"):
        train(tales, tiny_recipe, out=tmp_path / "model", options=options)
    assert not (tmp_path / "model").exists()


class TestWeightsAndBiases:
    @pytest.fixture(autouse=True)
    def _offline(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        import wandb

        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.setenv("WANDB_SILENT", "true")
        monkeypatch.setenv("WANDB_DIR", str(tmp_path))
        yield
        wandb.teardown()  # else the next test has the mode of this one

    @staticmethod
    def records(file: Path) -> list[Any]:
        """What a file of an offline run says: protobuf messages in LevelDB's log format."""
        from wandb.proto.wandb_internal_pb2 import Record

        content, place, message, found = file.read_bytes(), 7, b"", []
        while place < len(content):
            left = 32768 - place % 32768
            if left < 7:  # no header fits into the rest of the block
                place += left
                continue
            _, length, kind = struct.unpack_from("<IHB", content, place)
            message += content[place + 7 : place + 7 + length]
            place += 7 + length
            if kind in (1, 4):  # a whole record, or the last part of one
                found.append(Record.FromString(message))
                message = b""
        return found

    def test_a_run_and_its_resumption_are_one_run(
        self, tales: Documents, tiny_recipe: Recipe, tmp_path: Path
    ) -> None:
        out, recipe = tmp_path / "model", dataclasses.replace(tiny_recipe, epochs=3)
        options = TrainingOptions(device="cpu", tracker="wandb", checkpoint_steps=1)
        with pytest.raises(SystemExit):
            train(tales, recipe, out=out, options=options, context=RunContext(callback=PowerCut()))
        train(
            tales, recipe, out=out, options=options, context=RunContext(resume=Checkpoint.load(out))
        )
        files = sorted(
            tmp_path.glob("wandb/offline-*/*.wandb"), key=lambda file: file.stat().st_mtime
        )
        assert len({file.name for file in files}) == 1
        first, second = (self.records(file) for file in files)
        config = {
            item.key: json.loads(item.value_json)
            for record in first
            if record.HasField("run")
            for item in record.run.config.update
        }
        assert config["hidden_size"] == 32
        assert config["corpus"] == "tales.txt"
        history = [
            {item.key or item.nested_key[0]: item.value_json for item in record.history.item}
            for record in (*first, *second)
            if record.HasField("history")
        ]
        perplexities = [
            json.loads(row["perplexity/valid"]) for row in history if "perplexity/valid" in row
        ]
        expected = Bundle.load(out).training_metrics()
        assert perplexities[-1] == pytest.approx(expected[-1]["valid_perplexity"])
        assert any("samples" in row for row in history)
        assert any("perplexity/test" in row for row in history)

    def test_without_a_key_it_says_so_before_training(
        self, tales: Documents, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WANDB_MODE", "online")
        monkeypatch.setenv("WANDB_API_KEY", "")
        monkeypatch.setenv("HOME", str(tmp_path))
        options = TrainingOptions(device="cpu", tracker="wandb")
        with raises_code(InputError, "tracker.unwritable"):
            train(tales, tiny_recipe, out=tmp_path / "model", options=options)
        assert not (tmp_path / "model").exists()


# Of MLflow's own packages.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::UserWarning")
class TestMLflow:
    @pytest.fixture(autouse=True)
    def _local(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")

    def test_a_run_and_its_resumption_are_one_run(
        self, tales: Documents, tiny_recipe: Recipe, tmp_path: Path
    ) -> None:
        from mlflow import MlflowClient

        out, recipe = tmp_path / "model", dataclasses.replace(tiny_recipe, epochs=3)
        options = TrainingOptions(device="cpu", tracker="mlflow", checkpoint_steps=1)
        client = MlflowClient()
        with pytest.raises(SystemExit):
            train(tales, recipe, out=out, options=options, context=RunContext(callback=PowerCut()))
        place = client.get_experiment_by_name("lorelm").experiment_id
        assert [run.info.status for run in client.search_runs([place])] == ["KILLED"]
        train(
            tales, recipe, out=out, options=options, context=RunContext(resume=Checkpoint.load(out))
        )
        [run] = client.search_runs([place])
        assert (run.info.status, run.info.run_name) == ("FINISHED", "model")
        assert run.data.params["hidden_size"] == "32"
        metrics = Bundle.load(out).training_metrics()
        logged = {
            metric.step: metric.value
            for metric in client.get_metric_history(run.info.run_id, "perplexity/valid")
        }
        expected = {row["epoch"]: row["valid_perplexity"] for row in metrics}
        assert logged == pytest.approx(expected)
        assert run.data.metrics["perplexity/test"] > 1
        samples = client.list_artifacts(run.info.run_id, "samples")
        assert [Path(each.path).name for each in samples] == [
            f"epoch-000{n}.txt" for n in (1, 2, 3)
        ]

    def test_a_tracker_that_cannot_be_reached_is_refused_before_training(
        self, tales: Documents, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'no' / 'folder.db'}")
        (tmp_path / "no").write_text("")
        options = TrainingOptions(device="cpu", tracker="mlflow")
        with raises_code(InputError, "tracker.unwritable"):
            train(tales, tiny_recipe, out=tmp_path / "model", options=options)
        assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("kind", "package"), [(WeightsAndBiases, "wandb"), (MLflow, "mlflow")])
def test_without_its_package_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, kind: type, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"lorelm\[{package}\]"):
        kind("id", "model")
