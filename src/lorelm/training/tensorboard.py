"""The metrics of a training run for TensorBoard."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from lorelm.corpus.preparation import Corpus
from lorelm.errors import InputError, MissingExtraError
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.callbacks import EpochReport, TrainingCallback
from lorelm.training.recipe import Recipe


class TensorBoardLog(TrainingCallback):
    """Callback that writes the metrics of each epoch into an event file, until it is closed.

    After a failed write, training goes on without it.

    Args:
        folder: of the event files; it is created when training begins.
        user: notified of a failed write.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, user: TrainingCallback) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("writing for TensorBoard", "tensorboard") from error
        self._folder: Final = folder
        self._user: Final = user
        self._open: Final = partial(SummaryWriter, str(folder))
        self._writer: SummaryWriter | None = None

    def close(self) -> None:
        with self._notifying():
            if self._writer is not None:
                self._writer.close()

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        if self._writer is not None:  # training begins again
            self.on_restore((), epoch_tokens=0)
            return
        try:
            self._writer = self._open()
        except OSError as error:
            raise InputError(self._complaint(error)) from error

    def on_restore(self, epochs: Sequence[EpochReport], *, epoch_tokens: int) -> None:
        self.close()
        with self._notifying():
            # TensorBoard drops the epochs after these: they come again.
            self._writer = self._open(purge_step=len(epochs) + 1)

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        if self._writer is None:
            return
        with self._notifying():
            for name, value in {
                "loss/train": report.train_loss,
                "loss/valid": report.valid_loss,
                "perplexity/valid": report.valid_perplexity,
                "learning rate": report.learning_rate,
                "tokens per second": report.tokens_per_second,
            }.items():
                self._writer.add_scalar(name, value, report.epoch)
            self._writer.flush()

    @contextmanager
    def _notifying(self) -> Iterator[None]:
        """Report a failed write and give up the writer, which cannot be used after it."""
        try:
            yield
        except OSError as error:
            self._writer = None
            self._user.on_problem(f"{self._complaint(error)}; training goes on without it")

    def _complaint(self, error: OSError) -> str:
        return (
            f"the folder {self._folder} for TensorBoard cannot be written: "
            f"{error.strerror or error}"
        )
