"""``lorelm runs``: list, show, compare, draw and remove training runs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import click

from lorelm.cli.compare import compare
from lorelm.cli.terminal import duration, printable
from lorelm.cli.watch_run import watch
from lorelm.errors import InputError
from lorelm.runs.registry import Entry, register
from lorelm.runs.removal import owned_files, remove_run
from lorelm.runs.run import Run, find_run, list_runs
from lorelm.table import aligned
from lorelm.training.recipe import describe_recipe

_STYLES: Final[Mapping[str, dict[str, Any]]] = {
    "running": {"bold": True},
    "evaluating": {"bold": True},
    "failed": {"fg": "red"},
    "gone": {"dim": True},
}

_FORMS: Final[Mapping[str, Literal["png", "svg"]]] = {".png": "png", ".svg": "svg"}

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(invoke_without_command=True)
@_json_option
@click.pass_context
def runs(context: click.Context, *, as_json: bool) -> None:
    """List your training runs, the newest first.

    A run is named by its folder or, if the last part of that path is unique, by this part. How a
    run is doing is read from its folder.
    """
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError("--json belongs behind the subcommand.")
        return
    found = list_runs()
    if as_json:
        click.echo(json.dumps([run.to_json() for run in found], indent=2))
    elif found:
        click.echo("\n".join(_lines(found)))
        _explain(found)
    else:
        click.echo("There are no runs yet: lorelm train my.csv --out my-model", err=True)


@runs.command()
@click.argument("folder", metavar="RUN")
@_json_option
def show(*, folder: str, as_json: bool) -> None:
    """Print the settings and metrics of a run."""
    run = find_run(folder)
    if as_json:
        metrics = run.manifest and run.manifest.metrics
        more = {
            "metrics": metrics.model_dump(mode="json") if metrics else None,
            "metrics_by_epoch": [dict(row) for row in run.epochs],
        }
        click.echo(json.dumps(run.to_json() | more, indent=2))
        return
    click.echo("\n".join(_overview(run)))
    if run.epochs:
        click.echo("\n".join(["", *_epochs(run)]))
    if run.manifest is not None and run.manifest.metrics is not None:
        from lorelm.evaluation.summary import summary_lines

        click.echo("\n".join(["", *summary_lines(run.manifest.metrics)]))


@runs.command()
@click.argument("folders", metavar="RUN...", nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="File to draw to: a name that ends in .png or .svg.",
)
@click.option(
    "--over",
    type=click.Choice(["epochs", "seconds"]),
    default="epochs",
    show_default=True,
    help="Horizontal axis.",
)
def curves(*, folders: Sequence[str], out: Path, over: str) -> None:
    """Draw the validation curves of runs together."""
    form = _FORMS.get(out.suffix.lower())
    if form is None:
        raise click.UsageError(f"--out: {out} ends neither in .png nor in .svg.")
    from lorelm.evaluation.report.files import check_file, write_file
    from lorelm.evaluation.report.plots import render_runs

    check_file(out, what="plot")
    drawn = {folder: find_run(folder).epochs for folder in folders}
    for folder, epochs in drawn.items():
        if not epochs:
            raise InputError(
                f"{folder} has no epoch to draw yet: leave it out, or wait for its first one",
                code="runs.no_epochs",
            )
    image = render_runs(drawn, over="epoch" if over == "epochs" else "seconds", form=form)
    write_file(out, image, what="plot")


@runs.command()
@click.argument("folders", metavar="RUN...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def remove(*, folders: Sequence[str], yes: bool) -> None:
    """Delete runs with their models. Files in their folders that are not LoreLM's stay."""
    found = [find_run(folder) for folder in folders]
    for run in found:
        if run.state in ("running", "evaluating"):
            remove_run(run)  # says who is at it
        if not yes and not click.confirm(_what_is_removed(run), err=True):
            click.echo(f"kept {run.path}: nothing was removed", err=True)
            continue
        remove_run(run)
        click.echo(f"removed {run.path}", err=True)


@runs.command()
@click.argument("folders", metavar="DIR...", nargs=-1, required=True)
def add(*, folders: Sequence[str]) -> None:
    """List runs that were moved, or made by another user, version or machine."""
    for folder in folders:
        run = find_run(folder)
        register(Entry.of(run.path, run.source, run.began_at))


runs.add_command(compare)
runs.add_command(watch)


