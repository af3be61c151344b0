"""Requests from pages of other origins that the server allows: CORS, without credentials.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

import re
from typing import Final

from flask import Response, g, request

from lorelm.server.generate import PAGE_HEADER
from lorelm.server.request_ids import HEADER as REQUEST_ID_HEADER
from lorelm.server.state import server_state

_BLUEPRINTS: Final = ("api", "openai", "tokenizing")
"""What is open to allowed origins. Pages, history and drafts belong to a browser, and are not."""

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_PREFLIGHT_SECONDS: Final = 600
"""Browsers may keep the answer to a preflight so long."""


def is_from_allowed_origin() -> bool:
    """Return whether a page of an allowed origin sends this request, to an address open to it."""
    # Our own page sends its header, which a preflight grants to no other page.
    return (
        request.blueprint in _BLUEPRINTS
        and request.headers.get("Origin") in server_state().settings.allow_origin
        and PAGE_HEADER not in request.headers
    )


def receive_cross_origin() -> Response | None:
    """Answer preflights, which have neither key nor cookie, and take no cookie from other origins.

    A page of the same site on another port could make the browser send it.
    """
    if not is_from_allowed_origin():
        return None
    g.browser = None
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
        return None
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = "GET, POST"
    response.headers["Access-Control-Allow-Headers"] = ", ".join(_allowed_headers())
    response.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_SECONDS)
    return response


def add_cross_origin_headers(response: Response) -> Response:
    """Let the page of an allowed origin read a response of the API."""
    if request.blueprint not in _BLUEPRINTS:
        return response
    response.vary.add("Origin")  # a cache must not give it to another origin
    if is_from_allowed_origin():
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        response.headers["Access-Control-Expose-Headers"] = f"Retry-After, {REQUEST_ID_HEADER}"
    return response


def _allowed_headers() -> list[str]:
    """Return the requested headers without that of our page; clients of OpenAI send many."""
    wanted = _HEADER_NAME.findall(request.headers.get("Access-Control-Request-Headers", ""))
    return [name for name in wanted if name.lower() != PAGE_HEADER.lower()]
