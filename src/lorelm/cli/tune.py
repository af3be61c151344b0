"""``lorelm tune``: a search for the settings that suit the user's text best."""

import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from lorelm.cli.options import (
    TIME,
    parameter_options,
    reading_options,
    take_reading_options,
)
from lorelm.cli.terminal import echo_notes, process_started
from lorelm.corpus.documents import CorpusParts
from lorelm.corpus.readers import read_documents
from lorelm.corpus.structure import describe
from lorelm.errors import MissingExtraError
from lorelm.parameters import parameters_of
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import BUILT_IN_RECIPES, Recipe
from lorelm.training.start import StartSettings
from lorelm.training.tuning.options import TRAINING_OPTIONS, TuningOptions


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the tuning.")
@click.option(
    "--recipe",
    default=None,
    metavar="NAME|FILE.toml",
    help=f"Where the search begins: {', '.join(BUILT_IN_RECIPES)}, or a TOML file.  [default: "
    "fine-tune; from scratch: default]",
)
@click.option(
    "--time-budget",
    "time_budget_seconds",
    type=TIME,
    metavar="30m|4h",
    help=parameters_of(TuningOptions)["time_budget_seconds"].help,
)
@parameter_options(TuningOptions)
@click.option("--valid", metavar="FILE", help="Validation part; without it, split off PATH.")
@click.option("--test", metavar="FILE", help="Test part; without it, split off PATH.")
@parameter_options(TrainingOptions, names=TRAINING_OPTIONS)
@parameter_options(Recipe)
@reading_options
def tune(
    *,
    paths: tuple[str, ...],
    out: Path,
    recipe: str | None,
    valid: str | None,
    test: str | None,
    **flags: Any,
) -> None:
    """Search for the settings with which a model learns PATH best, and save that model.

    PATH is what lorelm train takes. The recipe is trained as it is first, then with other settings
    near its own; a trial that is worse than others ends early. Settings that are given here stay
    as they are. Only the validation part is looked at; the best model alone is evaluated on the
    test part, at the end.

    The folder then holds best.toml for lorelm train --recipe, the best model in model, all trials
    in trials.csv, and plots. The same command with the same folder continues, also after Ctrl-C or
    a crash, and several such commands share the work.
    """
    for package, extra in (("torch", "train"), ("optuna", "tune")):
        if find_spec(package) is None:
            raise MissingExtraError("tuning", extra)
    reading = take_reading_options(flags)
    changes = {name: flags.pop(name) for name in parameters_of(Recipe)}
    training = TrainingOptions(**{name: flags.pop(name) for name in TRAINING_OPTIONS})
    options = TuningOptions(**flags)
    settings = StartSettings(init=training.init, recipe=recipe, changes=changes)
    settings.check()
    held_out = [read_documents(part, reading) if part else None for part in (valid, test)]
    start = settings.choose(read_documents(paths, reading))
    corpus = CorpusParts(documents=start.documents, valid=held_out[0], test=held_out[1])
    for documents in corpus.all:
        echo_notes([*documents.notes, *describe(documents)])
    fixed = {name for name, value in changes.items() if value is not None}
    _run(corpus, start.recipe, out, options, replace(training, init=start.init), fixed)


def _run(
    corpus: CorpusParts,
    recipe: Recipe,
    out: Path,
    options: TuningOptions,
    training: TrainingOptions,
    fixed: Collection[str],
) -> None:
    """Tune, and show what was found."""
    from lorelm.cli.tuning_display import TuningDisplay, show_found
    from lorelm.training.tuning.tune import TuningContext
    from lorelm.training.tuning.tune import tune as search

    started = process_started()
    display = TuningDisplay(options, started)
    with display, _interrupted_by_sigterm():
        result = search(
            corpus.documents,
            recipe,
            out=out,
            options=options,
            training=training,
            held_out=(corpus.valid, corpus.test),
            context=TuningContext(callback=display, fixed=fixed, started=started),
        )
    show_found(result, out, training.init)


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
