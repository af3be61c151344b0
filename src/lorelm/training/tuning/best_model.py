"""The model of the best settings, evaluated on the test part: :func:`save_best_model`."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Final

from lorelm.bundle import Bundle, save_bundle
from lorelm.bundle.files import find_manifest
from lorelm.bundle.writer import lock_output_dir
from lorelm.corpus.preparation import Corpus
from lorelm.training.base_interpolation import interpolate_with_base
from lorelm.training.base_words import with_base_words, without_base_words
from lorelm.training.callbacks import TrainedModel, TrainingCallback
from lorelm.training.device import resolve_precision
from lorelm.training.export import bundle_contents
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.tuning.callbacks import TuningCallback
from lorelm.training.tuning.results import BEST_RECIPE
from lorelm.training.tuning.runner import TrialRunner
from lorelm.training.tuning.search import Search, wait_for_lock
from lorelm.training.tuning.trials import Candidate, TrialReport

MODEL: Final = "model"
"""Name of the folder of the best trial's bundle."""


def save_best_model(
    search: Search,
    best: Candidate,
    corpus: Corpus,
    options: TrainingOptions,
    initial: Bundle | None,
) -> tuple[TrialReport, Bundle | None]:
    """Save the bundle of the best run of settings whose weights are here, and return both.

    The model is evaluated on the test part, unless this or another process has done so.

    Args:
        corpus: with its test part.
        initial: the initial checkpoint, if trials started from one.
    """
    runner, path = search.runner, search.folder / MODEL
    run, trained = _best_run(runner, best)
    if trained is None:
        runner.callback.on_problem(
            f"the weights of the best trial are in {run.place}: the same command saves its model "
            f"there; to train it here: lorelm train --recipe {search.folder / BEST_RECIPE}"
        )
        return run, None
    precision = resolve_precision(run.recipe.precision, runner.device)
    recipe = replace(run.recipe, precision=precision)
    with wait_for_lock(lambda: lock_output_dir(path)):
        if not _is_saved(path, corpus, recipe, trained):
            runner.callback.on_evaluation(run)
            observer = _ProblemObserver(runner.callback)
            trained = interpolate_with_base(trained, *without_base_words(corpus, initial))
            trained = with_base_words(trained, corpus, initial)
            save_bundle(path, bundle_contents(trained, corpus, recipe, options, observer))
    return run, Bundle.load(path)


def _best_run(runner: TrialRunner, best: Candidate) -> tuple[TrialReport, TrainedModel | None]:
    """Return the best run whose weights are here; without its model, if there is none."""
    runs = sorted(best.runs, key=lambda run: run.valid_perplexity or math.inf)
    for run in runs:
        trained = runner.weights.load(run.number, runner.corpus, run.recipe, runner.device)
        if trained is not None:
            return run, trained
    return runs[0], None


def _is_saved(path: Path, corpus: Corpus, recipe: Recipe, trained: TrainedModel) -> bool:
    saved = find_manifest(path)
    return (
        saved is not None
        and saved.training is not None
        and saved.corpus is not None
        and saved.recipe == recipe.to_dict()
        and saved.corpus.fingerprint == corpus.fingerprint
        and saved.training.valid_perplexity == trained.best.valid_perplexity
    )


class _ProblemObserver(TrainingCallback):
    """Passes the problems of an evaluation to the observer of the tuning."""

    def __init__(self, callback: TuningCallback) -> None:
        self._callback: Final = callback

    def on_problem(self, message: str) -> None:
        self._callback.on_problem(message)
