"""The place *Train*: runs in a queue, how they are doing, and what to do with them."""

import os
from collections.abc import Callable, Mapping
from itertools import takewhile
from pathlib import PurePath
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from lorelm.errors import InputError
from lorelm.machine.renaming import rename
from lorelm.runs.removal import owned_files
from lorelm.server.events import EventStream, event
from lorelm.server.language import page_catalogue
from lorelm.server.studio.names import is_folder_name, quoted_name
from lorelm.server.studio.run_view import (
    RunView,
    found_by_search,
    run_events,
    run_views,
    view_of,
)
from lorelm.server.studio.state import StudioState, studio_state
from lorelm.server.studio.training_form import (
    LENGTHS,
    OWN_TIME,
    minutes_of,
    training_arguments,
    tuning_arguments,
)
from lorelm.server.watch import parts

training = Blueprint("training", __name__, url_prefix="/train")

_MAX_EPOCHS: Final = 1_000_000


@training.get("")
def show_queue() -> str:
    """Show what trains and waits, and the form of another run."""
    return _queue_page(request.args)


@training.post("")
def add_run() -> Response | tuple[str, int]:
    """Put a run into the queue."""
    state = studio_state()
    with state.library.lock:
        return _add_run(state)


def _add_run(state: StudioState) -> Response | tuple[str, int]:
    text = state.library.text(request.form.get("text", ""))
    name = state.library.free_name("models", request.form.get("title", "").strip() or text.name)
    out = state.library.root / "models" / name
    parameters = state.settings.training_parameters
    try:
        if not state.settings.can_train:
            raise InputError(
                'training needs PyTorch: pip install "lorelm[train]"', code="studio.no_torch"
            )
        if request.form.get("tune"):
            tuning = state.library.runs_dir / name / "tuning"
            arguments = tuning_arguments(text, tuning, request.form, parameters)
        else:
            arguments = training_arguments(text, out, request.form, parameters)
            arguments += ["--events", str(state.queue.events(name))]
    except InputError as error:
        return _queue_page(request.form, error=str(error)), 422
    state.queue.add(name, arguments)
    return redirect(f"train/{quoted_name(name)}", code=303)


@training.get("/<name>")
def show_run(name: str) -> str:
    """Show how a run is doing; a script fills the page in."""
    state = studio_state()
    view = _find(state, name)
    path = state.library.root / "models" / name
    return render_template(
        "studio/run.html",
        place="train",
        view=view,
        can_take=bool(owned_files(found_by_search(state, view.name))),
        log=state.queue.log(name) if view.is_tuning or view.state == "failed" else "",
        **parts.about(_source(view), path, is_live=view.has_events),
    )


def _source(view: RunView) -> str:
    """Return the name of what a run learns from; until it says so, its job knows."""
    names = [PurePath(each).name for each in _files_begun_with(view)]
    return view.run.source or next(iter(names), view.name)


@training.get("/<name>/events")
def stream_events(name: str) -> EventStream:
    """Stream what is known of a run, then what changes, until its state changes."""
    state = studio_state()
    shown = request.args.get("state", _find(state, name).state)
    changes = (event(each) for each in run_events(state, name, shown, page_catalogue()))
    return EventStream(changes, error_event=lambda _: "", on_close=lambda: None)


@training.post("/<name>/<action>")
def act(name: str, action: str) -> Response | tuple[str, int]:
    """Pause, go on with, finish, extend, begin again or forget a run."""
    state = studio_state()
    view = _find(state, name)
    if action not in _ACTIONS:
        raise NotFound(f"there is nothing called {action!r} to do with a run")
    try:
        place = _ACTIONS[action](state, view)
    except InputError as error:
        heading = page_catalogue().gettext("This does not work")
        return render_template("error.html", name=heading, message=f"{error}."), 422
    return redirect(place, code=303)


def _pause(state: StudioState, view: RunView) -> str:
    state.queue.stop(view.name)
    return f"../{quoted_name(view.name)}"


