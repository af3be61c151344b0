"""``lorelm pack``: a model as one file."""

from collections.abc import Container
from pathlib import Path

import click

from lorelm.bundle import Bundle, packing
from lorelm.bundle.layout import PACK_ENDING
from lorelm.bundle.revealed import revealed
from lorelm.cli.options import Command
from lorelm.machine.quoting import quoted


def packing_options(command: Command) -> Command:
    """Add the options that say which files of a model are left out."""
    add_serving_only = click.option(
        "--serving-only", is_flag=True, help="Leave out the weights, which only training needs."
    )
    add_no_fingerprints = click.option(
        "--no-fingerprints",
        is_flag=True,
        help="Leave out the fingerprints of the training text: the model then marks no copies, "
        "and nobody can use it to test whether a sentence was in the text.",
    )
    return add_no_fingerprints(add_serving_only(command))


@click.command()
@click.argument("bundle")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write it; an existing packed model is replaced.  [default: the name of "
    "BUNDLE, with .lorelm, in this folder]",
)
@packing_options
def pack(*, bundle: str, out: Path | None, no_fingerprints: bool, serving_only: bool) -> None:
    """Make one file of the model BUNDLE, to keep or to give to others.

    Every command takes the file in place of the folder, and lorelm unpack makes a folder of it. It
    holds no code, and no path of this machine.
    """
    model = Bundle.load(bundle)
    out = out or Path(model.name + PACK_ENDING)
    packing.pack(model, out, fingerprints=not no_fingerprints, weights=not serving_only)
    click.echo(f"{out} holds the model ({out.stat().st_size / 1e6:.1f} MB). Next:")
    click.echo(f"  lorelm serve {quoted(out)}")
    echo_revealed(model, Bundle.load(out).manifest.files)


def echo_revealed(bundle: Bundle, files: Container[str]) -> None:
    """Say what others can learn of the training text from files that are given away."""
    click.echo("Anyone who has it can read what it is made of:", err=True)
    for each in revealed(bundle, files):
        click.echo(f"  - {each}", err=True)
