"""The pages of the history: a person's own, and the whole of it for who has the admin key."""

from collections.abc import Iterator, Mapping
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
from lorelm.server.history.log import HistoryLog
from lorelm.server.operations.access import require_admin_key
from lorelm.server.settings import ServerSettings

_PAGE: Final = 20

_MEDIA_TYPES: Final = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


def make_history_pages(history: HistoryLog, settings: ServerSettings) -> Blueprint:
    """The views below ``/history``. A browser sees and deletes its own records only.

    Each of them raises a :class:`HistoryError` where the database fails.
    """
    pages = Blueprint("history", __name__, url_prefix="/history")
    pages.after_request(history.browsers.remember)

    @pages.after_request
    def keep_out_of_caches(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        return response

    @pages.get("")
    def own() -> str | BaseResponse:
        return _page(history, history.browsers.welcome(), token=history.browsers.form_token())

    @pages.get("/export.<name>")
    def export_own(name: str) -> Response:
        return _export(history, name, history.browsers.welcome())

    @pages.post("/delete")
    def delete() -> BaseResponse:
        browser = history.browsers.require_form_token()
        _catch_up(history, to_be="deleted")
        history.store.delete(request.form.getlist("id"), browser=browser)
        return _back()

    @pages.post("/delete-all")
    def delete_all() -> BaseResponse:
        browser = history.browsers.require_form_token()
        _catch_up(history, to_be="deleted")
        history.store.delete_all(browser)
        return redirect("../history", code=303)

    @pages.get("/whole")
    def whole() -> str | BaseResponse:
        require_admin_key(settings)
        return _page(history, None)

    @pages.get("/whole/export.<name>")
    def export_whole(name: str) -> Response:
        require_admin_key(settings)
        return _export(history, name, None)

    return pages


def _catch_up(history: HistoryLog, *, to_be: str) -> None:
    """Waits for the newest texts: an export would lack them, and a deletion miss them."""
    if not history.catch_up():
        raise ServiceUnavailable(
            f"nothing was {to_be}: the newest texts are still to be written, which takes long; "
            "try again in a moment"
        )


def _page(history: HistoryLog, browser: str | None, *, token: str = "") -> str | BaseResponse:
    is_complete = history.catch_up()
    found = _found(history, browser)
    if not found and request.args.get("before"):  # the last of the oldest was deleted
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


def _export(history: HistoryLog, name: str, browser: str | None) -> Response:
    if name not in FORMATS:
        raise NotFound(f"the history can be had as {' or '.join(FORMATS)}, not as {name}")
    _catch_up(history, to_be="exported")
    records = history.store.iterate(browser=browser, search=request.args.get("q") or None)
    chunks = (chunk.encode() for chunk in _begun(FORMATS[name](records)))
    today = datetime.now(UTC).date().isoformat()
    disposition = f'attachment; filename="lorelm-history-{today}.{name}"'
    headers = {"Content-Disposition": disposition}
    return Response(chunks, content_type=_MEDIA_TYPES[name], headers=headers)


def _found(history: HistoryLog, browser: str | None) -> list[Record]:
    """The records of the page that is asked for, and one more if there are more.

    Raises:
        NotFound: it is to begin at a record that never was.
        HistoryError: the database fails.
    """
    try:
        return history.store.find(
            browser=browser,
            search=request.args.get("q") or None,
            before=request.args.get("before") or None,
            limit=_PAGE + 1,
        )
    except InputError as error:
        raise NotFound(f"{error}: begin with the newest") from error


def _back() -> BaseResponse:
    """To where a record was deleted."""
    return redirect(_address("../history", request.form, "q", "before"), code=303)


def _address(page: str, fields: Mapping[str, str], *names: str) -> str:
    """The address of a page, with those of the named fields that are filled in."""
    given = {name: fields[name] for name in names if fields.get(name)}
    return f"{page}?{urlencode(given)}" if given else page


def _begun(chunks: Iterator[str]) -> Iterator[str]:
    """The same chunks, the first of which is there: what goes wrong at once is told as an error."""
    first = next(chunks)
    return chain([first], chunks)
