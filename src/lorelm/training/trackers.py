"""Export of a run to experiment trackers: TensorBoard, Weights & Biases, MLflow.

:class:`Tracker` is the callback, the same for all; a :class:`Backend` writes to one of them.
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, Self

from lorelm.bundle import Bundle
from lorelm.corpus.preparation import Corpus
from lorelm.errors import InputError, MissingExtraError
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.callbacks import EpochReport, TrainingCallback
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.version import VERSION

_PROJECT: Final = "lorelm"
"""Name of the project or experiment, unless the tracker's own variable names another."""


class Backend(Protocol):
    """Writes to one tracker. Each method may raise whatever the tracker's package raises.

    Attributes:
        place: what is written to, for messages.
    """

    place: str

    def start(self, settings: Mapping[str, Any]) -> None:
        """Begin the tracker's run, or go on with it."""

    def repeat_from(self, epoch: int) -> None:
        """Prepare for this epoch and those after it, which may have been written before."""

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None: ...

    def log_sample(self, epoch: int, text: str) -> None: ...

    def close(self, *, is_complete: bool) -> None: ...


class Tracker(TrainingCallback):
    """Callback that writes settings, the metrics and a sample of each epoch, and the result.

    After a failed write, training goes on without it. It is a context that closes the tracker.

    Args:
        user: notified of a failed write.
    """

    wants_samples = True

    def __init__(self, backend: Backend, options: TrainingOptions, user: TrainingCallback) -> None:
        self._backend: Final = backend
        self._options: Final = options
        self._user: Final = user
        self._is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._try(self._backend.close, is_complete=kind is None)

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        if self._is_open:  # training begins again, with another plan
            self._try(self._backend.repeat_from, 1)
            return
        settings = {
            "corpus": corpus.source,
            "train_tokens": len(corpus.train.stream),
            "vocabulary": len(corpus.vocabulary),
            **recipe.to_dict(),
            "init": self._options.init,
            "time_budget_seconds": self._options.time_budget_seconds,
            "lorelm": VERSION,
        }
        try:
            known = {name: value for name, value in settings.items() if value is not None}
            self._backend.start(known)
        except Exception as error:
            raise InputError(self._complaint(error), code="tracker.unwritable") from error
        self._is_open = True

    def on_restore(self, epochs: Sequence[EpochReport], *, epoch_tokens: int) -> None:
        self._try(self._backend.repeat_from, len(epochs) + 1)

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        metrics = {
            "loss/train": report.train_loss,
            "loss/valid": report.valid_loss,
            "perplexity/valid": report.valid_perplexity,
            "learning rate": report.learning_rate,
            "tokens per second": report.tokens_per_second,
        }
        self._try(self._backend.log, report.epoch, metrics)

    def on_sample(self, epoch: int, text: str) -> None:
        self._try(self._backend.log_sample, epoch, text)

    def on_end(self, bundle: Bundle) -> None:
        training, metrics = bundle.manifest.training, bundle.manifest.metrics
        assert training is not None
        measured = {
            "perplexity/test": metrics.perplexity if metrics else training.test_perplexity,
            "bits per character/test": metrics.bits_per_character if metrics else None,
        }
        known = {name: value for name, value in measured.items() if value is not None}
        self._try(self._backend.log, training.epochs, known)

    def _try(self, write: Callable[..., None], *arguments: Any, **options: Any) -> None:
        """Write; after a failure, say so and give up the tracker, which may be half-open."""
        if not self._is_open:
            return
        try:
            write(*arguments, **options)
        except Exception as error:  # the errors of the trackers' packages have no common class
            self._is_open = False
            self._user.on_problem(f"{self._complaint(error)}; training goes on without it")

    def _complaint(self, error: Exception) -> str:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return f"{self._backend.place} cannot be written: {' '.join(reason.split())}"


