"""The application factory of the studio: :func:`create_studio`."""

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from flask import Blueprint, Flask, make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from lorelm.bundle.files import find_manifest
from lorelm.bundle.layout import EMBEDDED_NAME
from lorelm.corpus.documents import ReadingOptions
from lorelm.parameters import parameters_of
from lorelm.runs.process import CommandRunner
from lorelm.runs.queue import RunQueue
from lorelm.server.base_app import base_app
from lorelm.server.language import page_catalogue
from lorelm.server.studio.access import Guard, Links, signing_key
from lorelm.server.studio.entries import Deleted
from lorelm.server.studio.errands import Errands
from lorelm.server.studio.fields import field_label, in_fields
from lorelm.server.studio.library import Library
from lorelm.server.studio.models import models
from lorelm.server.studio.names import quoted_name
from lorelm.server.studio.run_view import view_of
from lorelm.server.studio.settings import StudioSettings
from lorelm.server.studio.state import StudioState, studio_state
from lorelm.server.studio.texts import texts
from lorelm.server.studio.training import training
from lorelm.server.studio.writing import Mount, WritingPages, is_shared_text
from lorelm.translations.message_catalogue import by_language

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_log: Final = logging.getLogger(__name__)

KEY_FILE: Final = "studio.key"


def _shown_size(num_bytes: int) -> str:
    texts = page_catalogue()
    if num_bytes < 1e6:
        return texts.gettext("%(kilobytes)s kB", kilobytes=texts.number(num_bytes / 1e3))
    return texts.gettext("%(megabytes)s MB", megabytes=texts.number(num_bytes / 1e6, 1))


_FILTERS: Final[dict[str, Callable[..., str]]] = {
    "field_label": field_label,
    "name": quoted_name,
    "capitalize_first": lambda text: text[:1].upper() + text[1:],
    "size": by_language(_shown_size),
    "training_time": lambda text: text.partition(" for ")[0],
}

studio = Blueprint("studio", __name__)


@studio.get("/")
def home() -> Response:
    return redirect("texts", code=303)


@studio.get("/write")
def write() -> str:
    """Show the models to write with."""
    library = studio_state().library
    names = [n for n in library.names("models") if find_manifest(library.root / "models" / n)]
    return render_template("studio/write.html", place="write", names=[*names, EMBEDDED_NAME])


@studio.post("/deleted/<stamp>")
def bring_back(stamp: str) -> Response:
    """Undo a deletion."""
    state = studio_state()
    with state.library.lock:
        each = state.library.bring_back(stamp)
        _follow(state, each)
    is_model = view_of(state, each.name).state == "finished"
    if each.kind == "models" and not is_model:
        return redirect(f"../train/{quoted_name(each.name)}", code=303)
    return redirect(f"../{each.kind}", code=303)


def _follow(state: StudioState, each: Deleted) -> None:
    """Let what was asked of runs before a deletion name what came back by its new name."""
    kinds: tuple[str, ...] = ("models", "runs")
    queues = [state.queue]
    if each.kind == "texts":  # runs that are still deleted have learned from it, too
        kinds = ("texts",)
        queues += map(RunQueue, (state.library.root / "deleted").glob("*-models"))
    for folder in (state.library.root / kind for kind in kinds):
        old, new = folder / each.deleted_name, folder / each.name
        for queue in queues:
            queue.follow_rename(old, new, queued_before=each.deleted_at)


@studio.after_app_request
def forbid_caching(response: Response) -> Response:
    """Keep what users may change or delete out of caches."""
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _folder_error(error: OSError) -> tuple[str, int]:
    """Explain that the disk is full, or that somebody has moved a folder meanwhile."""
    _log.warning("%s", error)
    message = f"the studio's folder could not be read or written ({error.strerror or error})."
    heading = page_catalogue().gettext("The studio’s folder is not usable")
    page = render_template("error.html", name=heading, message=message)
    return page, 409


def _explain(app: Flask, environ: "WSGIEnvironment", message: str, asks_password: bool) -> Response:
    """Return the page of a request without access."""
    with app.request_context(environ):
        page = render_template("studio/closed.html", message=message, asks_password=asks_password)
        return app.process_response(make_response(page))


def create_studio(settings: StudioSettings) -> tuple[Flask, StudioState, Links]:
    """Create the application of the studio, what it works with, and the links that open it.

    The queue and the errands are to be opened and closed by the caller.

    Raises:
        InputError: the folder cannot be written.
    """
    library = Library(settings.folder)
    library.open()
    commands = CommandRunner()
    state = StudioState(
        settings=settings,
        library=library,
        queue=RunQueue(library.runs_dir),
        commands=commands,
        errands=Errands(library, commands),
        writing=WritingPages(library, settings),
    )
    app = base_app()
    app.config["MAX_CONTENT_LENGTH"] = settings.max_upload_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = settings.max_upload_bytes  # of a pasted text
    app.config["MAX_FORM_PARTS"] = 2_000
    app.register_error_handler(OSError, _folder_error)
    app.extensions["lorelm.studio"] = state
    for blueprint in (studio, texts, training, models):
        app.register_blueprint(blueprint)
    shown = {**parameters_of(ReadingOptions), **settings.training_parameters}
    app.jinja_env.filters |= _FILTERS | {
        "in_fields": by_language(
            lambda message: in_fields(
                message, shown.values(), none=page_catalogue().gettext("“none”")
            )
        )
    }
    key = signing_key(settings.folder / KEY_FILE)
    links = Links(key, settings.start)

    app.wsgi_app = Guard(  # type: ignore[method-assign]
        Mount(app, app.wsgi_app, state.writing),
        links=links,
        key=key,
        password=settings.password,
        is_open=is_shared_text if settings.share_links else lambda _: False,
        explain=partial(_explain, app),
    )
    return app, state, links