def _go_on(state: StudioState, view: RunView) -> str:
    if view.is_tuning and view.job is not None:
        state.queue.add(view.name, view.job.begun_with)
    else:
        state.queue.add(view.name, _continuing(state, view, "--resume"))
    return f"../{quoted_name(view.name)}"


def _finish(state: StudioState, view: RunView) -> str:
    arguments = _continuing(state, view, "--finish")
    if view.state == "running":
        state.queue.stop(view.name, then=arguments)
    else:
        state.queue.add(view.name, arguments)
    return f"../{quoted_name(view.name)}"


def _extend(state: StudioState, view: RunView) -> str:
    """Train a finished model further, for a time or to a number of epochs in all."""
    flags = []
    if request.form.get("epochs", "").strip():
        epochs = request.form["epochs"].strip()
        if not epochs.isdecimal() or not 0 < int(epochs) <= _MAX_EPOCHS:
            raise InputError("epochs must be a whole number", code="studio.training_form")
        flags = ["--epochs", epochs]
    else:
        minutes = minutes_of({"length": OWN_TIME, "minutes": request.form.get("minutes", "")})
        flags = [f"--time-budget={60 * (minutes or 0):g}s"]
    state.queue.add(view.name, [*_continuing(state, view, "--resume"), *flags])
    return f"../{quoted_name(view.name)}"


def _again(state: StudioState, view: RunView) -> str:
    if view.job is None:
        raise InputError("how this run was begun is not known", code="studio.unknown_run")
    state.queue.events(view.name).unlink(missing_ok=True)
    state.queue.add(view.name, view.job.begun_with)
    return f"../{quoted_name(view.name)}"


def _take(state: StudioState, view: RunView) -> str:
    """Move the best model of a search to the models."""
    found = found_by_search(state, view.name)
    if not owned_files(found):
        raise InputError("the search has not found a model yet", code="studio.no_model")
    rename(found, state.library.root / "models" / view.name)
    return "../../models"


def _forget(state: StudioState, view: RunView) -> str:
    """Take a run that came to nothing from the list; what it has left can be brought back."""
    if view.is_active:
        raise InputError("this run goes on: pause it first", code="studio.running")
    state.library.forget_run(view.name)
    return "../../train"


_ACTIONS: Final[Mapping[str, Callable[[StudioState, RunView], str]]] = {
    "pause": _pause,
    "go-on": _go_on,
    "finish": _finish,
    "extend": _extend,
    "again": _again,
    "take": _take,
    "forget": _forget,
}


def _find(state: StudioState, name: str) -> RunView:
    view = view_of(state, name) if is_folder_name(name) else None
    if view is None or (view.job is None and view.run.state == "gone"):
        raise NotFound(f"there is no run called {name[:80]!r} in the studio")
    return view


def _continuing(state: StudioState, view: RunView, flag: str) -> list[str]:
    """Return the arguments that go on with a run, on the files that it was begun with."""
    path = state.library.root / "models" / view.name
    files = _files_begun_with(view)
    if not files or not all(map(os.path.isfile, files)):
        manifest = view.run.manifest
        corpus = state.library.find_corpus(manifest) if manifest else None
        files = [str(each) for each in corpus.files] if corpus else []
    events = str(state.queue.events(view.name))
    return ["train", *files, flag, str(path), "--events", events]


def _files_begun_with(view: RunView) -> list[str]:
    begun_with = view.job.begun_with if view.job else ()
    return list(takewhile(lambda each: not each.startswith("--"), begun_with[1:]))


def _queue_page(form: Mapping[str, Any], error: str = "") -> str:
    state = studio_state()
    texts = [name for name in state.library.names("texts") if not state.library.text(name).error]
    chosen = form.get("text") if form.get("text") in texts else next(iter(texts), "")
    report = state.library.text(str(chosen)).report if chosen else None
    return render_template(
        "studio/train.html",
        place="train",
        runs=run_views(state),
        texts=texts,
        chosen=chosen,
        report=report,
        lengths=LENGTHS,
        parameters=state.settings.training_parameters.values(),
        deleted=[each for each in state.library.deleted() if each.kind == "models"],
        can_train=state.settings.can_train,
        form=form,
        error=error,
    )
