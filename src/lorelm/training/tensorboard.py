"""The record of a training run for TensorBoard."""

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

    To be used in a `with` statement, which closes the file.

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
        if self._writer is not None:
            self._writer.close()

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        from torch.utils.tensorboard import SummaryWriter

        try:
            self._writer = SummaryWriter(str(self._folder))
        except OSError as error:
            raise InputError(
                f"the folder {self._folder} for TensorBoard cannot be written: "
                f"{error.strerror or error}"
            ) from error
        super().on_start(corpus, recipe)

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        assert self._writer is not None
        for name, value in {
            "loss/train": report.train_loss,
            "loss/valid": report.valid_loss,
            "perplexity/valid": report.valid_perplexity,
            "learning rate": report.learning_rate,
            "tokens per second": report.tokens_per_second,
        }.items():
            self._writer.add_scalar(name, value, report.epoch)
        self._writer.flush()
        super().on_epoch(report, model)
