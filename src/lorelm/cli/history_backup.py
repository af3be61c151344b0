"""``lorelm history backup`` and ``lorelm history restore``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lorelm.cli.options import history_option

if TYPE_CHECKING:
    from lorelm.history.backup import Copied


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@history_option
def backup(*, file: Path, history: str | None) -> None:
    """Copy the history into FILE, with drafts and links; servers may write it meanwhile.

    FILE appears when it is complete, in place of an older backup.
    """
    from lorelm.history.backup import back_up

    copied = back_up(history, file)
    click.echo(f"backed up {copied.place} into {file}: {_size(copied)}", err=True)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@history_option
@click.option("--yes", is_flag=True, help="Replace the history that is there.")
def restore(*, file: Path, history: str | None, yes: bool) -> None:
    """Make the history what it was when the backup FILE was made.

    FILE may be of an older version of LoreLM: what is restored has the tables of this one. FILE
    itself stays as it is.
    """
    from lorelm.history.backup import restore as restore_history

    copied = restore_history(file, history, replaces=yes)
    click.echo(f"restored {file} into {copied.place}: {_size(copied)}", err=True)


def _size(copied: "Copied") -> str:
    return f"{copied.num_records:,} records, {copied.num_bytes / 1e6:,.1f} MB"
