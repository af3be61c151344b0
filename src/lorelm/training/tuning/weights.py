"""The weights of the best trials, in files: :class:`TrialWeights`."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from lorelm.bundle.atomic_dir import replace_file, wrap_write_errors
from lorelm.bundle.manifest import TrainingEnd
from lorelm.corpus.preparation import Corpus
from lorelm.training.callbacks import EpochReport, TrainedModel
from lorelm.training.initial_checkpoint import initial_model
from lorelm.training.recipe import Recipe

_METADATA = "lorelm"


@dataclass(frozen=True)
class TrialWeights:
    """A folder with a file per trial: the weights of its best epoch, its recipe and its metrics."""

    folder: Path

    def save(self, number: int, trained: TrainedModel, recipe: Recipe) -> None:
        """Write the weights of a trial.

        Raises:
            BundleError: they cannot be written.
        """
        written = {
            "recipe": recipe.to_dict(),
            "epochs": [report.metrics for report in trained.epochs],
            "ended": trained.ended,
        }
        tensors = {name: tensor.cpu() for name, tensor in trained.model.named_parameters()}
        content = save(tensors, {_METADATA: json.dumps(written)})
        path = self._path(number)
        with wrap_write_errors(path, len(content)):
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)

    def load(
        self, number: int, corpus: Corpus, recipe: Recipe, device: torch.device
    ) -> TrainedModel | None:
        """Return the model of a trial; None if its weights are not here."""
        try:
            with safe_open(self._path(number), "pt") as file:
                written = json.loads(file.metadata()[_METADATA])
                names = file.keys()
                tensors = {name: file.get_tensor(name) for name in names}
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return None
        if written["recipe"] != recipe.to_dict():  # an earlier study was in this folder
            return None
        model = initial_model(corpus, recipe, device)
        model.load_state_dict(tensors, strict=False)  # a tied tensor is stored once
        epochs = [EpochReport.of_metrics(line) for line in written["epochs"]]
        ended: TrainingEnd = written["ended"]
        return TrainedModel(model=model.eval(), epochs=epochs, ended=ended)

    def delete(self, numbers: Iterable[int]) -> None:
        """Delete the weights of trials; those that are not here are passed over."""
        for number in numbers:
            self._path(number).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.safetensors"
