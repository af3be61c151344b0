"""How fast a recipe trains on this machine, from its first steps."""

import contextlib
import time
from dataclasses import dataclass
from typing import Final

import torch

from lorelm.corpus.preparation import Corpus
from lorelm.training.listener import TrainingListener
from lorelm.training.processes import ALONE, Processes
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import LossExplodedError, Trainer
from lorelm.training.validation import validation_loss

_WARM_UP_STEPS: Final = 2

_VALIDATED_TOKENS: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class TrainingSpeed:
    """How fast a recipe trains, in all processes together.

    Attributes:
        seconds_per_valid_token: of the validation after each epoch.
    """

    seconds_per_update: float
    updates_per_epoch: int
    seconds_per_valid_token: float

    def seconds(self, *, epochs: int, num_valid_tokens: int) -> float:
        """How long so many epochs take with their validations."""
        validation = num_valid_tokens * self.seconds_per_valid_token
        return epochs * (self.updates_per_epoch * self.seconds_per_update + validation)


def measure_training_speed(
    corpus: Corpus,
    recipe: Recipe,
    *,
    device: torch.device,
    measured_seconds: float = 2.0,
    processes: Processes = ALONE,
) -> TrainingSpeed:
    """Trains for about so many seconds, for one step at least, and throws the weights away.

    Args:
        processes: that share each batch; all of them call this.

    Raises:
        CorpusError: the training part is shorter than a batch.
        RecipeError: there is no memory for the model, or no column of the batch for a process.
    """
    corpus = corpus.with_samples(_VALIDATED_TOKENS)
    trainer = Trainer(
        corpus, recipe, device=device, listener=TrainingListener(), processes=processes
    )

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return processes.writers(time.perf_counter())

    started = now()
    validation_loss(trainer.averaged_model, corpus.valid.stream)
    validation_seconds = now() - started
    moments = [now()]
    num_validations = [0]
    with contextlib.suppress(LossExplodedError):  # then it is what was measured until then
        while moments[-1] - moments[0] < measured_seconds:
            trainer.step()
            moments.append(now())
            num_validations.append(len(trainer.epochs))
    if len(moments) == 1:
        moments.append(now())
        num_validations.append(0)
    first = min(_WARM_UP_STEPS, len(moments) - 2)
    seconds = moments[-1] - moments[first]
    seconds -= validation_seconds * (num_validations[-1] - num_validations[first])
    return TrainingSpeed(
        seconds_per_update=max(seconds / (len(moments) - 1 - first), 1e-6),
        updates_per_epoch=trainer.updates_per_epoch,
        seconds_per_valid_token=validation_seconds / len(corpus.valid.stream),
    )


def estimate_training_seconds(
    corpus: Corpus, recipe: Recipe, *, device: torch.device, measured_seconds: float = 2.0
) -> float:
    """How long all epochs of a recipe take on this machine.

    Raises:
        CorpusError: the training part is shorter than a batch.
    """
    speed = measure_training_speed(corpus, recipe, device=device, measured_seconds=measured_seconds)
    return speed.seconds(epochs=recipe.epochs, num_valid_tokens=len(corpus.valid.stream))
