"""The record of a training run: a line of JSON an epoch."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lorelm.bundle.atomic_dir import replace_file
from lorelm.bundle.layout import METRICS_SO_FAR
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.listener import EpochReport, ListenerBefore, TrainingListener


def metrics_lines(reports: Iterable[EpochReport]) -> str:
    """The contents of ``metrics.jsonl``."""
    return "".join(json.dumps(epoch_figures(report)) + "\n" for report in reports)


class MetricsLog(ListenerBefore):
    """Writes the record so far after each epoch, and passes everything on.

    That it cannot be written is told once until it is written again.

    Args:
        out: the folder of the run; it is made when there is something to write.
        reports: of the epochs before an interruption.
    """

    def __init__(
        self, out: Path, listener: TrainingListener, *, reports: Iterable[EpochReport] = ()
    ) -> None:
        super().__init__(listener)
        self._path: Final = out / METRICS_SO_FAR
        self._reports = list(reports)
        self._is_failing = False

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        # After an explosion of the loss, an epoch may come again.
        self._reports = [*self._reports[: report.epoch - 1], report]
        try:
            self._path.parent.mkdir(exist_ok=True)
            replace_file(self._path, metrics_lines(self._reports).encode())
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                self.on_problem(
                    f"{self._path} cannot be written: {error.strerror}; training goes on"
                )
            self._is_failing = True
        super().on_epoch(report, model)


def epoch_figures(report: EpochReport) -> dict[str, object]:
    """A line of ``metrics.jsonl``."""
    return {
        "epoch": report.epoch,
        "train_loss_nats_per_token": report.train_loss,
        "valid_loss_nats_per_token": report.valid_loss,
        "valid_perplexity": report.valid_perplexity,
        "is_best": report.is_best,
        "learning_rate": report.learning_rate,
        "tokens_per_second": report.tokens_per_second,
        "seconds": report.seconds,
    }
