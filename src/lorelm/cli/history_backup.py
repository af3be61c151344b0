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
@click.option("--yes", is_flag=True, help="Replace the existing history.")
def restore(*, file: Path, history: str | None, yes: bool) -> None:
    """Make the history what it was when the backup FILE was made.

    FILE may be of an older version of LoreLM: what is restored has the tables of this one. FILE
    itself stays as it is.
    """
    from lorelm.history.backup import restore as restore_history

    copied = restore_history(file, history, replaces=yes)
    click.echo(f"restored {file} into {copied.place}: {_size(copied)}", err=True)


@click.command()
@history_option
def upgrade(*, history: str | None) -> None:
    """Give the history the tables of this version of LoreLM; lorelm serve does it, too.

    An earlier version does not open it afterwards, so make a backup first.
    """
    from lorelm.history.state import read_state
    from lorelm.history.store import HistoryStore

    before = read_state(history)
    HistoryStore(history, create=False).close()
    what = "is of this version" if before.revision == before.newest_revision else "was upgraded"
    click.echo(f"the history in {before.place} {what}: {before.num_records:,} records", err=True)


def _size(copied: "Copied") -> str:
    return f"{copied.num_records:,} records, {copied.num_bytes / 1e6:,.1f} MB"