def _what_is_removed(run: Run) -> str:
    files = owned_files(run.path)
    if not files:
        return f"Take {run.path}, of which there are no files, from the list?"
    size = sum(file.stat().st_size for file in files)
    return f"Delete {run.path} ({run.source}, {run.state}, {size / 1e6:,.1f} MB) for good?"


def _lines(found: Sequence[Run]) -> Iterator[str]:
    """Yield a table of runs, aligned, with what may be long at its end: no terminal cuts it."""
    heading = ("run", "state", "epochs", "valid", "test", "bits/char", "time", "begun", "corpus")
    rows = [(*heading, "recipe")]
    for run in found:
        rows.append(
            (
                printable(_shown_path(run.path)),
                run.state,
                _progress(run),
                _number(run.valid_perplexity, ".1f"),
                _number(run.test_perplexity, ".1f") + "*" * run.is_mixed,
                _number(run.bits_per_character, ".3f") + "*" * run.is_mixed,
                "" if run.seconds is None else duration(run.seconds),
                _day(run),
                printable(run.source),
                _recipe(run),
            )
        )
    heading_line, *lines = aligned(rows, right=range(2, 7))
    yield click.style(heading_line, dim=True)
    for run, line in zip(found, lines, strict=True):
        yield click.style(line, **_STYLES.get(run.state, {}))


def _explain(found: Sequence[Run]) -> None:
    """Say below the list what its marks mean, and what can be done about runs in need of it."""
    if any(run.is_mixed for run in found):
        click.echo(
            "* of the network mixed with the n-gram model, as it is used; valid is of the network "
            "alone.",
            err=True,
        )
    for run in found:
        if run.error is not None:
            click.echo(f"{_shown_path(run.path)} failed: {printable(run.error)}", err=True)
    if any(run.state == "gone" for run in found):
        click.echo(
            "What is gone was moved or deleted: lorelm runs remove RUN takes it from the list, "
            "lorelm runs add DIR lists it where it is now.",
            err=True,
        )


def _overview(run: Run) -> list[str]:
    mixed = " (mixed with the n-gram model)" if run.is_mixed else ""
    rows: dict[str, str] = {
        "run": str(run.path),
        "state": f"{run.state}: {run.error}" if run.error else run.state,
        "corpus": run.source,
        "begun": _day(run),
        "epochs": _progress(run),
        "time": "" if run.seconds is None else duration(run.seconds),
        "valid perplexity": _number(run.valid_perplexity, ".1f"),
        "test perplexity": _number(run.test_perplexity, ".1f") + mixed,
        "bits per character": _number(run.bits_per_character, ".3f") + mixed,
        "recipe": _recipe(run),
        "settings": "  ".join(
            f"{name}={value}" for name, value in run.recipe.items() if not isinstance(value, list)
        ),
    }
    return aligned([(name, printable(value)) for name, value in rows.items() if value])


def _epochs(run: Run) -> Iterator[str]:
    """Yield a table of the epochs, the best ones bold."""
    names = ("epoch", "train loss", "valid loss", "valid ppl", "learning rate", "tokens/s", "time")
    rows = [
        (
            f"{row['epoch']}",
            f"{row['train_loss_nats_per_token']:.3f}",
            f"{row['valid_loss_nats_per_token']:.3f}",
            f"{row['valid_perplexity']:.1f}",
            f"{row['learning_rate']:.2g}",
            f"{row['tokens_per_second']:,.0f}",
            duration(row["seconds"]),
        )
        for row in run.epochs
    ]
    heading_line, *lines = aligned([names, *rows], right=range(len(names)))
    yield heading_line
    for row, line in zip(run.epochs, lines, strict=True):
        yield click.style(line, bold=bool(row["is_best"]))


def _progress(run: Run) -> str:
    if run.num_epochs is None:
        return ""
    done = run.num_epochs if run.state == "finished" else len(run.epochs)
    return f"{done}" if done >= run.num_epochs else f"{done} of {run.num_epochs}"


def _recipe(run: Run) -> str:
    return describe_recipe(run.recipe) if run.recipe else ""


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _day(run: Run) -> str:
    return f"{run.began_at.astimezone():%Y-%m-%d}" if run.began_at else ""


def _shown_path(path: Path) -> str:
    """Return a path relative to the current folder or to the home folder, if it is below."""
    for base, prefix in ((Path.cwd(), ""), (Path.home(), "~/")):
        if path.is_relative_to(base) and path != base:
            return f"{prefix}{path.relative_to(base)}"
    return str(path)
