"""``lorelm serve``: a web page and an API for a model."""

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource
from flask import Flask

from lorelm.bundle import EMBEDDED_PATH
from lorelm.cli.options import (
    HISTORY_VARIABLE,
    KEYS_VARIABLE,
    cache_option,
    history_option,
    mixture_option,
    parameter_options,
)
from lorelm.cli.serve_display import serving_lines
from lorelm.errors import HistoryError
from lorelm.history.database import default_url
from lorelm.machine.cores import available_cores
from lorelm.server.app import create_app
from lorelm.server.operations.logs import configure_logging
from lorelm.server.serving import Load, open_port, serve_until_stopped, url_of
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state
from lorelm.server.workers import serve_with_workers

_API_KEY_VARIABLE, _ADMIN_KEY_VARIABLE = _KEY_VARIABLES = ("LORELM_API_KEY", "LORELM_ADMIN_KEY")


@click.command()
@click.argument("bundles", type=click.Path(path_type=Path), nargs=-1, metavar="[BUNDLE]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="Port to listen on; 0 takes any free one.",
)
@click.option(
    "--workers",
    metavar="N|auto",
    default="1",
    show_default=True,
    callback=lambda _context, _option, value: _num_workers(value),
    help="Processes that share the port, each with the models; auto is one for each core.",
)
@mixture_option
@cache_option
@click.option(
    "--api-key",
    envvar=_API_KEY_VARIABLE,
    show_envvar=True,
    metavar="KEY",
    help="Require this API key: as a bearer token, or as the password in a browser.",
)
@click.option(
    "--admin-key",
    envvar=_ADMIN_KEY_VARIABLE,
    show_envvar=True,
    metavar="KEY",
    help="Require this key at /history/whole, which shows the history of all clients. It opens "
    "everything else too, /metrics and the models without a quota.",
)
@click.option(
    "--keys",
    envvar=KEYS_VARIABLE,
    show_envvar=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Require a key of this file, which lorelm keys writes; changes take effect at once.",
)
@history_option
@click.option("--no-history", is_flag=True, help="Do not keep the generated texts.")
@parameter_options(ServerSettings)
def serve(*, bundles: Sequence[Path], **flags: Any) -> None:
    """Serve the models in the folders BUNDLE as a web page; without any, the embedded model.

    BUNDLE may be english, the embedded model, unless a folder of that name holds a model. The
    same port has an API for programs, described at /docs.
    """
    serve_bundles(bundles or (EMBEDDED_PATH,), **flags)


def serve_bundles(
    bundles: Sequence[Path],
    *,
    notices: Sequence[str] = (),
    host: str,
    port: int,
    workers: int,
    history: str | None,
    no_history: bool,
    **flags: Any,
) -> None:
    """Serve until stopped, with the options of the current command.

    Args:
        notices: sentences for the page and the terminal.

    Raises:
        LoreLMError: the server cannot start, or cannot open the models or the history.
        click.UsageError: two options exclude each other.
    """
    _check_options(no_history=no_history)
    settings = ServerSettings(
        bundles=bundles,
        notices=notices,
        history=None if no_history else history or default_url(),
        **flags,
    )
    configure_logging(settings.log_level)
    app = _create_app(settings, needs_history=history is not None or settings.share_links)
    listening = open_port(host, port)
    ready = serving_lines(
        url_of(listening),
        listening.getsockname()[0],
        server_state(app),
        history_from=_source_of_history(),
        num_workers=workers,
    )
    _serve(app, listening, workers, on_ready=partial(click.echo, ready, err=True))
    click.echo("lorelm: stopped", err=True)


def _serve(
    app: Flask, listening: socket.socket, workers: int, *, on_ready: Callable[[], None]
) -> None:
    state = server_state(app)
    if workers == 1:
        load = Load.of(state.settings)
        serve_until_stopped(app, listening, state=state, load=load, on_ready=on_ready)
    else:
        state.close()  # each worker loads the models; this was to see that they can
        serve_with_workers(state.settings, listening, num_workers=workers, on_ready=on_ready)


_MOST_WORKERS_PER_CORE: Final = 8
"""Each loads the models; a slip such as 20000 would make the machine unusable."""


def _num_workers(given: str) -> int:
    """Return how many workers an option asks for."""
    if given == "auto":
        return available_cores()
    if not given.isdecimal() or int(given) < 1:
        raise click.BadParameter(f"{given!r} is neither a number above 0 nor auto")
    most = _MOST_WORKERS_PER_CORE * available_cores()
    if int(given) > most:
        raise click.BadParameter(
            f"{given} workers would wait for one another on {available_cores()} cores: write auto, "
            f"or at most {most}"
        )
    return int(given)


def _check_options(*, no_history: bool) -> None:
    """Refuse options that exclude each other, and variables that lost their secret."""
    for variable in _KEY_VARIABLES:
        if os.environ.get(variable) == "":  # click takes it for unset, but a secret was lost
            raise click.UsageError(f"{variable} is empty: set it to the key, or unset it.")
    is_history_given = (
        click.get_current_context().get_parameter_source("history") is ParameterSource.COMMANDLINE
    )
    if is_history_given and no_history:
        raise click.UsageError("--history and --no-history exclude each other.")


def _source_of_history() -> str | None:
    """Return the option or variable that names the history; None if nothing does."""
    source = click.get_current_context().get_parameter_source("history")
    names = {
        ParameterSource.COMMANDLINE: "--history",
        ParameterSource.ENVIRONMENT: HISTORY_VARIABLE,
    }
    return names.get(source) if source is not None else None


def _create_app(settings: ServerSettings, *, needs_history: bool) -> Flask:
    """Create the application, without a history if the default one cannot be opened."""
    try:
        return create_app(settings)
    except HistoryError as error:
        if needs_history:
            raise
        click.echo(f"lorelm: {error}; serving without a history (--no-history says so)", err=True)
        return create_app(replace(settings, history=None))
