"""``lorelm export``: write a model as a static web site."""

from html import escape
from pathlib import Path
from typing import Any, Final

import click

from lorelm.bundle import Bundle
from lorelm.cli.options import mixture_option
from lorelm.cli.terminal import echo_notes, printable
from lorelm.export.site import ExportedSite, SiteOptions, export_site
from lorelm.machine.quoting import quoted

_ANY_ADDRESS: Final = "https://YOUR.HOST/PATH/"


@click.command()
@click.argument("bundle", type=click.Path())
@click.option(
    "--web",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="Folder for the web site; an earlier export in it is replaced, other files stay.",
)
@click.option("--title", metavar="TEXT", help="Title of the page.  [default: the model's source]")
@click.option(
    "--address",
    metavar="URL",
    help="Where the site will be, such as https://example.org/tales/: other sites then show a "
    "picture beside a link to it.",
)
@click.option(
    "--fingerprints/--no-fingerprints",
    default=True,
    help="Ship the fingerprints of the training text, by which the page marks copies.",
)
@mixture_option
def export(*, bundle: str, web: Path, **options: Any) -> None:
    """Write the model in the folder BUNDLE as a web site that needs no server.

    BUNDLE may be english, the embedded model, unless a folder of that name holds a model.
    The page runs the model in the browser of the visitor. Any host of static files will do, under
    any path.
    """
    wanted = SiteOptions(**options)
    model = Bundle.load(bundle)
    site = export_site(model, web, wanted)
    for line in _summary(site, wanted.title or model.name, wanted.address or _ANY_ADDRESS):
        click.echo(printable(line))
    echo_notes(site.notes)
    click.echo(
        f"\nLook at it:\n  python -m http.server --bind 127.0.0.1 --directory {quoted(web)} 8000\n"
        "and open http://localhost:8000/"
    )


def _summary(site: ExportedSite, title: str, address: str) -> list[str]:
    data = {name: size for name, size in site.sizes.items() if name.endswith(".bin")}
    page = sum(site.sizes.values()) - sum(data.values())
    parts = [f"the page {_shown(page)}"]
    parts += [f"{name.partition('-')[0]} {_shown(size)}" for name, size in data.items()]
    return [
        f"The web site is in {site.path}: {len(site.sizes)} files, "
        f"{_shown(sum(site.sizes.values()))} ({', '.join(parts)}).",
        "Once it is on a host, everyone can read what it is made of:",
        *(f"  - {each}" for each in site.reveals),
        "To show it in another page:",
        f'  <iframe src="{escape(address)}" title="{escape(title)}" '
        'width="100%" height="800"></iframe>',
    ]


def _shown(num_bytes: int) -> str:
    """Return a size in kB, or in MB from one on."""
    return f"{num_bytes / 1e3:.0f} kB" if num_bytes < 1e6 else f"{num_bytes / 1e6:.1f} MB"
