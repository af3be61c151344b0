"""``lorelm train``: a model of the user's own text."""

import dataclasses
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lorelm.bundle.layout import find_manifest
from lorelm.bundle.quoting import quoted
from lorelm.cli.options import (
    TIME,
    parameter_options,
    reading_options,
    take_reading_options,
)
from lorelm.cli.terminal import echo_notes, process_started, waiting
from lorelm.corpus.documents import CorpusFile, Documents, ReadingOptions
from lorelm.corpus.formats.sources import is_there
from lorelm.corpus.readers import read_documents
from lorelm.corpus.structure import describe
from lorelm.errors import CheckpointError, CorpusError, MissingExtraError
from lorelm.parameters import parameters_of
from lorelm.training.options import TrainingOptions, found_again
from lorelm.training.recipe import BUILT_IN_RECIPES, Recipe, given_settings

if TYPE_CHECKING:
    from lorelm.training.checkpoint import Checkpoint


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the bundle.")
@click.option(
    "--recipe",
    default=None,
    metavar="NAME|FILE.toml",
    help=f"All settings at once: {', '.join(BUILT_IN_RECIPES)}, or a TOML file.  [default: "
    "default; with --init: fine-tune]",
)
@click.option(
    "--resume",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Continue the unfinished run in this folder. No other options are allowed.",
)
@click.option(
    "--time-budget",
    "time_budget_seconds",
    type=TIME,
    metavar="2m|30m|4h",
    help=parameters_of(TrainingOptions)["time_budget_seconds"].help,
)
@click.option("--valid", metavar="FILE", help="Validation part; without it, split off PATH.")
@click.option("--test", metavar="FILE", help="Test part; without it, split off PATH.")
@parameter_options(TrainingOptions)
@parameter_options(Recipe)
@reading_options
def train(
    *,
    paths: tuple[str, ...],
    out: Path | None,
    recipe: str | None,
    resume: Path | None,
    valid: str | None,
    test: str | None,
    **flags: Any,
) -> None:
    """Train a model on PATH and save it as a bundle.

    PATH is a text, a book (EPUB, PDF, DOCX, ODT, HTML), a table (CSV, TSV, XLSX, JSON, JSONL,
    Parquet), a script (Fountain, FDX), subtitles (SRT, VTT, ASS), a mailbox, or a chat exported
    from WhatsApp, Telegram, Discord or Signal; or a folder, a zip archive or a pattern of such
    files, several of these, - for standard input, or the word shakespeare. The settings below come
    from the recipe unless they are given here.

    Ctrl-C, a crash or a power cut lose nothing: --resume DIR continues from the last checkpoint. On
    the same machine it ends with exactly the weights of an uninterrupted run, except with
    --time-budget, where the clock decides.

    Several processes share the work when torchrun starts them: torchrun --nproc-per-node 2 -m
    lorelm train PATH --out DIR.
    """
    if find_spec("torch") is None:
        raise MissingExtraError("training a model", "train")
    if resume is not None:
        _refuse_other_options()
        _resume(resume)
        return
    if not paths or out is None:
        missing = "the option --out" if paths else "the argument PATH"
        raise click.UsageError(f"{missing} is missing.")
    if flags["serving_only"] and flags["compact"]:
        raise click.UsageError("--serving-only has no weights; leave out --compact.")
    reading = take_reading_options(flags)
    changes = {name: flags.pop(name) for name in parameters_of(Recipe)}
    recipe = recipe or ("fine-tune" if flags["init"] else "default")
    settings = Recipe.load(recipe, **changes)
    if flags["init"] is not None:
        from lorelm.training.initial_checkpoint import check_initial_checkpoint

        check_initial_checkpoint(flags["init"], given_settings(recipe, **changes))
    options = TrainingOptions(**flags)
    with waiting("reading the text"):
        parts = [read_documents(part, reading) if part else None for part in (paths, valid, test)]
    _run(parts, settings, out, options)


