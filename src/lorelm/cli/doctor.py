"""``lorelm doctor``: whether LoreLM works on this machine, and what is slow."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lorelm.cli.options import history_option
from lorelm.cli.terminal import printable

if TYPE_CHECKING:
    from lorelm.cli.diagnosis import Diagnosis, Folder
    from lorelm.history.state import HistoryState
    from lorelm.machine.processor import Processor


@click.command()
@history_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(*, history: str | None, as_json: bool) -> None:
    """Say whether LoreLM works here, what is slow, and what to do about it.

    The exit code is 1 if something does not work. Include the output in bug reports.
    """
    from lorelm.cli.diagnosis import examine

    found = examine(history)
    if as_json:
        click.echo(json.dumps(_as_json(found), indent=2))
    else:
        for label, text in _lines(found):
            click.echo(f"{label:<16}{printable(text)}")
        for finding in found.findings:
            click.echo(f"\n{finding.kind}: {printable(finding.message)}")
            click.echo(f"  {printable(finding.hint)}")
        if not found.findings:
            click.echo("\nEverything works.")
    if not found.works:
        sys.exit(1)


def _as_json(found: "Diagnosis") -> dict[str, object]:
    values = asdict(found) | {"works": found.works}
    for name in ("processor", "memory", "history"):
        part = getattr(found, name)
        values[name] = None if part is None else part._asdict()
    return values


def _lines(found: "Diagnosis") -> Iterator[tuple[str, str]]:
    versions = found.versions
    yield (
        "versions",
        ", ".join(f"{name} {number}" for name, number in versions.items() if number is not None),
    )
    if versions["torch"] is None:
        yield "", 'no torch: training needs it (pip install "lorelm[train]")'
    yield "processor", _processor(found.processor)
    load = "" if found.load is None else f", load {found.load:.1f}"
    yield "cores", f"{found.cores}{load}"
    if found.memory is not None:
        yield (
            "memory",
            f"{found.memory.available / 1e9:.1f} GB free of {found.memory.total / 1e9:.1f}",
        )
    yield "data", _folder(found.data_folder)
    yield "temporary files", _folder(found.temporary_folder)
    yield "history", _history(found.history)
    if found.tokens_per_second is not None:
        yield (
            "speed",
            f"{found.tokens_per_second:,.0f} tokens/s of the embedded model, one text at a time",
        )


def _processor(found: "Processor") -> str:
    has = [feature for feature, is_there in found.features.items() if is_there]
    lacks = [feature for feature, is_there in found.features.items() if not is_there]
    parts = [found.name]
    if has:
        parts.append(f"with {', '.join(has)}")
    if lacks:
        parts.append(f"without {', '.join(lacks)}")
    return "; ".join(parts)


def _folder(folder: "Folder") -> str:
    return f"{folder.path}, {folder.free_bytes / 1e9:,.1f} GB free"


def _history(state: "HistoryState | None") -> str:
    if state is None:
        return "cannot be read"
    if state.revision is None:
        return f"{state.place}, none yet"
    return (
        f"{state.place}, {state.num_records:,} records, {state.num_bytes / 1e6:,.1f} MB, tables "
        f"{state.revision}"
    )
