"""``lorelm push``: a model on the Hugging Face Hub."""

import click

from lorelm.bundle import Bundle, packing
from lorelm.bundle.hub import PREFIX
from lorelm.cli.pack import echo_revealed, packing_options
from lorelm.export.hub import push as push_files


@click.command()
@click.argument("bundle")
@click.argument("repo", metavar="USER/MODEL")
@click.option("--public", is_flag=True, help="Let everybody see it, if it is not there yet.")
@packing_options
def push(
    *, bundle: str, repo: str, public: bool, no_fingerprints: bool, serving_only: bool
) -> None:
    """Put the model BUNDLE on the Hugging Face Hub as USER/MODEL.

    It is private unless you say --public. Log in once with hf auth login. Every command then takes
    hf://USER/MODEL, or hf://USER/MODEL@REVISION for one version, as a bundle.
    """
    model = Bundle.load(bundle)
    files = packing.packed_files(model, fingerprints=not no_fingerprints, weights=not serving_only)
    commit = push_files(model, repo, files, is_private=not public)
    click.echo(f"{PREFIX}{repo}@{commit} is the model as it is now. Next:")
    click.echo(f"  lorelm serve {PREFIX}{repo}")
    echo_revealed(model, files)
