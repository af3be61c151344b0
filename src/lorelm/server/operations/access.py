"""API keys, the rate limit, and requests from pages of other sites."""

import hmac
from importlib.util import find_spec
from typing import Final

from flask import Flask, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from lorelm.errors import InputError, MissingExtraError
from lorelm.server.operations.cross_origin import is_from_allowed_origin
from lorelm.server.settings import ServerSettings
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
    """Reject requests without the API key or the admin key.

    A program sends it as ``Authorization: Bearer KEY``; a browser asks for a name, which is
    ignored, and a password, which is the key.

    Raises:
        Unauthorized: the key is missing or wrong.
    """
    if request.endpoint not in OPEN_ENDPOINTS and not _has_valid_key():
        raise _unauthorized("API key")


def require_admin_key() -> None:
    """Reject the current request unless it has the admin key.

    Raises:
        Unauthorized: the key is missing or wrong.
        Forbidden: the server has none.
    """
    admin_key = server_state().settings.admin_key
    if admin_key is None:
        raise Forbidden("this needs the admin key, and the server was started without --admin-key")
    if not _has_one_of(admin_key):
        raise _unauthorized("admin key")


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


def limit_rate(app: Flask, settings: ServerSettings) -> None:
    """Reject addresses that send too many requests for the model, or too many wrong keys.

    Raises:
        InputError: the limit or the address of the storage cannot be parsed.
        MissingExtraError: the storage is Redis, and its package is not installed.
    """
    from flask_limiter import Limiter  # takes 0.1 s to import
    from flask_limiter.util import get_remote_address
    from limits import parse_many
    from limits.errors import ConfigurationError

    assert settings.rate_limit is not None
    try:
        parse_many(settings.rate_limit)
    except ValueError as error:
        raise InputError(
            f"{settings.rate_limit!r} is no rate limit: write one such as '60/minute' or "
            "'5/second;1000/day'",
            code="rate_limit.invalid",
        ) from error
    try:
        Limiter(
            get_remote_address,
            app=app,
            application_limits=[settings.rate_limit],
            application_limits_exempt_when=_is_exempt,
            storage_uri=settings.rate_limit_storage,
            headers_enabled=True,
            # If the storage fails, each process counts in its own memory.
            in_memory_fallback_enabled=True,
        )
    except ConfigurationError as error:
        if settings.rate_limit_storage.startswith("redis") and find_spec("redis") is None:
            raise MissingExtraError("counting in Redis", "redis") from error
        raise InputError(
            f"{settings.rate_limit_storage!r} is no storage for the rate limit: write memory:// or "
            "redis://host:port",
            code="rate_limit.invalid_storage",
        ) from error


def _is_exempt() -> bool:
    """Return whether a request does not count: it is cheap and does not try a wrong key."""
    is_cheap = request.method != "POST" or request.endpoint in _UNCOUNTED_ENDPOINTS
    return is_cheap and (not _given_key() or _has_valid_key())


def _has_valid_key() -> bool:
    settings = server_state().settings
    return _has_one_of(settings.api_key, settings.admin_key)


def _has_one_of(*keys: str | None) -> bool:
    given = _given_key().encode()
    # compare_digest takes the same time wherever the first difference is.
    return any(hmac.compare_digest(given, key.encode()) for key in keys if key is not None)


def _unauthorized(key_name: str) -> Unauthorized:
    return Unauthorized(
        f"this server requires its {key_name}: send it as 'Authorization: Bearer KEY'",
        www_authenticate=WWWAuthenticate("basic", {"realm": "LoreLM"}),
    )


def _given_key() -> str:
    given = request.authorization
    if given is None:
        return ""
    if given.type != "bearer":
        return given.password or ""
    # WSGI decodes the bytes of every header as Latin-1.
    return (given.token or "").encode("latin-1", "replace").decode(errors="replace")