def _refuse_other_options() -> None:
    """Refuse options beside --resume, which would have no effect.

    Raises:
        click.UsageError: there is one.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        is_given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if is_given and name != "resume" and context.params[name] not in (None, ()):
            raise click.UsageError(
                "--resume continues with the settings of the run: leave out "
                f"{'PATH' if name == 'paths' else parameter.opts[0]}."
            )


def _resume(out: Path) -> None:
    """Continue the run in a folder.

    Raises:
        CheckpointError: there is none, or its corpus was no file.
    """
    from lorelm.training.checkpoint import Checkpoint

    checkpoint = Checkpoint.load(out)
    run = checkpoint.run
    if not run["files"]:
        raise CheckpointError(
            f"the run in {out} was begun with texts of Python or of standard input: go on with "
            f"{checkpoint.how_to_resume(out)}",
            code="checkpoint.no_files",
        )
    parts = [file and _reread(file, run["folder"]) for file in run["files"]]
    _run(parts, Recipe.from_dict(run["recipe"]), out, TrainingOptions.of_run(run), checkpoint)


def _reread(file: Mapping[str, Any], folder: str) -> Documents:
    """Read a file of a run that began in a folder.

    Raises:
        CorpusError: it is missing or cannot be read.
    """
    known = CorpusFile(
        path=file["path"],
        more_paths=tuple(file.get("more_paths", ())),
        options=ReadingOptions(**file["options"]),
    )
    try:
        paths = [found_again(path, folder, is_there) for path in known.paths]
        documents = read_documents(paths, known.options)
    except CorpusError as error:
        raise CorpusError(f"{error} (the run was begun in {folder})", code=error.code) from error
    return dataclasses.replace(documents, file=known)


def _run(
    parts: Sequence[Documents | None],
    recipe: Recipe,
    out: Path,
    options: TrainingOptions,
    resume: "Checkpoint | None" = None,
) -> None:
    """Train, evaluate, and show what to do next.

    Args:
        parts: the corpus alone, or with its validation and test part.
    """
    with waiting("importing PyTorch"):
        from lorelm.cli.training_display import TrainingDisplay, show_result
        from lorelm.training.checkpoint import Checkpoint
        from lorelm.training.processes import join_processes, was_restarted
        from lorelm.training.train import RunContext
        from lorelm.training.train import train as train_bundle

    documents, valid, test = parts if len(parts) == 3 else (parts[0], None, None)
    assert documents is not None
    with (
        join_processes(options.device) as processes,
        TrainingDisplay(_checkpoint_note(out, options)) as display,
    ):
        if resume is None and was_restarted(processes):
            resume = Checkpoint.find(out)
        if processes.is_main_process:
            _show_start([part for part in parts if part], out, resume)
        context = RunContext(
            callback=display,
            processes=processes,
            stop=_stop_on_signal(),
            resume=resume,
            started=process_started(),
        )
        bundle = train_bundle(
            documents, recipe, out=out, options=options, valid=valid, test=test, context=context
        )
    if bundle is not None:  # the main process has it
        show_result(bundle, out)


def _show_start(parts: Sequence[Documents], out: Path, resume: "Checkpoint | None") -> None:
    if resume is not None:
        click.echo(f"Going on from {resume.snapshot.description}.", err=True)
    replaced = find_manifest(out)
    if replaced is not None:
        click.echo(
            f"{out} holds a model of {replaced.source}, which the new one will replace.",
            err=True,
        )
    for documents in parts:
        echo_notes([*documents.notes, *describe(documents)])


def _checkpoint_note(out: Path, options: TrainingOptions) -> str:
    every = f"{options.checkpoint_seconds:g} s"
    if options.checkpoint_steps is not None:
        every = f"{options.checkpoint_steps} steps"
    return (
        f"A checkpoint goes into {out} every {every}: Ctrl-C stops, and lorelm train --resume "
        f"{quoted(out)} goes on."
    )


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C or SIGTERM sets; the second signal interrupts at once.

    Raises:
        KeyboardInterrupt: the event was set after the last check of it.
    """
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stop.is_set():
        raise KeyboardInterrupt
