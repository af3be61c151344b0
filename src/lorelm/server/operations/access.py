"""API keys, quotas, and requests from pages of other sites."""

from typing import Final

from flask import Response, g, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from lorelm.server.keys.current import current_holder, given_key
from lorelm.server.keys.key_ring import Holder
from lorelm.server.operations.cross_origin import is_from_allowed_origin
from lorelm.server.state import server_state

OPEN_ENDPOINTS: Final = (
    *("operations.healthz", "operations.readyz", "static"),
    "shared.read_shared",  # the secret in its address is a key
)
"""These need no key and do not count towards the rate limit."""

_UNCOUNTED_ENDPOINTS: Final = (
    *("api.check", "history.delete", "history.delete_all"),
    *("tokenizing.tokenize", "tokenizing.detokenize"),
)
"""POST requests that cost the model nothing."""


def require_api_key() -> None:
    """Reject requests without a valid key: one of the file, the API key or the admin key.

    A program sends it as ``Authorization: Bearer KEY``; a browser asks for a name, which is
    ignored, and a password, which is the key.

    Raises:
        Unauthorized: the key is missing, wrong, revoked or expired.
        Forbidden: it does not open this address.
    """
    if request.endpoint in OPEN_ENDPOINTS:
        return
    holder = current_holder()
    if holder is None and given_key():
        raise _unauthorized("this API key is not known: look whether it is complete")
    if holder is None:
        raise _unauthorized(
            "this server requires an API key: send it as 'Authorization: Bearer KEY'; in a "
            "browser, load the page again and give it as the password"
        )
    if not holder.is_valid:
        assert holder.key is not None
        raise _unauthorized(
            f"the API key {holder.name!r} is {holder.key.state}: ask the operator for another one"
        )
    _require_scope(holder)


def _require_scope(holder: Holder) -> None:
    """Keep the metrics, which name all keys of the file, from those who have one of them."""
    is_metrics = request.endpoint == "operations.metrics"
    if holder.is_for_metrics and not is_metrics:
        raise Forbidden(f"the key {holder.name!r} opens /metrics only")
    may_read = holder.is_admin or holder.is_for_metrics or server_state().settings.keys is None
    if is_metrics and not may_read:
        raise Forbidden(
            "/metrics tells what each key uses: send the admin key, or one that the operator has "
            "made by lorelm keys add NAME --metrics-only"
        )


def require_admin_key() -> None:
    """Reject the current request unless it has the admin key.

    Raises:
        Unauthorized: the key is missing or wrong.
        Forbidden: the server has none.
    """
    if server_state().settings.admin_key is None:
        raise Forbidden("this needs the admin key, and the server was started without --admin-key")
    holder = current_holder()
    if holder is None or not holder.is_admin:
        raise _unauthorized("this needs the admin key: send it as 'Authorization: Bearer KEY'")


def reject_other_sites() -> None:
    """Reject changes that the browser sends for a page of another site.

    A page of the same site, on another port, counts as another: the cookie is sent to all ports.

    Raises:
        Forbidden: the browser names another site in Sec-Fetch-Site, and the server does not allow
            its origin.
    """
    # No comparison of Origin and Host: behind a proxy they can differ.
    is_foreign = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    is_change = request.method not in ("GET", "HEAD", "OPTIONS")
    if is_foreign and is_change and not is_from_allowed_origin():
        raise Forbidden("this request came from a page of another site")


def count_request() -> None:
    """Count the current request if it is for the model, or has a wrong key.

    Those with a key of the file count by key, all others by address.

    Raises:
        QuotaError: there have been too many.
    """
    quotas = server_state().quotas
    holder = current_holder()
    # A server without keys does not look at the one that OpenAI's clients always send.
    is_known = not server_state().keys.has_any or (holder is not None and holder.is_valid)
    is_cheap = request.method != "POST" or request.endpoint in _UNCOUNTED_ENDPOINTS
    is_free = request.endpoint in OPEN_ENDPOINTS or (is_cheap and (is_known or not given_key()))
    if quotas is None or is_free:
        return
    g.request_count = quotas.count_request(holder, request.remote_addr or "")


def add_quota_headers(response: Response) -> Response:
    """Tell the client how many requests it has left; for `after_request`."""
    count = g.get("request_count")
    if count is not None:
        response.headers["X-RateLimit-Limit"] = str(count.limit)
        response.headers["X-RateLimit-Remaining"] = str(count.remaining)
        response.headers["X-RateLimit-Reset"] = str(int(count.ends_at))
    return response


def _unauthorized(message: str) -> Unauthorized:
    return Unauthorized(message, www_authenticate=WWWAuthenticate("basic", {"realm": "LoreLM"}))
