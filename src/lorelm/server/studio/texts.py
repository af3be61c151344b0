"""The place *Texts*: files that were dropped, how they are read, and what they are worth."""

import io
import os
from dataclasses import fields
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from lorelm.corpus.documents import ReadingOptions
from lorelm.errors import InputError, LoreLMError
from lorelm.parameters import parameters_of
from lorelm.server.errors import status_of, wants_json
from lorelm.server.studio.entries import Text
from lorelm.server.studio.names import base_name, quoted_name
from lorelm.server.studio.state import StudioState, studio_state
from lorelm.server.studio.text_view import pictures_of

texts = Blueprint("texts", __name__, url_prefix="/texts")

_MAX_TITLE: Final = 200


@texts.get("")
def list_texts() -> str:
    """Show all texts, and where to drop another."""
    return _list_page()


@texts.post("")
def add_text() -> Response | tuple[str, int] | tuple[dict[str, str], int]:
    """Keep files that were dropped, or a text that was pasted."""
    try:
        name = _add_from_form()
    except LoreLMError as error:
        if wants_json():
            raise
        return _list_page(error=str(error)), status_of(error)
    if wants_json():
        return {"url": f"texts/{quoted_name(name)}"}, 201
    return redirect(f"texts/{quoted_name(name)}", code=303)


@texts.get("/<name>")
def show_text(name: str) -> str:
    """Show how a text is read, and what it is worth."""
    text = studio_state().library.text(name)
    if text.report is None and not text.error:
        studio_state().errands.inspect(name)
    return _text_page(text)


@texts.get("/<name>/report")
def show_report(name: str) -> dict[str, Any]:
    """Say whether it is known how a text is read, and how long training takes."""
    text = studio_state().library.text(name)
    report = text.report or {}
    return {"is_read": bool(report or text.error), "is_whole": bool(report.get("is_whole"))}


@texts.post("/<name>/options")
def set_options(name: str) -> Response | tuple[str, int]:
    """Read a text in another way."""
    state = studio_state()
    try:
        state.library.set_options(name, _options_from_form())
    except LoreLMError as error:
        return _text_page(state.library.text(name), problem=str(error)), 422
    state.errands.inspect(name)
    return redirect("../" + quoted_name(name), code=303)


@texts.post("/<name>/rename")
def rename_text(name: str) -> Response:
    state = studio_state()
    folder = state.library.root / "texts"
    _refuse_used(state, name)
    with state.library.lock:
        new = state.library.rename("texts", name, request.form.get("title", "")[:_MAX_TITLE])
        state.queue.follow_rename(folder / name, folder / new)
    return redirect("../" + quoted_name(new), code=303)


@texts.post("/<name>/delete")
def delete_text(name: str) -> Response:
    _refuse_used(studio_state(), name)
    studio_state().library.delete("texts", name)
    return redirect("../../texts", code=303)


def _refuse_used(state: StudioState, name: str) -> None:
    """Refuse to move a text that a run reads now, or is going to."""
    folder = f"{state.library.root / 'texts' / name}{os.sep}"
    for job in state.queue.jobs():
        if job.is_busy and any(each.startswith(folder) for each in job.arguments):
            raise InputError(
                f"{job.name} learns from this text: pause it, or take it from the queue, first",
                code="studio.text_in_use",
            )


def _list_page(error: str = "") -> str:
    state = studio_state()
    library = state.library
    return render_template(
        "studio/texts.html",
        place="texts",
        texts=[library.text(name) for name in library.names("texts")],
        deleted=[each for each in library.deleted() if each.kind == "texts"],
        max_upload_bytes=state.settings.max_upload_bytes,
        error=error,
    )


def _text_page(text: Text, problem: str = "") -> str:
    return render_template(
        "studio/text.html",
        place="texts",
        text=text,
        options=parameters_of(ReadingOptions).values(),
        pictures=pictures_of(text.report) if text.report else None,
        problem=problem,
    )


def _add_from_form() -> str:
    files = [
        (upload.filename, upload.stream)
        for upload in request.files.getlist("files")
        if upload.filename
    ]
    pasted = request.form.get("pasted", "")
    title = request.form.get("title", "").strip()[:_MAX_TITLE]
    if not files and pasted.strip():
        first = " ".join(pasted.split()[:6])
        files = [("pasted.txt", io.BytesIO(pasted.encode("utf-8", "replace")))]
        title = title or first
    if not files:
        raise InputError("no file arrived: choose one or more", code="studio.no_file")
    first_name = base_name(str(files[0][0]))
    stem = first_name.rpartition(".")[0] or first_name
    state = studio_state()
    name = state.library.add_text(title or stem, files)
    state.errands.inspect(name)
    return name


def _options_from_form() -> ReadingOptions:
    """Return the options of the form; an empty field leaves the choice to the reader."""
    form = request.form
    values: dict[str, Any] = {
        each.name: form.get(each.name) or None for each in fields(ReadingOptions)
    }
    values["anonymise"] = bool(form.get("anonymise"))
    if form.get("speaker_column") == "-":
        values["speaker_column"] = ""
    return ReadingOptions(**values)
