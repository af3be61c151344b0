"""``lorelm studio``: texts, trainings and models in the browser."""

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from lorelm.bundle.dir_lock import lock_dir
from lorelm.cli.options import history_option
from lorelm.cli.terminal import show_address
from lorelm.errors import BundleError
from lorelm.history.database import default_url
from lorelm.machine.folders import data_folder
from lorelm.parameters import Parameter, parameters_of
from lorelm.server.serving import Load, open_port, serve_until_stopped, url_of
from lorelm.server.studio.access import Links, signing_key
from lorelm.server.studio.app import KEY_FILE, create_studio
from lorelm.server.studio.settings import StudioSettings
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe, describe_recipe

_ADDRESS_FILE: Final = "studio.url"
_PASSWORD_VARIABLE: Final = "LORELM_STUDIO_PASSWORD"  # noqa: S105 - its name
_LOCAL: Final = ("127.0.0.1", "localhost", "::1")
_MAX_REQUESTS: Final = 64
_GRACE_SECONDS: Final = 10.0
_OPTIONS_OF_A_SECOND: Final = ("folder", "no_browser")
"""What the command looks at where the studio runs already."""

_OPTIONS_ON_PAGE: Final = ("init", "early_stopping", "threads", "with_ngram")


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="LORELM_STUDIO",
    show_envvar=True,
    help="Where texts and models are kept.  [default: studio, in your data folder]",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Addresses that other machines can reach need a password.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port to listen on.  [default: any free one]",
)
@click.option(
    "--password",
    envvar=_PASSWORD_VARIABLE,
    show_envvar=True,
    metavar="PASSWORD",
    help="Ask for this password in place of the link. Anyone who knows it can train here, read all "
    "texts, and fill the disk.",
)
@click.option(
    "--share-links",
    is_flag=True,
    help="Let writers make links: anyone who has one and reaches this computer can read that text.",
)
@click.option("--no-browser", is_flag=True, help="Print the link and open no browser.")
@history_option
def studio(
    *,
    folder: Path | None,
    host: str,
    port: int,
    password: str | None,
    share_links: bool,
    no_browser: bool,
    history: str | None,
) -> None:
    """Open the studio: drop a text, watch a model learn, write with it, share it.

    The command prints a link. It works once and gives access to the browser that opens it. Run the
    command again for another link. Ctrl-C ends the studio; a running training continues, and the
    next studio finds it.
    """
    if password is None and host not in _LOCAL:
        raise click.UsageError(
            f"--host {host} can be reached by other machines: give a --password, too."
        )
    if password == "":
        raise click.UsageError("the password is empty: give one that cannot be guessed.")
    folder = (folder or _default_folder()).absolute()  # commands run elsewhere
    settings = StudioSettings(
        folder=folder,
        history=history or default_url(),
        password=password,
        share_links=share_links,
        training_parameters=training_parameters(),
        describe_recipe=describe_recipe,
        can_train=find_spec("torch") is not None,
    )
    try:
        with lock_dir(folder):
            _serve(settings, host, port, opens=not no_browser)
    except BundleError as error:
        if error.code != "bundle.locked" or not (folder / _ADDRESS_FILE).exists():
            raise
        _open_running(folder, opens=not no_browser)


def training_parameters() -> dict[str, Parameter]:
    """Return the settings of a training that the studio offers, by their names."""
    return {
        **{n: p for n, p in parameters_of(Recipe).items() if p.flag is not None},
        **{name: parameters_of(TrainingOptions)[name] for name in _OPTIONS_ON_PAGE},
    }


def _serve(settings: StudioSettings, host: str, port: int, *, opens: bool) -> None:
    app, state, links = create_studio(settings)
    listening = open_port(host, port)
    url = url_of(listening)
    address = settings.folder / _ADDRESS_FILE
    address.write_text(f"{url}\n{settings.start}", encoding="utf-8")
    state.queue.open()
    state.errands.open()

    def on_ready() -> None:
        click.echo(f"The studio keeps everything in {settings.folder} (Ctrl-C ends it)", err=True)
        _show_link(url, links, has_password=settings.password is not None, opens=opens)

    load = Load(
        max_requests=_MAX_REQUESTS,
        max_body_bytes=settings.max_upload_bytes,
        grace_seconds=_GRACE_SECONDS,
    )
    try:
        serve_until_stopped(app, listening, state=state, load=load, on_ready=on_ready)
    finally:
        with suppress(OSError):
            address.unlink()
    still = [job.name for job in state.queue.jobs() if job.is_running]
    note = f"; {still[0]} continues to train, and lorelm studio shows it again" if still else ""
    click.echo(f"lorelm: stopped{note}", err=True)


def _open_running(folder: Path, *, opens: bool) -> None:
    """Open the studio that runs already, in one more browser."""
    url, _, start = (folder / _ADDRESS_FILE).read_text(encoding="utf-8").partition("\n")
    context = click.get_current_context()
    ignored = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in _OPTIONS_OF_A_SECOND
        and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    ]
    change = f"{', '.join(ignored)} {'has' if len(ignored) == 1 else 'have'} no effect"
    advice = f": {change}. To apply new options, end it with Ctrl-C and start it again" * bool(
        ignored
    )
    click.echo(f"The studio is already running, with the options of its start{advice}.", err=True)
    links = Links(signing_key(folder / KEY_FILE), start)
    _show_link(url, links, has_password=False, opens=opens)


def _show_link(url: str, links: Links, *, has_password: bool, opens: bool) -> None:
    link = url if has_password else f"{url}enter?token={links.new_token()}"
    show_address(link, "Open", opens=opens)


def _default_folder() -> Path:
    return data_folder() / "studio"
