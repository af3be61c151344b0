"""What the applications of this package share: templates, static files, security headers."""

import logging
import mimetypes
from collections.abc import Iterable
from typing import Any, Final

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from lorelm.errors import LoreLMError
from lorelm.server.errors import error_response
from lorelm.server.language import use_languages
from lorelm.server.request_ids import add_request_id, request_id

_log: Final = logging.getLogger(__name__)

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)

_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
"""Types of static files, by their endings. Python asks the registry of Windows, where programs have
often made scripts text/plain, which browsers do not run."""

_SECURITY_HEADERS: Final = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class _App(Flask):
    """An application whose log names the request that an exception ended."""

    def log_exception(self, exc_info: Any) -> None:
        # The pattern of the address: that of a shared text is a secret, which a log must not hold.
        address = request.url_rule.rule if request.url_rule else "other"
        _log.error(
            "request %s failed: %s %s", request_id(), request.method, address, exc_info=exc_info
        )


def base_app() -> Flask:
    """Return an application without views."""
    for ending, type_ in _TYPES.items():
        mimetypes.add_type(type_, ending)
    app = _App("lorelm.server")
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.after_request(_add_security_headers)
    use_languages(app)
    app.after_request(add_request_id)
    app.register_error_handler(HTTPException, error_response)
    app.register_error_handler(LoreLMError, error_response)
    return app


def allow_frames_of(origins: Iterable[str]) -> None:
    """Let pages of these origins show the response to the current request in a frame."""
    g.frame_ancestors = origins


def forbid_caching(response: Response) -> Response:
    """Keep texts that the user may delete out of caches; for `after_request` of a blueprint."""
    response.headers["Cache-Control"] = "no-store"
    return response


def _add_security_headers(response: Response) -> Response:
    response.headers.update(_SECURITY_HEADERS)
    policy = " ".join([_POLICY, *g.get("frame_ancestors", ())])
    response.headers["Content-Security-Policy"] = policy
    return response
