import json
from pathlib import Path

import pytest
import torch

from lorelm.bundle.bundle import METRIC_NAMES
from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.callbacks import (
    CallbackList,
    EpochReport,
    MetricsLog,
    TrainingCallback,
    metrics_lines,
)

from .test_checkpoint import largest_file


def report(epoch: int, valid_loss: float) -> EpochReport:
    return EpochReport(
        epoch=epoch,
        train_loss=4.0,
        valid_loss=valid_loss,
        is_best=True,
        learning_rate=0.01,
        tokens_per_second=1000.0,
        seconds=2.5,
    )


class Problems(TrainingCallback):
    def __init__(self) -> None:
        self.problems: list[str] = []

    def on_problem(self, message: str) -> None:
        self.problems.append(message)


@pytest.fixture(scope="module")
def model() -> LSTMLanguageModel:
    torch.manual_seed(0)
    return LSTMLanguageModel(
        ModelConfig(vocabulary_size=3, embedding_size=1, hidden_size=1, num_layers=1)
    )


def lines_in(folder: Path) -> list[dict[str, float]]:
    text = (folder / "metrics.so-far.jsonl").read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_holds_the_metrics_of_an_epoch() -> None:
    (line,) = metrics_lines([report(1, 0.0)]).splitlines()
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


def test_the_log_grows_with_each_epoch(model: LSTMLanguageModel, tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "run", TrainingCallback())
    for epoch in (1, 2):
        log.on_epoch(report(epoch, 3.0), model)
        assert [line["epoch"] for line in lines_in(tmp_path / "run")] == list(range(1, epoch + 1))


def test_a_repeated_epoch_replaces_itself_and_all_later_ones(
    model: LSTMLanguageModel, tmp_path: Path
) -> None:
    log = MetricsLog(tmp_path, TrainingCallback())
    for epoch, loss in ((1, 3.0), (2, 2.0), (3, 9.0), (2, 1.0)):
        log.on_epoch(report(epoch, loss), model)
    assert [line["valid_loss_nats_per_token"] for line in lines_in(tmp_path)] == [3.0, 1.0]


def test_the_epochs_before_an_interruption_stay(model: LSTMLanguageModel, tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, TrainingCallback(), reports=[report(1, 3.0), report(2, 2.0)])
    log.on_epoch(report(3, 1.0), model)
    assert [line["epoch"] for line in lines_in(tmp_path)] == [1, 2, 3]


def test_a_failed_write_is_reported_once_and_training_goes_on(
    model: LSTMLanguageModel, tmp_path: Path
) -> None:
    (tmp_path / "run").write_text("a file, not a folder")
    user = Problems()
    log = MetricsLog(tmp_path / "run", user)
    log.on_epoch(report(1, 3.0), model)
    log.on_epoch(report(2, 3.0), model)
    assert len(user.problems) == 1
    assert "metrics.so-far.jsonl cannot be written" in user.problems[0]
    assert user.problems[0].endswith("training goes on")


def test_a_failed_write_leaves_the_log_unchanged(model: LSTMLanguageModel, tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, TrainingCallback())
    log.on_epoch(report(1, 3.0), model)
    with largest_file((tmp_path / "metrics.so-far.jsonl").stat().st_size + 9):
        log.on_epoch(report(2, 3.0), model)
    assert [line["epoch"] for line in lines_in(tmp_path)] == [1]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_list_passes_every_event_to_every_callback(model: LSTMLanguageModel) -> None:
    events: list[str] = []

    class Recorder(TrainingCallback):
        def __getattribute__(self, name: str) -> object:
            return lambda *_, **__: events.append(name)

    callbacks = CallbackList([Recorder(), Recorder()])
    for name in [name for name in vars(TrainingCallback) if name.startswith("on_")]:
        assert name in vars(CallbackList)
    callbacks.on_epoch(report(1, 3.0), model)
    callbacks.on_problem("full")
    assert events == ["on_epoch", "on_epoch", "on_problem", "on_problem"]
