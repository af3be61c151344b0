"""The pages of the history: one browser's own, and with the admin key the whole."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Final
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, render_template, request
from werkzeug.exceptions import NotFound, ServiceUnavailable
from werkzeug.wrappers import Response as BaseResponse

from lorelm.errors import InputError
from lorelm.history.export import FORMATS
from lorelm.history.record import Record
from lorelm.server.base_app import forbid_caching
from lorelm.server.generate import set_client_cookie
from lorelm.server.history.log import HistoryLog
from lorelm.server.operations.access import require_admin_key
from lorelm.server.pages.write_page import find_record, render_regenerated
from lorelm.server.state import server_state

_PAGE: Final = 20

_MEDIA_TYPES: Final = {"json": "application/json", "csv": "text/csv; charset=utf-8"}

history_pages = Blueprint("history", __name__, url_prefix="/history")
"""Registered where a history is kept. Each view raises a HistoryError if the database fails."""

history_pages.after_request(set_client_cookie)

history_pages.after_request(forbid_caching)


@history_pages.get("")
def own() -> str | BaseResponse:
    """Show the texts of this browser."""
    ids = _history().browser_ids
    return _page(ids.ensure_id(), token=ids.form_token())


@history_pages.get("/export.<name>")
def export_own(name: str) -> Response:
    """Return the texts of this browser as a file."""
    return _export(name, _history().browser_ids.ensure_id())


@history_pages.post("/delete")
def delete() -> BaseResponse:
    """Delete texts of this browser by their ids."""
    history = _history()
    browser = history.browser_ids.require_form_token()
    _require_flushed(action="deleted")
    history.store.delete(request.form.getlist("id"), browser=browser)
    return redirect(_address("../history", request.form, "q", "before"), code=303)


@history_pages.post("/delete-all")
def delete_all() -> BaseResponse:
    """Delete all texts of this browser."""
    history = _history()
    browser = history.browser_ids.require_form_token()
    _require_flushed(action="deleted")
    history.store.delete_all(browser)
    return redirect("../history", code=303)


@history_pages.get("/whole")
def whole() -> str | BaseResponse:
    """Show the texts of all clients."""
    require_admin_key()
    return _page(None)


@history_pages.get("/whole/export.<name>")
def export_whole(name: str) -> Response:
    """Return the texts of all clients as a file."""
    require_admin_key()
    return _export(name, None)


@history_pages.post("/whole/again")
def regenerate() -> str:
    """Generate a text of any client again."""
    require_admin_key()
    return render_regenerated(find_record(request.form.get("again", ""), of_any=True))


def _history() -> HistoryLog:
    history = server_state().history
    assert history is not None
    return history


def _require_flushed(*, action: str) -> None:
    """Wait for queued texts: an export would lack them, and a deletion would miss them."""
    if not _history().flush():
        raise ServiceUnavailable(
            f"nothing was {action}: the newest texts are not written yet, as the database is slow; "
            "try again in a moment"
        )


def _page(browser: str | None, *, token: str = "") -> str | BaseResponse:
    """Show a page of the texts of a browser, of all clients with None."""
    is_complete = _history().flush()
    found = _find(browser)
    if not found and request.args.get("before"):  # the last text of the last page was deleted
        here = request.path.rpartition("/")[2]
        return redirect(_address(here, request.args, "q"), code=303)
    return render_template(
        "history.html",
        records=found[:_PAGE],
        older=found[_PAGE - 1].id if len(found) > _PAGE else None,
        search=request.args.get("q", ""),
        before=request.args.get("before", ""),
        is_whole=browser is None,
        is_complete=is_complete,
        token=token,
    )


def _find(browser: str | None) -> list[Record]:
    """Return the records of the requested page, and one more if there is another page.

    Raises:
        NotFound: the page begins at an unknown record.
    """
    try:
        return _history().store.find(
            browser=browser,
            search=request.args.get("q") or None,
            before=request.args.get("before") or None,
            limit=_PAGE + 1,
        )
    except InputError as error:
        raise NotFound(f"{error}: begin with the newest") from error


def _export(name: str, browser: str | None) -> Response:
    if name not in FORMATS:
        raise NotFound(f"the history can be exported as {' or '.join(FORMATS)}, not as {name}")
    _require_flushed(action="exported")
    records = _history().store.iterate(browser=browser, search=request.args.get("q") or None)
    texts = FORMATS[name](records)
    first = next(texts)  # now, so that a failure becomes an error response
    chunks = (text.encode() for text in chain([first], texts))
    today = datetime.now(UTC).date().isoformat()
    disposition = f'attachment; filename="lorelm-history-{today}.{name}"'
    headers = {"Content-Disposition": disposition}
    return Response(chunks, content_type=_MEDIA_TYPES[name], headers=headers)


def _address(page: str, fields: Mapping[str, str], *names: str) -> str:
    """Return the address of a page with those of the named fields that are not empty."""
    given = {name: fields[name] for name in names if fields.get(name)}
    return f"{page}?{urlencode(given)}" if given else page
