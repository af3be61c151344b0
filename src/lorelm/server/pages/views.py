"""The pages: the editor, and the metrics of a model. Their links are relative, for any prefix."""

from contextlib import ExitStack

from flask import Blueprint, Response, render_template, request

from lorelm.errors import SamplingError, UnavailableError
from lorelm.evaluation.summary import (
    copies_table,
    describe_text,
    findings,
    prediction_table,
    structure_tables,
)
from lorelm.server.errors import status_of
from lorelm.server.generate import page_client, set_client_cookie, start_generation
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
        note = f"{record.model}, which wrote this, is not served now: another model will continue."
    return render_write_page(form=form_of(record), given=given, note=note)


@pages.post("/")
def write() -> str | tuple[str, int]:
    """Generate without a script: by the form, or with `again` by a record of this browser."""
    try:
        if "again" in request.form:
            return render_regenerated(find_record(request.form["again"]))
        results = _generate(WriteForm.from_form(request.form))
    except (SamplingError, UnavailableError) as error:
        return render_write_page(form=request.form, error=error), status_of(error)
    return render_write_page(form=request.form, results=results)


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


def _generate(form: WriteForm) -> list[Result]:
    """Generate what the form asks for, two models or temperatures at the same time."""
    state, client = server_state(), page_client()
    with ExitStack() as running:
        parts = []
        for body in form.requests():
            served = state.find_model(body.model)
            generated = body.generation_request(served)
            handle = start_generation(served, [generated], client)
            running.callback(handle.close)
            parts.append((served, generated, handle))
        for _, _, handle in parts:
            handle.wait()
    return [Result.of(served, generated) for served, generated, _ in parts]
