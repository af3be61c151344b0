"""``lorelm train``: a model of the user's own text."""

import signal
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from lorelm.bundle.files import find_manifest, is_pack
from lorelm.cli.corpus_of_run import corpus_of_run
from lorelm.cli.options import (
    TIME,
    parameter_options,
    reading_options,
    take_reading_options,
)
from lorelm.cli.terminal import echo_notes, process_started, waiting
from lorelm.corpus.documents import CorpusParts, Documents
from lorelm.corpus.readers import read_documents
from lorelm.corpus.structure import describe
from lorelm.errors import MissingExtraError
from lorelm.machine.quoting import quoted
from lorelm.parameters import parameters_of
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import BUILT_IN_RECIPES, Recipe
from lorelm.training.start import StartSettings

if TYPE_CHECKING:
    from lorelm.cli.training_display import TrainingDisplay
    from lorelm.training.callbacks import TrainingCallback
    from lorelm.training.checkpoint import Checkpoint
    from lorelm.training.processes import Processes

_ALWAYS_GIVEN: Final = ("paths", "valid", "test", "watch", "events")
"""What may be given anew when a run goes on."""

_FINISHING: Final = "The run ends here: the model of its best epoch is evaluated and saved."


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the bundle.")
@click.option(
    "--recipe",
    default=None,
    metavar="NAME|FILE.toml",
    help=f"All settings at once: {', '.join(BUILT_IN_RECIPES)}, or a TOML file.  [default: "
    "fine-tune; from scratch: default]",
)
@click.option(
    "--resume",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Continue the run in this folder, with the settings that it was begun with. --epochs (in "
    "all) or --time-budget (from now on) extend it, also if it is finished.",
)
@click.option(
    "--finish",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Make a model of the best epoch so far of the unfinished run in this folder.",
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
@click.option(
    "--watch", is_flag=True, help="Show the run on a web page that only this machine can open."
)
@click.option(
    "--events",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Append what that page shows to a file, a line of JSON for each change.",
)
@parameter_options(TrainingOptions)
@parameter_options(Recipe)
@reading_options
def train(
    *,
    paths: tuple[str, ...],
    out: Path | None,
    recipe: str | None,
    resume: Path | None,
    finish: Path | None,
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

    Training starts from the model that LoreLM comes with, english, if that knows most words of
    PATH; --init names another one, or none. The result then knows the words of both.

    Ctrl-C, a crash or a power cut lose nothing: --resume DIR continues from the last checkpoint,
    and --finish DIR makes a model of the best epoch so far. On the same machine a resumed run ends
    with exactly the weights of an uninterrupted one, except with --time-budget, where the clock
    decides. Both find the corpus where it was; name PATH if it has moved.

    Several processes share the work when torchrun starts them: torchrun --nproc-per-node 2 -m
    lorelm train PATH --out DIR.
    """
    if not all(map(find_spec, ("torch", "rich"))):
        raise MissingExtraError("training a model", "train")
    show = _Show(is_watched=flags.pop("watch"), events=flags.pop("events"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, also before the steps
    if resume is not None or finish is not None:
        _go_on(resume, finish, (paths, valid, test), show)
        return
    if not paths or out is None:
        missing = "the option --out" if paths else "the argument PATH"
        raise click.UsageError(f"{missing} is missing.")
    if flags["serving_only"] and flags["compact"]:
        raise click.UsageError("--serving-only has no weights; leave out --compact.")
    reading = take_reading_options(flags)
    changes = {name: flags.pop(name) for name in parameters_of(Recipe)}
    settings = StartSettings(init=flags["init"], recipe=recipe, changes=changes)
    settings.check()
    options = TrainingOptions(**flags)
    with waiting("reading the text"):
        documents = read_documents(paths, reading)
        held_out = [read_documents(part, reading) if part else None for part in (valid, test)]
        start = settings.choose(documents)
    options = replace(options, init=start.init)
    _run([start.documents, *held_out], start.recipe, out, options, show=show)


def _go_on(resume: Path | None, finish: Path | None, given: Sequence[Any], show: "_Show") -> None:
    """Continue, extend or finish the run in a folder.

    Args:
        given: the paths of the corpus, its validation and its test part, where they are given.

    Raises:
        click.UsageError: there are options that would have no effect.
        CheckpointError: there is no such run, or its corpus was no file.
    """
    with waiting("importing PyTorch"):
        from lorelm.training.resumption import CHANGEABLE, finished, resumed

    out = resume or finish
    assert out is not None
    changes = _changes("--finish" if finish else "--resume", () if finish else CHANGEABLE)
    with waiting("reading the run and its text"):
        checkpoint = finished(out) if finish else resumed(out, changes)
        parts = corpus_of_run(checkpoint, out, given)
    run = checkpoint.run
    options = TrainingOptions.of_run(run)
    recipe, is_finished = Recipe.from_dict(run["recipe"]), finish is not None
    _run(parts, recipe, out, options, checkpoint, finish=is_finished, show=show)


def _changes(flag: str, allowed: Collection[str]) -> dict[str, Any]:
    """Return the settings that are given beside --resume or --finish.

    Raises:
        click.UsageError: one of them would have no effect.
    """
    context = click.get_current_context()
    changes = {}
    for parameter in context.command.params:
        name = parameter.name or ""
        is_given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if not is_given or name in (flag.strip("-"), *_ALWAYS_GIVEN):
            continue
        if name not in allowed:
            raise click.UsageError(
                f"{flag} takes the settings of the run: leave out {parameter.opts[0]}."
            )
        changes[name] = context.params[name]
    return changes


def _run(
    parts: Sequence[Documents | None],
    recipe: Recipe,
    out: Path,
    options: TrainingOptions,
    resume: "Checkpoint | None" = None,
    *,
    finish: bool = False,
    show: "_Show",
) -> None:
    """Train on a corpus, or on it and its held-out parts; evaluate; show what to do next."""
    with waiting("importing PyTorch"):
        from lorelm.cli.training_display import TrainingDisplay, show_result
        from lorelm.training.processes import join_processes
        from lorelm.training.run_context import RunContext
        from lorelm.training.train import train as train_bundle

    documents, valid, test = (*parts, None, None)[:3]
    assert documents is not None
    note = _FINISHING if finish else _checkpoint_note(out, options)
    with join_processes(options.device) as processes, ExitStack() as stack:
        is_main = processes.is_main_process
        display = TrainingDisplay(note, has_budget=options.time_budget_seconds is not None)
        observer = _observed(display, documents, out, show if is_main else _Show())
        resume = resume if finish else _latest(resume, out, processes)
        if is_main:
            corpus = CorpusParts(documents=documents, valid=valid, test=test)
            _show_start(corpus.all, out, resume)
        context = RunContext(
            callback=stack.enter_context(observer),
            processes=processes,
            stop=_stop_on_signal(),
            resume=resume,
            finish=finish,
            started=process_started(),
        )
        bundle = train_bundle(
            documents, recipe, out=out, options=options, valid=valid, test=test, context=context
        )
    if bundle is not None:  # the main process has it
        show_result(bundle, out)


def _latest(begun: "Checkpoint | None", out: Path, processes: "Processes") -> "Checkpoint | None":
    """Return where a run begins; restarted by torchrun, not a second time with an extension.

    Args:
        begun: where the command would begin; None: anew.
        out: holds what the run has left.
    """
    from lorelm.training.checkpoint import Checkpoint
    from lorelm.training.processes import was_restarted

    found = Checkpoint.find(out) if was_restarted(processes) else None
    if begun is None or found is None:
        return found or begun
    is_extended = found.snapshot.metadata["begun"]["num_updates"] > 0
    return found if is_extended and found.run["options"] == begun.run["options"] else begun


@dataclass(frozen=True)
class _Show:
    """Where a run is shown besides the terminal."""

    is_watched: bool = False
    events: Path | None = None


@contextmanager
def _observed(
    display: "TrainingDisplay", documents: Documents, out: Path, show: _Show
) -> Iterator["TrainingCallback"]:
    """Yield what shows the run on the terminal and, if that is wanted, on a page and in a file."""
    from lorelm.training.callbacks import CallbackList

    with ExitStack() as stack:
        callbacks: list[TrainingCallback] = [stack.enter_context(display)]
        if show.is_watched or show.events:
            from lorelm.cli.watch import event_file, watch_page

            if show.is_watched:
                callbacks.append(stack.enter_context(watch_page(out, documents.source)))
            if show.events:
                callbacks.append(stack.enter_context(event_file(show.events, out)))
        yield CallbackList(callbacks)


def _show_start(parts: Sequence[Documents], out: Path, resume: "Checkpoint | None") -> None:
    if resume is not None:
        click.echo(f"Going on from {resume.snapshot.description}.", err=True)
    replaced = None if is_pack(out) else find_manifest(out)
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
        f"A checkpoint goes into {out} every {every}: Ctrl-C stops, lorelm train --resume "
        f"{quoted(out)} goes on, and --finish makes a model of the best epoch so far."
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
