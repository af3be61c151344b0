"""The pages: the editor, and the metrics of a model. Their links are relative, for any prefix."""

from contextlib import ExitStack

from flask import Blueprint, Response, render_template, request
from werkzeug.exceptions import NotFound

from lorelm.errors import SamplingError, UnavailableError
from lorelm.evaluation.summary import (
    copies_table,
    describe_text,
    findings,
    prediction_table,
    structure_tables,
)
from lorelm.server.base_app import allow_frames_of
from lorelm.server.errors import status_of
from lorelm.server.generate import page_client, set_client_cookie, start_generation
from lorelm.server.language import page_catalogue
from lorelm.server.pages.form import WriteForm
from lorelm.server.pages.write_page import (
    Result,
    find_record,
    form_of,
    render_regenerated,
    render_write_page,
)
from lorelm.server.state import server_state

pages = Blueprint("pages", __name__)
pages.after_request(set_client_cookie)


@pages.get("/")
def write_page() -> str:
    """Show the editor, with `from` for the prompt and the settings of a record."""
    record_id = request.args.get("from")
    if record_id is None:
        return render_write_page(form={})
    record = find_record(record_id)
    given = {"prompt": record.prompt, "tokens": []}
    note = ""
    if record.model not in [served.name for served in server_state().models]:
        note = page_catalogue().gettext(
            "%(model)s, which wrote this text, is not served now: another model will continue it.",
            model=record.model,
        )
    return render_write_page(form=form_of(record), given=given, note=note)


@pages.post("/")
def write() -> str | tuple[str, int]:
    """Generate without a script: by the form, or with `again` by a record of this browser."""
    return _write()


@pages.get("/embed")
def embedded_page() -> str:
    """Show the editor for a frame in a page of an allowed origin."""
    _allow_embedding()
    return render_write_page(form={}, is_embedded=True)


@pages.post("/embed")
def write_embedded() -> str | tuple[str, int]:
    """Generate without a script in the frame."""
    _allow_embedding()
    return _write(is_embedded=True)


@pages.get("/model")
def model_page() -> str:
    """Show the metrics of a model."""
    state = server_state()
    served = state.find_model(request.args.get("name"))
    metrics = served.manifest.metrics
    tables = []
    if metrics is not None:
        tables = [
            prediction_table(metrics),
            *structure_tables(metrics.structure),
            copies_table(metrics),
        ]
    return render_template(
        "model.html",
        served=served,
        models=state.models,
        manifest=served.manifest,
        tables=[table for table in tables if table is not None],
        findings=findings(metrics) if metrics else [],
        text=describe_text(metrics) if metrics else "",
    )


@pages.after_request
def forbid_caching(response: Response) -> Response:
    """Keep texts that the user may delete from the history out of caches."""
    if request.method == "POST" or "from" in request.args:
        response.headers["Cache-Control"] = "no-store"
    return response


def _allow_embedding() -> None:
    """Let pages of the allowed origins show this page in a frame.

    Raises:
        NotFound: there are none.
    """
    origins = server_state().settings.allow_origin
    if not origins:
        raise NotFound(
            "this page is for other sites to embed, and the server allows none: it was started "
            "without --allow-origin"
        )
    allow_frames_of(origins)


def _write(*, is_embedded: bool = False) -> str | tuple[str, int]:
    """Generate what the form asks for and render the page with it."""
    form = request.form
    try:
        if "again" in form and not is_embedded:
            return render_regenerated(find_record(form["again"]))
        results = _generate(WriteForm.from_form(form))
    except (SamplingError, UnavailableError) as error:
        page = render_write_page(form=form, error=error, is_embedded=is_embedded)
        return page, status_of(error)
    return render_write_page(form=form, results=results, is_embedded=is_embedded)


def _generate(form: WriteForm) -> list[Result]:
    """Generate what the form asks for, two models or temperatures at the same time."""
    state, client = server_state(), page_client()
    with ExitStack() as running:
        parts = []
        for body in form.requests():
            served = state.served(body.model, body.given().get("blend"))
            generated = body.generation_request(served)
            handle = start_generation(served, [generated], client)
            running.callback(handle.close)
            parts.append((served, generated, handle))
        for _, _, handle in parts:
            handle.wait()
    return [Result.of(served, generated) for served, generated, _ in parts]
