"""The metrics of a training run for TensorBoard."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lorelm.corpus.preparation import Corpus
from lorelm.errors import InputError, MissingExtraError
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.callbacks import EpochReport, TrainingCallback
from lorelm.training.recipe import Recipe

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardLog(TrainingCallback):
    """Callback that writes the metrics of each epoch into an event file.

    Use it in a `with` statement, which closes the file. After a failed write, training goes on
    without it.

    Args:
        folder: of the event files; it is created when training begins.
        user: notified of a failed write.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, user: TrainingCallback) -> None:
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("writing for TensorBoard", "tensorboard") from error
        self._folder = folder
        self._user = user
        self._writer: SummaryWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._notifying():
            self._close()

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        try:
            self._open()
        except OSError as error:
            raise InputError(self._complaint(error)) from error

    def on_restore(self, epochs: Sequence[EpochReport], *, epoch_tokens: int) -> None:
        with self._notifying():
            # Epochs that were written before an interruption or a divergence come again.
            self._close()
            self._open(purge_step=len(epochs) + 1)

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

    def _open(self, *, purge_step: int | None = None) -> None:
        """Start a new event file.

        Args:
            purge_step: TensorBoard drops what was written for this epoch and later ones.
        """
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder), purge_step=purge_step)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()

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
