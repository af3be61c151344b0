"""``lorelm.tune``."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from lorelm.api.settings import Corpus, checked_settings, made, read_parts, refuse_unknown, take
from lorelm.corpus.documents import ReadingOptions
from lorelm.errors import MissingExtraError, RecipeError
from lorelm.keywords import TuningKeywords
from lorelm.parameters import parameters_of
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.start import StartSettings
from lorelm.training.tuning.options import TRAINING_OPTIONS, TuningOptions
from lorelm.training.tuning.trials import TrialReport, TuningResult


def tune(
    corpus: Corpus,
    *,
    out: str | Path,
    recipe: str | Path | None = None,
    valid: Corpus | None = None,
    test: Corpus | None = None,
    on_trial: Callable[[TrialReport], object] | None = None,
    **settings: Unpack[TuningKeywords],
) -> TuningResult:
    """Search for the recipe with which a model learns a corpus best, and save that model.

    Calling it again with the same folder goes on, and several processes may share the work.

    Args:
        corpus, recipe, valid, test: as for :func:`train`; the search begins with `recipe`.
        out: folder for ``best.toml``, the best model in ``model``, ``trials.csv`` and plots.
        on_trial: called after each trial of this process, such as
            ``lambda report: print(report.number, report.valid_perplexity)``.
        settings: when to end and where trials are recorded
            (:class:`~lorelm.training.tuning.options.TuningOptions`); of the recipe, which then stay
            as they are; ``init``, ``device``, ``threads``, ``serving_only`` and ``compact`` of
            training; and of reading.

    Raises:
        RecipeError: settings are wrong, the time is too short for one trial, or the trials in `out`
            are of another recipe.
        CorpusError: the corpus cannot be read or is too small, or the trials are of another one.
        BundleError: `out` holds something else, or cannot be written.
        StudyError: the trials cannot be read or written.
        MissingExtraError: Optuna, PyTorch or the driver of the database is not installed.
        TrainingStoppedError: Ctrl-C.

    Example:
        >>> result = lorelm.tune("my.csv", out="my-tuning", time_budget_seconds=3600)
        >>> lorelm.load(result.bundle).generate("Once").text
    """
    try:
        from lorelm.training.tuning.callbacks import WarningTuningCallback
        from lorelm.training.tuning.tune import TuningContext
        from lorelm.training.tuning.tune import tune as search
    except ImportError as error:
        if error.name not in ("torch", "optuna"):
            raise
        raise MissingExtraError("tuning", "tune") from error
    given = dict[str, Any](settings)
    fixed = given.keys() & parameters_of(Recipe).keys()
    options, (start_settings, training, reading) = _checked_tuning(recipe, given)
    documents, *held_out = read_parts([corpus, valid, test], reading)
    assert documents is not None
    start = start_settings.choose(documents)
    documents = start.documents
    callback = WarningTuningCallback(on_trial)
    for note in [note for part in (documents, *held_out) if part for note in part.notes]:
        callback.on_problem(note)
    return search(
        documents,
        start.recipe,
        out=out,
        options=options,
        training=replace(training, init=start.init),
        held_out=(held_out[0], held_out[1]),
        context=TuningContext(callback=callback, fixed=fixed),
    )


def _checked_tuning(
    recipe: str | Path | None, given: dict[str, Any]
) -> tuple[TuningOptions, tuple[StartSettings, TrainingOptions, ReadingOptions]]:
    """Return what settings of a tuning make, those of training it does not take left out.

    Raises:
        RecipeError: settings are unknown or out of range; it names them all.
        BundleError: there is no model at `init`.
    """
    reading, own = take(given, ReadingOptions), take(given, TuningOptions)
    others = parameters_of(TrainingOptions).keys() - set(TRAINING_OPTIONS)
    unused = {name: given.pop(name) for name in others & given.keys()}
    options, checked, _ = made(
        RecipeError,
        lambda: TuningOptions(**own),
        lambda: checked_settings(recipe, given, reading),
        lambda: refuse_unknown(unused, Recipe, TuningOptions),
    )
    return options, checked
