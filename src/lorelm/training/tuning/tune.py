"""From documents to the best of many recipes, and its bundle: :func:`tune`."""

import math
import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import torch
from optuna.study import Study

from lorelm.bundle import Bundle
from lorelm.bundle.atomic_dir import check_output_path, wrap_write_errors
from lorelm.bundle.layout import CHECKPOINT, MANIFEST, WEIGHTS
from lorelm.corpus.documents import CorpusParts, Documents
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.errors import (
    BundleError,
    InputError,
    RecipeError,
    TrainingStoppedError,
)
from lorelm.training.base_words import without_base_words
from lorelm.training.device import resolve_device
from lorelm.training.initial_checkpoint import sized_for
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.speed import Machine
from lorelm.training.start import ARCHITECTURE_FIELDS, known_words, load_initial_checkpoint
from lorelm.training.threads import ThreadTuner, make_tuner, thread_count_kept
from lorelm.training.time_budget import TimeBudget
from lorelm.training.tuning.best_model import save_best_model
from lorelm.training.tuning.callbacks import TuningCallback, TuningStart
from lorelm.training.tuning.options import TuningOptions
from lorelm.training.tuning.pace import FEW_TRAININGS, Pace, measure_pace, num_finalists
from lorelm.training.tuning.results import BEST_RECIPE
from lorelm.training.tuning.runner import TrialRunner
from lorelm.training.tuning.search import Search
from lorelm.training.tuning.space import Range, own_parameters, search_space, widest_recipe
from lorelm.training.tuning.study import StudyPlace, open_study
from lorelm.training.tuning.trials import Candidate, TuningResult, candidates
from lorelm.training.tuning.weights import TrialWeights

_TRIALS: Final = "trials"
"""Name of the folder of the trials' weights."""


@dataclass(frozen=True, kw_only=True)
class TuningContext:
    """The surroundings of a tuning: who observes it, and what stays as it is.

    Attributes:
        fixed: settings that are not tuned.
        started: when the time budget began, by `time.perf_counter`; None: when `tune` is called.
    """

    callback: TuningCallback = field(default_factory=TuningCallback)
    fixed: Collection[str] = ()
    started: float | None = None


@thread_count_kept()
def tune(
    documents: Documents,
    recipe: Recipe,
    *,
    out: str | Path,
    options: TuningOptions,
    training: TrainingOptions | None = None,
    held_out: tuple[Documents | None, Documents | None] = (None, None),
    context: TuningContext | None = None,
) -> TuningResult:
    """Search for a better recipe, and save its model as a bundle in the folder `out`.

    The recipe's own settings are the first trial, so that what is found is never worse on the
    validation part. Trials have no test part: the best model alone is evaluated on it, at the end.

    The folder holds ``study.db`` with all trials, the weights of the best ones in ``trials``, and,
    from the first trial on, ``best.toml`` and ``trials.csv``; at the end the bundle in ``model``,
    and plots. A tuning in a folder that has trials continues with them. Several processes may do so
    at the same time.

    Args:
        training: `init`, `device` and how to write the bundle; the other options have no effect.
        held_out: validation and test part, instead of splitting `documents`.

    Raises:
        BundleError: `out` holds something else, or cannot be written.
        CorpusError: the corpus is too small, or the trials in the folder are of another one.
        InputError: there is no such device, or torchrun started this process.
        MissingExtraError: the driver for PostgreSQL is not installed.
        RecipeError: the trials in the folder are of other settings, the time budget is too short
            for one trial, or none was completed.
        StudyError: the trials cannot be read or written.
        TrainingStoppedError: Ctrl-C; the message says how to go on.
    """
    out, context = Path(out), context or TuningContext()
    training = training or TrainingOptions()
    _refuse_torchrun()
    _check_folder(out)
    place = StudyPlace.of(options.storage, out)
    valid, test = held_out
    initial = None if training.init is None else load_initial_checkpoint(training.init)
    known = known_words(initial, recipe.tokenizer)
    corpus = prepare_corpus(
        CorpusParts(documents=documents, valid=valid, test=test),
        tokenizer=make_tokenizer(recipe.tokenizer),
        vocabulary=recipe.vocabulary_rules(known),
        split_seed=recipe.split_seed,
    )
    subject = _subject(corpus, recipe, training, context, initial)
    pace = _pace(subject, options, context)
    with wrap_write_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    first = own_parameters(subject.recipe, subject.space)
    with open_study(place, subject.about, first=first, seed=recipe.seed) as study:
        runner = subject.runner(TrialWeights(out / _TRIALS), context.callback, pace)
        search = _search(study, runner, out, options, subject.architecture)
        _announce(search, place)
        try:
            search.run()
            return _finish(search, subject, training)
        except KeyboardInterrupt:
            search.write()
            context.callback.on_finalists(search.finalists())
            raise TrainingStoppedError(_stopped(search)) from None


def _refuse_torchrun() -> None:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "torchrun does not share trials: start lorelm tune itself, once on each machine or for "
            "each core, with the same folder, or with the same storage (--storage)",
            code="tuning.torchrun",
        )


