"""One trial: a training run that ends early if others were better: :class:`TrialRunner`."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NoReturn

import torch
from optuna.exceptions import TrialPruned
from optuna.trial import Trial

from lorelm.corpus.preparation import Corpus
from lorelm.errors import LoreLMError
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runtime.step_graph import Weights
from lorelm.training.callbacks import EpochReport, TrainedModel, TrainingCallback
from lorelm.training.initial_checkpoint import initial_model, lacks_memory
from lorelm.training.loop import fit
from lorelm.training.recipe import Recipe
from lorelm.training.threads import ThreadTuner
from lorelm.training.trainer import Trainer
from lorelm.training.tuning.attributes import EPOCHS, PLACE, PROBLEM, SEED
from lorelm.training.tuning.callbacks import TuningCallback
from lorelm.training.tuning.pace import Pace
from lorelm.training.tuning.space import Range, suggested_recipe
from lorelm.training.tuning.trials import OUT_OF_TIME
from lorelm.training.tuning.weights import TrialWeights

_NUM_REPORTS: Final = 20
"""Trials are compared at equal shares of their epochs, in twentieths: at an equal epoch a shorter
one has a lower learning rate already, and looks better than it is."""


@dataclass(frozen=True, kw_only=True)
class TrialRunner:
    """Trains the trials of a study, on a corpus without its test part.

    A trial whose loss diverges, or for which there is no memory, fails alone.

    Attributes:
        recipe: that is tuned, fitted to the corpus.
        initial: the weights to start from; None: random ones.
    """

    corpus: Corpus
    recipe: Recipe
    space: Mapping[str, Range]
    device: torch.device
    weights: TrialWeights
    callback: TuningCallback
    pace: Pace
    threads: ThreadTuner | None = None
    initial: Weights | None = None

    def __call__(self, trial: Trial) -> float:
        """Return the lowest validation perplexity of a trial's epochs, and keep its weights.

        Raises:
            BundleError: the weights cannot be written.
            LoreLMError: the recipe itself cannot be trained.
            TrialPruned: others were better, it failed, or the time is over.
        """
        recipe = suggested_recipe(self.recipe, self.space, trial)
        recipe = replace(recipe, seed=trial.user_attrs.get(SEED, recipe.seed))
        trial.set_user_attr(PLACE, f"{platform.node()}:{self.weights.folder.absolute()}")
        self.callback.on_trial_start(trial.number, recipe)
        trained = self._train(trial, recipe)
        self.weights.save(trial.number, trained, recipe)
        return trained.best.valid_perplexity

    def _train(self, trial: Trial, recipe: Recipe) -> TrainedModel:
        try:
            model = initial_model(self.corpus, recipe, self.device, self.initial)
            observer = _TrialObserver(trial, recipe, self)
            trainer = Trainer(model, self.corpus, recipe, threads=self.threads)
            return fit(trainer, callback=observer)
        except LoreLMError as error:  # no memory for the model, or too little text for the batch
            if recipe == self.recipe:
                raise
            _give_up(trial, str(error))
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
            _give_up(trial, "there was no memory for it")


class _TrialObserver(TrainingCallback):
    """Reports the epochs of a trial to the study, and ends it early."""

    def __init__(self, trial: Trial, recipe: Recipe, runner: TrialRunner) -> None:
        self._trial: Final = trial
        self._num_epochs: Final = recipe.epochs
        self._runner: Final = runner
        # The recipe is never ended early, so that what is found is never worse than it; nor is a
        # second run, which is compared to its end.
        self._may_be_pruned: Final = recipe.seed == runner.recipe.seed and recipe != runner.recipe
        self._last_reported = 0

    def on_step(self, *, num_tokens: int) -> None:
        if not self._runner.pace.has_time():
            _give_up(self._trial, OUT_OF_TIME)

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        self._trial.set_user_attr(EPOCHS, report.epoch)
        self._runner.callback.on_epoch(self._trial.number, report)
        step = _NUM_REPORTS * report.epoch // self._num_epochs
        if step == self._last_reported:
            return
        self._last_reported = step
        self._trial.report(report.valid_perplexity, step)
        if self._may_be_pruned and self._trial.should_prune():
            raise TrialPruned

    def on_restore(self, epochs: Sequence[EpochReport], *, epoch_tokens: int) -> None:
        # A run of its own would go on with half the learning rate, and be another trial.
        _give_up(self._trial, "the loss diverged")


def _give_up(trial: Trial, problem: str) -> NoReturn:
    """End a trial early as a bad one; a failed one would teach the sampler nothing."""
    trial.set_user_attr(PROBLEM, problem)
    raise TrialPruned(problem)
