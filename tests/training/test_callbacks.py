import json

from lorelm.bundle.bundle import METRIC_NAMES
from lorelm.training.callbacks import CallbackList, EpochReport, TrainingCallback, metrics_lines

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
