"""Render the page with the form and the editor."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import render_template, request
from werkzeug.exceptions import NotFound

from lorelm.errors import LoreLMError
from lorelm.history.record import Record
from lorelm.server.generate import page_client
from lorelm.server.pages.form import (
    NUM_ALTERNATIVES,
    SECOND_TEMPERATURE,
    controls,
    explained,
)
from lorelm.server.pages.results import Result, form_of, regenerate, single_text
from lorelm.server.pages.shown_words import LEVEL_BOUNDS, shown_words
from lorelm.server.request_model import MAX_TEXT_CHARACTERS
from lorelm.server.state import server_state
from lorelm.version import VERSION


def render_write_page(
    *,
    form: Mapping[str, str],
    results: Sequence[Result] | None = None,
    given: Mapping[str, Any] | None = None,
    note: str = "",
    error: LoreLMError | None = None,
) -> str:
    """Render the page.

    Args:
        form: the values of the form; defaults for missing ones.
        results: texts to show below the form.
        given: the text that the script shows in the editor; by default a single result.
        note: the status line.
        error: shown in place of a result.
    """
    state = server_state()
    if state.history is not None and request.method == "GET":
        state.history.browser_ids.ensure_id()  # so that the first text already has an owner
    form_controls = controls(state.settings.limits)
    labels = {each.name: each.label for each in (*form_controls, SECOND_TEMPERATURE)}
    labels["prompt"] = "Your text"
    by_name = {model.name: model for model in state.models}
    return render_template(
        "write.html",
        models=state.models,
        chosen=by_name.get(form.get("model", ""), state.models.default),
        notices=[*state.settings.notices, *state.models.notices],
        controls=form_controls,
        can_forbid_copies=any(served.model.can_forbid_copies for served in state.models),
        second_temperature=SECOND_TEMPERATURE,
        prompt_limit=MAX_TEXT_CHARACTERS,
        level_bounds=LEVEL_BOUNDS,
        shown_words=shown_words,
        history=state.history,
        form=form,
        results=results,
        page_data=page_data(given or single_text(results)),
        note=note,
        error=explained(error, labels) if error else "",
    )


def page_data(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the values that the script of the page reads, see ``PageData`` in static/types.d.ts.

    Args:
        given: the text that the script shows in the editor.
    """
    return {
        "num_alternatives": NUM_ALTERNATIVES,
        "max_prompt_length": MAX_TEXT_CHARACTERS,
        "level_bounds": LEVEL_BOUNDS,
        "given": given,
    }


def render_regenerated(record: Record) -> str:
    """Generate the text of a record again, and render the page with it.

    Raises:
        SamplingError: the model that generated it is not served.
    """
    result = regenerate(record)
    if result.reply.text == record.text:
        note = "Generated again: the same text."
    elif record.version == VERSION:
        note = "Generated again, with a different text."
    else:
        note = (
            f"Generated again, with a different text: version {record.version} of LoreLM wrote it."
        )
    return render_write_page(form=form_of(record), results=[result], note=note)


def find_record(record_id: str, *, of_any: bool = False) -> Record:
    """Return a record of this browser, with `of_any` also of other clients.

    Raises:
        NotFound: it has no such record.
        HistoryError: the database fails.
    """
    history, browser = server_state().history, page_client().browser
    record = None
    if history is not None and (of_any or browser is not None):
        record = history.store.get(record_id, None if of_any else browser)
    if record is None:
        where = "the" if of_any else "this browser's"
        raise NotFound(f"there is no such text in {where} history")
    return record
