"""The pages of the history: a person's own, and the whole of it for who has the admin key."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Final

from flask import Blueprint, Response, redirect, render_template, request
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as BaseResponse

from lorelm.history.export import FORMATS
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
    def own() -> str:
        return _page(history.browsers.welcome(), token=history.browsers.form_token())

    @pages.get("/export.<name>")
    def export_own(name: str) -> Response:
        return _export(name, history.browsers.welcome())

    @pages.post("/delete")
    def delete() -> BaseResponse:
        browser = history.browsers.require_form_token()
        history.catch_up()
        history.store.delete(request.form.getlist("id"), browser=browser)
        return redirect("../history", code=303)

    @pages.post("/delete-all")
    def delete_all() -> BaseResponse:
        browser = history.browsers.require_form_token()
        history.catch_up()
        history.store.delete_all(browser)
        return redirect("../history", code=303)

    @pages.get("/whole")
    def whole() -> str:
        require_admin_key(settings)
        return _page(None)

    @pages.get("/whole/export.<name>")
    def export_whole(name: str) -> Response:
        require_admin_key(settings)
        return _export(name, None)

    def _page(browser: str | None, *, token: str = "") -> str:
        history.catch_up()
        search = request.args.get("q", "")
        found = history.store.find(
            browser=browser,
            search=search or None,
            before=request.args.get("before") or None,
            limit=_PAGE + 1,
        )
        return render_template(
            "history.html",
            records=found[:_PAGE],
            older=found[_PAGE - 1].id if len(found) > _PAGE else None,
            search=search,
            is_whole=browser is None,
            token=token,
        )

    def _export(name: str, browser: str | None) -> Response:
        if name not in FORMATS:
            raise NotFound(f"the history can be had as {' or '.join(FORMATS)}, not as {name}")
        history.catch_up()
        records = history.store.iterate(browser=browser, search=request.args.get("q") or None)
        chunks = (chunk.encode() for chunk in _begun(FORMATS[name](records)))
        today = datetime.now(UTC).date().isoformat()
        disposition = f'attachment; filename="lorelm-history-{today}.{name}"'
        headers = {"Content-Disposition": disposition}
        return Response(chunks, content_type=_MEDIA_TYPES[name], headers=headers)

    return pages


def _begun(chunks: Iterator[str]) -> Iterator[str]:
    """The same chunks, the first of which is there: what goes wrong at once is told as an error."""
    first = next(chunks)
    return chain([first], chunks)
