"""The drafts of a browser, as JSON: list, keep, open, save, rename, star, delete."""

from datetime import UTC, datetime
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import Forbidden

from lorelm.history.drafts import Draft, place_of
from lorelm.server.base_app import forbid_caching
from lorelm.server.drafts.requests import ChangeDraftRequest, NewDraftRequest, SaveDraftRequest
from lorelm.server.generate import PAGE_HEADER, set_client_cookie
from lorelm.server.history.log import HistoryLog
from lorelm.server.state import server_state

_PAGE: Final = 20

drafts = Blueprint("drafts", __name__, url_prefix="/api/drafts")
"""Registered where a history is kept. Each view raises a HistoryError if the database fails."""

drafts.after_request(set_client_cookie)

drafts.after_request(forbid_caching)


@drafts.get("")
def list_drafts() -> Response:
    """List the drafts of this browser, starred and recent ones first: 20 at a time."""
    found = kept_history().drafts.find(
        browser_of_request(),
        search=request.args.get("q", ""),
        after=request.args.get("after") or None,
        limit=_PAGE + 1,
    )
    following = place_of(found[_PAGE - 1]) if len(found) > _PAGE else None
    return jsonify({"drafts": [_json(draft) for draft in found[:_PAGE]], "next": following})


@drafts.post("")
def add_draft() -> Response:
    """Keep a text as a new draft."""
    body = NewDraftRequest.from_request()
    added = kept_history().drafts.add(
        browser_of_request(),
        name=body.name,
        content=body.content,
        model=body.model,
        is_starred=body.starred,
    )
    return jsonify(_json(added))


@drafts.get("/<draft_id>")
def open_draft(draft_id: str) -> Response:
    """Read a draft with its text."""
    return jsonify(_json(kept_history().drafts.get(browser_of_request(), draft_id)))


@drafts.put("/<draft_id>")
def save_draft(draft_id: str) -> Response:
    """Replace a version of the text of a draft."""
    body = SaveDraftRequest.from_request()
    saved = kept_history().drafts.save(
        browser_of_request(), draft_id, version=body.version, content=body.content, model=body.model
    )
    return jsonify(_json(saved) | {"content": None})


@drafts.patch("/<draft_id>")
def change_draft(draft_id: str) -> Response:
    """Rename a draft, or give or take its star."""
    body = ChangeDraftRequest.from_request()
    changed = kept_history().drafts.change(
        browser_of_request(), draft_id, name=body.name, is_starred=body.starred
    )
    return jsonify(_json(changed))


@drafts.delete("/<draft_id>")
def delete_draft(draft_id: str) -> Response:
    """Delete a draft; the reply has its text, from which it can be made again."""
    return jsonify(_json(kept_history().drafts.delete(browser_of_request(), draft_id)))


def kept_history() -> HistoryLog:
    """Return the history, which a server with drafts has."""
    history = server_state().history
    assert history is not None
    return history


def browser_of_request() -> str:
    """Return the id of the browser whose drafts and links the request is about.

    Raises:
        Forbidden: the request has no cookie, and is not from our page, which may get one.
    """
    ids = kept_history().browser_ids
    browser = ids.ensure_id() if PAGE_HEADER in request.headers else ids.current()
    if browser is None:
        raise Forbidden(
            "drafts and links belong to a browser: send its cookie, or the header "
            f"{PAGE_HEADER}: 1 to get one"
        )
    return browser


def iso_time(moment: datetime) -> str:
    """Return a time in UTC (ISO 8601)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _json(draft: Draft) -> dict[str, Any]:
    return {
        "id": draft.id,
        "name": draft.name,
        "starred": draft.is_starred,
        "version": draft.version,
        "created_at": iso_time(draft.created_at),
        "changed_at": iso_time(draft.changed_at),
        "model": draft.model,
        "excerpt": draft.excerpt,
        "content": draft.content,
    }
