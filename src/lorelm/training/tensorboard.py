"""The record of a training run for TensorBoard."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lorelm.corpus.preparation import Corpus
from lorelm.errors import InputError, MissingExtraError
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.listener import EpochReport, ListenerBefore, TrainingListener
from lorelm.training.recipe import Recipe

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardLog(ListenerBefore):
    """Writes the figures of each epoch into an event file, and passes everything on.

    To be used in a `with` statement, which closes the file. If the file cannot be written any
    more, that is told, and training goes on without it.

    Args:
        folder: of the event files; it is made when training begins.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, listener: TrainingListener) -> None:
        super().__init__(listener)
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("writing for TensorBoard", "tensorboard") from error
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._told():
            self._close()

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        try:
            self._open()
        except OSError as error:
            raise InputError(self._complaint(error)) from error
        super().on_start(corpus, recipe)

    def on_restore(self, epochs: Sequence[EpochReport], *, epoch_tokens: int) -> None:
        with self._told():
            # Epochs that were written before an interruption or an explosion come again.
            self._close()
            self._open(purge_step=len(epochs) + 1)
        super().on_restore(epochs, epoch_tokens=epoch_tokens)

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        with self._told():
            self._write(report)
        super().on_epoch(report, model)

    def _open(self, *, purge_step: int | None = None) -> None:
        """Begins a new event file.

        Args:
            purge_step: has TensorBoard forget what was written for this epoch and all after it.
        """
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder), purge_step=purge_step)

    def _write(self, report: EpochReport) -> None:
        if self._writer is None:
            return
        for name, value in {
            "loss/train": report.train_loss,
            "loss/valid": report.valid_loss,
            "perplexity/valid": report.valid_perplexity,
            "learning rate": report.learning_rate,
            "tokens per second": report.tokens_per_second,
        }.items():
            self._writer.add_scalar(name, value, report.epoch)
        self._writer.flush()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tells of a failure to write, after which the writer is of no use any more."""
        try:
            yield
        except OSError as error:
            self._writer = None
            self.on_problem(f"{self._complaint(error)}; training goes on without it")

    def _complaint(self, error: OSError) -> str:
        return (
            f"the folder {self._folder} for TensorBoard cannot be written: "
            f"{error.strerror or error}"
        )
