"""``lorelm serve``: a web page and an API for a model."""

from pathlib import Path

import click

from lorelm.bundle import EMBEDDED_PATH
from lorelm.cli.options import cache_option, mixture_option
from lorelm.server.app import create_app
from lorelm.server.serving import open_port, serve_until_stopped, url_of
from lorelm.server.settings import ServerSettings


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), default=EMBEDDED_PATH, required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="0: any free one.",
)
@click.option(
    "--proxy-hops",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Proxies in front whose X-Forwarded headers are to be believed.",
)
@mixture_option
@cache_option
def serve(
    *, bundle: Path, host: str, port: int, proxy_hops: int, mixture: bool, cache: bool
) -> None:
    """Serves the model in the folder BUNDLE (the embedded one if there is none) as a web page.

    The same port answers POST /api/generate in JSON, and GET /healthz.
    """
    settings = ServerSettings(bundle=bundle, proxy_hops=proxy_hops, mixture=mixture, cache=cache)
    app = create_app(settings)
    listening = open_port(host, port)
    ready = f"LoreLM serves {url_of(listening)} (Ctrl-C ends it)"
    serve_until_stopped(
        app,
        listening,
        behind_proxy=proxy_hops > 0,
        on_ready=lambda: click.echo(ready, err=True),
    )
    click.echo("lorelm: stopped", err=True)