def _check_folder(out: Path) -> None:
    """Refuse a folder that is used for something else.

    Raises:
        BundleError: it is a file, or holds a model or an unfinished run.
    """
    check_output_path(out)
    if any((out / name).exists() for name in (MANIFEST, CHECKPOINT)):
        raise BundleError(
            f"{out} holds a model or an unfinished run: choose another folder (out, --out)",
            code="bundle.foreign_dir",
        )


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What is tuned.

    Attributes:
        recipe: fitted to the corpus.
        threads: chooses the number of threads; None on a device other than the CPU.
        initial: the initial checkpoint, if trials start from one.
    """

    corpus: Corpus
    recipe: Recipe
    space: Mapping[str, Range]
    device: torch.device
    threads: ThreadTuner | None
    initial: Bundle | None

    @property
    def architecture(self) -> Sequence[str]:
        """The settings that the initial checkpoint determines."""
        return () if self.initial is None else ARCHITECTURE_FIELDS

    @property
    def about(self) -> dict[str, Any]:
        """What all trials of a study have in common, fit for JSON."""
        return {
            "corpus": self.corpus.fingerprint,
            "recipe": self.recipe.to_dict(),
            "tuned": {name: [each.low, each.high] for name, each in self.space.items()},
            "init": self.initial and self.initial.manifest.files[WEIGHTS],
        }

    def runner(self, weights: TrialWeights, callback: TuningCallback, pace: Pace) -> TrialRunner:
        """Return what trains the trials, without the test part."""
        corpus, initial = without_base_words(self.corpus, self.initial)
        return TrialRunner(
            corpus=corpus.without_test_part(),
            recipe=self.recipe,
            space=self.space,
            device=self.device,
            threads=self.threads,
            weights=weights,
            callback=callback,
            pace=pace,
            initial=initial,
        )


def _subject(
    corpus: Corpus,
    recipe: Recipe,
    training: TrainingOptions,
    context: TuningContext,
    initial: Bundle | None,
) -> _Subject:
    sized = sized_for(recipe, len(corpus.train.stream), initial)
    architecture = () if initial is None else ARCHITECTURE_FIELDS
    device = resolve_device(training.device)
    return _Subject(
        corpus=corpus,
        recipe=sized,
        space=search_space(sized, fixed={*context.fixed, *architecture}),
        device=device,
        threads=make_tuner(training.threads, device),
        initial=initial,
    )


def _pace(subject: _Subject, options: TuningOptions, context: TuningContext) -> Pace:
    """Measure what there is time for.

    Raises:
        RecipeError: not even one trial.
    """
    if options.time_budget_seconds is None:
        return Pace()
    started = time.perf_counter() if context.started is None else context.started
    budget = TimeBudget(seconds=options.time_budget_seconds, started=started)
    max_seconds = min(2.0, budget.seconds / 200)
    machine = Machine(device=subject.device, threads=subject.threads, max_seconds=max_seconds)
    widest = widest_recipe(subject.recipe, subject.space)
    return measure_pace(budget, machine, subject.corpus, recipe=subject.recipe, widest=widest)


def _search(
    study: Study, runner: TrialRunner, out: Path, options: TuningOptions, left_out: Sequence[str]
) -> Search:
    limit = math.inf if options.trials is None else options.trials
    return Search(
        study=study,
        runner=runner,
        limit=limit,
        num_finalists=num_finalists(min(limit, runner.pace.trainings_left)),
        folder=out,
        left_out=left_out,
    )


def _announce(search: Search, place: StudyPlace) -> None:
    """Say what is tuned, and warn of a time too short for a search."""
    pace, callback = search.runner.pace, search.runner.callback
    callback.on_start(_start_of(search, place))
    if pace.trainings_left < FEW_TRAININGS:
        callback.on_problem(
            f"there is time for about {pace.trainings_left:.0f} whole trainings, and a search "
            "needs 20 or more: set time_budget_seconds (--time-budget) higher, or epochs "
            "(--epochs) lower, or start the same command several times"
        )


def _start_of(search: Search, place: StudyPlace) -> TuningStart:
    return TuningStart(
        corpus=search.runner.corpus,
        recipe=search.recipe,
        tuned=tuple(search.runner.space),
        place=str(place),
        trial_seconds=search.runner.pace.estimate or None,
        num_finished=sum(report.state not in ("running", "waiting") for report in search.reports()),
    )


def _stopped(search: Search) -> str:
    is_found = search.winner() is not None
    found = ""
    if is_found:
        found = (
            f"the best recipe so far is in {search.folder / BEST_RECIPE}; trials=1 (--trials 1) "
            "saves its model; "
        )
    return f"stopped; {found}the same command goes on"


def _finish(search: Search, subject: _Subject, training: TrainingOptions) -> TuningResult:
    """Save the model of the best settings, and draw the plots.

    Raises:
        RecipeError: no trial was completed.
    """
    search.write()
    reports, found = search.reports(), search.finalists()
    if not found:
        problems = [report.problem for report in reports if report.problem]
        raise RecipeError(
            f"no trial was completed ({problems[-1] if problems else 'all are still running'}): "
            "set time_budget_seconds (--time-budget) higher, or begin with another recipe "
            "(--recipe)",
            code="recipe.no_trial",
        )
    search.runner.callback.on_finalists(found)
    run, bundle = save_best_model(search, found[0], subject.corpus, training, subject.initial)
    _draw(search, found[0])
    return TuningResult(recipe=run.recipe, trials=reports, finalists=found, bundle=bundle)


def _draw(search: Search, best: Candidate) -> None:
    """Draw the plots, where Matplotlib is installed."""
    if find_spec("matplotlib") is None:
        return
    from lorelm.training.tuning.plots import write_plots

    others = [each for each in candidates(search.reports()) if each != best]
    write_plots(search.folder, search.study, [best, *others], search.recipe, search.runner.space)