class TensorBoard:
    """Event files in a folder.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("writing for TensorBoard", "tensorboard") from error
        self.place = f"the folder {folder} for TensorBoard"
        self._open: Final = partial(SummaryWriter, str(folder))

    def start(self, settings: Mapping[str, Any]) -> None:
        self._writer = self._open()
        self._writer.add_text("settings", _markdown(settings))

    def repeat_from(self, epoch: int) -> None:
        self._writer.close()
        self._writer = self._open(purge_step=epoch)  # TensorBoard drops what it has from there on

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def log_sample(self, epoch: int, text: str) -> None:
        self._writer.add_text("sample", text, epoch)

    def close(self, *, is_complete: bool) -> None:
        self._writer.close()


class WeightsAndBiases:
    """A run in the project ``lorelm``, or the one that ``WANDB_PROJECT`` names.

    Args:
        run_id: the same for a run and its resumption.
        name: of the run, for people.

    Raises:
        MissingExtraError: wandb is not installed.
    """

    place = "the run in Weights & Biases"

    def __init__(self, run_id: str, name: str) -> None:
        try:
            import wandb
        except ImportError as error:
            raise MissingExtraError("writing for Weights & Biases", "wandb") from error
        self._wandb: Final = wandb
        self._id: Final = run_id
        self._name: Final = name
        self._samples: Final[list[tuple[int, str]]] = []

    def start(self, settings: Mapping[str, Any]) -> None:
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            id=self._id,
            name=self._name,
            resume="allow",
            config=dict(settings),
            settings=self._wandb.Settings(console="off"),  # else it would redirect our display
        )
        # Not its own steps, which cannot repeat.
        self._run.define_metric("*", step_metric="epoch")

    def repeat_from(self, epoch: int) -> None:
        pass  # a later value of an epoch takes the place of an earlier one

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self._run.log({"epoch": epoch, **metrics})

    def log_sample(self, epoch: int, text: str) -> None:
        self._samples.append((epoch, text))
        table = self._wandb.Table(columns=["epoch", "sample"], data=self._samples)
        self._run.log({"epoch": epoch, "samples": table})

    def close(self, *, is_complete: bool) -> None:
        self._run.finish(exit_code=0 if is_complete else 1)


class MLflow:
    """A run in the experiment ``lorelm``, or the one that ``MLFLOW_EXPERIMENT_NAME`` names.

    ``MLFLOW_TRACKING_URI`` names the server, as everywhere in MLflow.

    Args:
        run_id: the same for a run and its resumption; a tag of MLflow's run.
        name: of the run, for people.

    Raises:
        MissingExtraError: MLflow is not installed.
    """

    place = "the run in MLflow"

    def __init__(self, run_id: str, name: str) -> None:
        try:
            import mlflow
        except ImportError as error:
            raise MissingExtraError("writing for MLflow", "mlflow") from error
        self._mlflow: Final = mlflow
        self._tags: Final = {"lorelm.run": run_id}
        self._name: Final = name

    def start(self, settings: Mapping[str, Any]) -> None:
        self._client = self._mlflow.MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        experiment = self._client.get_experiment_by_name(name)
        place = experiment.experiment_id if experiment else self._client.create_experiment(name)
        [(tag, run_id)] = self._tags.items()
        found = self._client.search_runs([place], f"tags.`{tag}` = '{run_id}'", max_results=1)
        if found:
            self._run = found[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
            return
        created = self._client.create_run(place, run_name=self._name, tags=self._tags)
        self._run = created.info.run_id
        for name, value in settings.items():
            self._client.log_param(self._run, name, value)

    def repeat_from(self, epoch: int) -> None:
        pass  # it keeps all values of an epoch and shows them at the same place

    def log(self, epoch: int, metrics: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        of_mlflow = self._mlflow.entities.Metric
        values = [of_mlflow(name, value, now, epoch) for name, value in metrics.items()]
        self._client.log_batch(self._run, metrics=values)

    def log_sample(self, epoch: int, text: str) -> None:
        self._client.log_text(self._run, text, f"samples/epoch-{epoch:04}.txt")

    def close(self, *, is_complete: bool) -> None:
        self._client.set_terminated(self._run, "FINISHED" if is_complete else "KILLED")


def make_trackers(
    options: TrainingOptions, *, run_id: str, name: str, user: TrainingCallback
) -> list[Tracker]:
    """Return the trackers that the options ask for; nothing is written yet.

    Raises:
        MissingExtraError: the package of one is not installed.
    """
    backends: list[Backend] = []
    if options.tensorboard is not None:
        backends.append(TensorBoard(Path(options.tensorboard)))
    if options.tracker == "wandb":
        backends.append(WeightsAndBiases(run_id, name))
    if options.tracker == "mlflow":
        backends.append(MLflow(run_id, name))
    return [Tracker(backend, options, user) for backend in backends]


def _markdown(settings: Mapping[str, Any]) -> str:
    rows = [f"| {name} | {json.dumps(value)} |" for name, value in settings.items()]
    return "\n".join(["| setting | value |", "|---|---|", *rows])
