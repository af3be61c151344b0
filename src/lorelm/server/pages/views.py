"""The web page: a text that the model goes on with, and what the model is worth."""

from contextlib import ExitStack

from flask import Blueprint, Response, render_template, request

from lorelm.bundle.manifest import Figures
from lorelm.errors import SamplingError, UnavailableError
from lorelm.evaluation.tables import FiguresTable, copies_table, describe_text, foretelling_table
from lorelm.evaluation.verdicts import verdicts
from lorelm.history.record import Record
from lorelm.server.api.views import client_is_gone
from lorelm.server.errors import status_of
from lorelm.server.history.log import Asker, HistoryLog
from lorelm.server.operations.access import require_admin_key
from lorelm.server.pages.form import WriteForm
from lorelm.server.pages.from_history import form_of, write_again
from lorelm.server.pages.write_page import WritePage
from lorelm.server.pages.written import Written
from lorelm.server.served_models import ServedModels
from lorelm.server.settings import ServerSettings


def make_pages(
    models: ServedModels, settings: ServerSettings, history: HistoryLog | None
) -> Blueprint:
    """The views that people see. Every URL in them is relative, so any path prefix works.

    The page does its work by the API where scripts run; the form is for where they do not.
    """
    pages = Blueprint("pages", __name__)
    page = WritePage(models, settings, history)

    @pages.get("/")
    def write_page() -> str:
        record_id = request.args.get("from")
        if record_id is None:
            return page.render(form={})
        record = page.record(record_id)
        given = {"prompt": record.prompt, "tokens": []}
        return page.render(form=form_of(record), given=given, note=_note_on_model(record, models))

    @pages.post("/")
    def write() -> str | tuple[str, int]:
        try:
            if "again" in request.form:
                return _again(page.record(request.form["again"]))
            written = _write(
                models, WriteForm.from_form(request.form, settings.limits), page.asker()
            )
        except (SamplingError, UnavailableError) as error:
            return page.render(form=request.form, error=error), status_of(error)
        return page.render(form=request.form, written=written)

    def _again(record: Record) -> str:
        written, note = write_again(record, models, page.asker())
        return page.render(form=form_of(record), written=written, note=note)

    def write_any_again() -> str:
        require_admin_key(settings)
        return _again(page.record(request.form.get("again", ""), of_whole=True))

    pages.after_request(_keep_out_of_caches)
    if history is not None:
        pages.after_request(history.browsers.remember)
        pages.post("/history/whole/again")(write_any_again)

    @pages.get("/model")
    def model_page() -> str:
        return _model_page(models)

    return pages


def _write(models: ServedModels, form: WriteForm, asker: Asker) -> list[Written]:
    """Has everything written that the form asks for, at the same time."""
    with ExitStack() as begun:
        parts = []
        for asked in form.requests():
            served = models.find(asked.model)
            task = asked.task(served)
            generation = served.begin([task], asker, is_abandoned=client_is_gone())
            begun.callback(generation.close)
            parts.append((served, task, generation))
        for _, _, generation in parts:
            generation.wait()
    return [Written.of(served, task) for served, task, _ in parts]


def _keep_out_of_caches(response: Response) -> Response:
    """What the history has of a person is to be gone from the browser too when it is deleted."""
    if request.method == "POST" or "from" in request.args:
        response.headers["Cache-Control"] = "no-store"
    return response


def _note_on_model(record: Record, models: ServedModels) -> str:
    if record.model in [served.name for served in models]:
        return ""
    return f"{record.model}, which wrote this, is not served now: another model goes on."


def _model_page(models: ServedModels) -> str:
    """What the model is worth of which the query gives the name."""
    served = models.find(request.args.get("name"))
    figures = served.manifest.figures
    return render_template(
        "model.html",
        served=served,
        models=models,
        manifest=served.manifest,
        tables=_tables(figures),
        verdicts=verdicts(figures) if figures else [],
        text=describe_text(figures) if figures else "",
    )


def _tables(figures: Figures | None) -> list[FiguresTable]:
    if figures is None:
        return []
    tables = (foretelling_table(figures), copies_table(figures))
    return [table for table in tables if table is not None]
