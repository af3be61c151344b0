"""``lorelm serve``: a web page and an API for a model."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from flask import Flask

from lorelm.bundle import EMBEDDED_PATH
from lorelm.cli.options import cache_option, history_option, mixture_option
from lorelm.cli.printable import printable
from lorelm.errors import HistoryError
from lorelm.history.database import default_url
from lorelm.server.app import create_app
from lorelm.server.serving import open_port, serve_until_stopped, url_of
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

_DEFAULTS = ServerSettings()
_API_KEY_VARIABLE, _ADMIN_KEY_VARIABLE = _KEY_VARIABLES = ("LORELM_API_KEY", "LORELM_ADMIN_KEY")


@click.command()
@click.argument("bundles", type=click.Path(path_type=Path), nargs=-1, metavar="[BUNDLE]...")
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
    default=_DEFAULTS.proxy_hops,
    show_default=True,
    help="Proxies in front whose X-Forwarded headers are to be believed.",
)
@mixture_option
@cache_option
@click.option(
    "--api-key",
    envvar=_API_KEY_VARIABLE,
    show_envvar=True,
    metavar="KEY",
    help="Answer only who knows it: as a Bearer token, or as the password in a browser.",
)
@click.option(
    "--admin-key",
    envvar=_ADMIN_KEY_VARIABLE,
    show_envvar=True,
    metavar="KEY",
    help="Show the whole history at /history/whole to who knows it.",
)
@history_option
@click.option("--no-history", is_flag=True, help="Keep nothing of what is generated.")
@click.option(
    "--rate-limit",
    metavar="LIMIT",
    help="How often an address may make the model work, such as 60/minute.",
)
@click.option(
    "--rate-limit-storage",
    default=_DEFAULTS.rate_limit_storage,
    show_default=True,
    metavar="URL",
    help="Where that is counted; redis://HOST:PORT for several servers.",
)
@click.option(
    "--max-tokens-limit",
    default=_DEFAULTS.max_tokens_limit,
    show_default=True,
    help="The longest sample that a request may ask for, in tokens.",
)
@click.option(
    "--max-body-bytes",
    default=_DEFAULTS.max_body_bytes,
    show_default=True,
    help="The longest request that is read.",
)
@click.option(
    "--num-slots",
    default=_DEFAULTS.num_slots,
    show_default=True,
    help="How many samples are written at the same time.",
)
@click.option(
    "--max-waiting",
    default=_DEFAULTS.max_waiting,
    show_default=True,
    help="How many requests may wait for a slot; more are refused.",
)
@click.option(
    "--timeout-seconds",
    default=_DEFAULTS.timeout_seconds,
    show_default=True,
    help="A sample ends after so long, waiting included.",
)
@click.option(
    "--grace-seconds",
    default=_DEFAULTS.grace_seconds,
    show_default=True,
    help="How long samples may still take when the server is stopped.",
)
@click.option(
    "--state-cache-megabytes",
    default=_DEFAULTS.state_cache_megabytes,
    show_default=True,
    help="For the model's states after texts that are gone on with; 0: none are kept.",
)
@click.option(
    "--access-log", metavar="FILE", help="Add a line of JSON a request; - writes to stderr."
)
def serve(*, bundles: Sequence[Path], **flags: Any) -> None:
    """Serves the models in the folders BUNDLE (without any, the embedded one) as a web page.

    BUNDLE may be shakespeare, the embedded model, unless a folder of that name holds a model.
    The same port answers programs: /docs says how.
    """
    serve_bundles(bundles or (EMBEDDED_PATH,), **flags)


def serve_bundles(
    bundles: Sequence[Path],
    *,
    notices: Sequence[str] = (),
    host: str,
    port: int,
    history: str | None,
    no_history: bool,
    **flags: Any,
) -> None:
    """Serves until it is stopped, by the options of the command that runs now.

    Args:
        notices: sentences for the page and the terminal.

    Raises:
        LoreLMError: the server cannot start, or cannot have the models or the history.
        click.UsageError: two options exclude each other.
    """
    for variable in _KEY_VARIABLES:
        if os.environ.get(variable) == "":  # which click takes for none: a secret got lost
            raise click.UsageError(f"{variable} is empty: set it to the key, or unset it.")
    is_history_given = (
        click.get_current_context().get_parameter_source("history") is ParameterSource.COMMANDLINE
    )
    if is_history_given and no_history:
        raise click.UsageError("--history and --no-history exclude each other.")
    settings = ServerSettings(
        bundles=bundles,
        notices=notices,
        history=None if no_history else history or default_url(),
        **flags,
    )
    app = _create_app(settings, needs_history=history is not None)
    listening = open_port(host, port)
    models = server_state(app).models
    ready = "\n".join(
        [
            f"LoreLM serves {url_of(listening)} (Ctrl-C ends it)",
            *(f"lorelm: {printable(notice)}" for notice in (*notices, *models.notices)),
        ]
    )
    serve_until_stopped(
        app, listening, settings=settings, on_ready=lambda: click.echo(ready, err=True)
    )
    click.echo("lorelm: stopped", err=True)


def _create_app(settings: ServerSettings, *, needs_history: bool) -> Flask:
    """The application; without a history where it has none to write to and was not told to."""
    try:
        return create_app(settings)
    except HistoryError as error:
        if needs_history:
            raise
        click.echo(f"lorelm: {error}; serving without a history (--no-history says so)", err=True)
        return create_app(replace(settings, history=None))
