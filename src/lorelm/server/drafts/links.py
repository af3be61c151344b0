"""Links to texts: made, listed and revoked by their writers, read by anybody who has one."""

from typing import Any, Final

from flask import Blueprint, Response, jsonify, make_response, render_template
from werkzeug.exceptions import NotFound

from lorelm.history.links import Link
from lorelm.server.base_app import forbid_caching
from lorelm.server.drafts.requests import NewLinkRequest
from lorelm.server.drafts.shared_text import shown_parts
from lorelm.server.drafts.views import browser_of_request, iso_time, kept_history
from lorelm.server.generate import set_client_cookie
from lorelm.server.state import server_state

links = Blueprint("links", __name__, url_prefix="/api/links")
"""Registered with `share_links`. Each view raises a HistoryError if the database fails."""

links.after_request(set_client_cookie)
links.after_request(forbid_caching)

shared = Blueprint("shared", __name__)
"""What readers see: without a cookie, and without the API key, as the secret in the address is
one."""

_HEADERS: Final = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow"}


@links.get("")
def list_links() -> Response:
    """List the links that this browser has made, newest first; their addresses are not kept."""
    found = kept_history().links.find(browser_of_request())
    return jsonify({"links": [_json(link) for link in found]})


@links.post("")
def add_link() -> Response:
    """Make a link to a text; only this reply has its path."""
    body = NewLinkRequest.from_request()
    link, secret = kept_history().links.add(
        browser_of_request(), name=body.name, content=body.content, model=body.model
    )
    return jsonify(_json(link) | {"path": f"shared/{secret}"})


@links.delete("/<link_id>")
def revoke_link(link_id: str) -> Response:
    """Revoke a link: its address leads nowhere from now on."""
    kept_history().links.revoke(browser_of_request(), link_id)
    return jsonify({"id": link_id})


@shared.get("/shared/<secret>")
def read_shared(secret: str) -> Response:
    """Show the text of a link, read-only.

    Raises:
        NotFound: there is no such link, or no longer.
    """
    link = kept_history().links.read(secret)
    if link is None:
        raise NotFound("there is no text here: the link is incomplete, or its writer revoked it")
    # The label is what people call the model; it is empty if somebody typed the whole text.
    models = server_state().models
    writer = next((each for each in models if link.model in (each.title, each.name)), models[0])
    parts = [*shown_parts(link.content or (), writer.model.tokenizer)]
    return make_response(render_template("shared.html", link=link, parts=parts))


@shared.after_request
def keep_private(response: Response) -> Response:
    """Keep the text, and a missing one, out of caches and search engines."""
    response.headers.update(_HEADERS)
    return response


def _json(link: Link) -> dict[str, Any]:
    return {
        "id": link.id,
        "name": link.name,
        "created_at": iso_time(link.created_at),
        "model": link.model,
        "excerpt": link.excerpt,
    }
