"""``lorelm unpack``: a folder of a model that was packed."""

from pathlib import Path

import click

from lorelm.bundle import Bundle, packing
from lorelm.machine.quoting import quoted


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the model.  [default: the name of FILE without .lorelm, in this folder]",
)
def unpack(*, file: Path, out: Path | None) -> None:
    """Make a folder of FILE, which lorelm pack made.

    Other files in the folder stay, and an existing model is replaced. Training needs a folder
    to go on with a model (--resume); everything else takes the file as it is.
    """
    if file.is_dir():
        raise click.UsageError(f"{file} is a folder: it need not be unpacked.")
    model = Bundle.load(file)
    out = out or Path(model.name)
    if out.exists() and out.samefile(file):
        raise click.UsageError(f"{out} is the file itself: name a folder with --out.")
    packing.unpack(model, out)
    click.echo(f"{out} holds the model of {model.manifest.source}. Next:")
    click.echo(f"  lorelm serve {quoted(out)}")
