"""Who may ask, and how often."""

import hmac
from importlib.util import find_spec
from typing import Final

from flask import Flask, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from lorelm.errors import InputError, MissingExtraError
from lorelm.server.settings import ServerSettings

OPEN_ENDPOINTS: Final = ("operations.healthz", "operations.readyz", "static")
"""What answers without a key and does not count towards the rate limit."""


def require_api_key(app: Flask, settings: ServerSettings) -> None:
    """Lets in only who knows the API key, or the admin key.

    A program sends it as ``Authorization: Bearer KEY``; a browser asks for a name, which may be
    anything, and a password, which is the key.
    """

    @app.before_request
    def check() -> None:
        is_open = request.endpoint in OPEN_ENDPOINTS
        if not is_open and not _knows_one_of(settings.api_key, settings.admin_key):
            raise _unauthorized("API key")


def require_admin_key(settings: ServerSettings) -> None:
    """Lets the current request pass only if it has the admin key.

    Raises:
        Unauthorized: it has not.
        Forbidden: there is none.
    """
    if settings.admin_key is None:
        raise Forbidden("this is for the admin key, and the server was started without --admin-key")
    if not _knows_one_of(settings.admin_key):
        raise _unauthorized("admin key")


def refuse_other_sites(app: Flask) -> None:
    """Refuses what pages of others would have a person's browser do here.

    Others of the same site count as well: the cookie goes along to all ports of a host.
    """

    @app.before_request
    def check() -> None:
        # The browser itself says so, whatever a proxy makes of the address.
        is_foreign = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
        if is_foreign and request.method not in ("GET", "HEAD", "OPTIONS"):
            raise Forbidden("this was asked for by a page of another site")


def limit_rate(app: Flask, settings: ServerSettings) -> None:
    """Refuses addresses that ask too often: what makes the model work counts, and wrong keys do.

    Raises:
        InputError: the limit or the address of the storage cannot be read.
        MissingExtraError: the storage is Redis, and its package is not installed.
    """
    from flask_limiter import Limiter  # 0.1 s at start-up, for those who want it
    from flask_limiter.util import get_remote_address
    from limits import parse_many
    from limits.errors import ConfigurationError

    assert settings.rate_limit is not None
    try:
        parse_many(settings.rate_limit)
    except ValueError as error:
        raise InputError(
            f"{settings.rate_limit!r} is no rate limit: write one such as '60/minute' or "
            "'5/second;1000/day'"
        ) from error
    try:
        Limiter(
            get_remote_address,
            app=app,
            application_limits=[settings.rate_limit],
            application_limits_exempt_when=lambda: _is_free() and not _is_guess(settings),
            storage_uri=settings.rate_limit_storage,
            headers_enabled=True,
            # A storage that is away must not stop the model: each process counts for itself then.
            in_memory_fallback_enabled=True,
        )
    except ConfigurationError as error:
        if settings.rate_limit_storage.startswith("redis") and find_spec("redis") is None:
            raise MissingExtraError("counting in Redis", "redis") from error
        raise InputError(
            f"{settings.rate_limit_storage!r} is no storage for the rate limit: write memory:// or "
            "redis://host:port"
        ) from error


def _is_free() -> bool:
    """Whether a request costs nothing worth counting."""
    is_light = request.blueprint in ("tokenizing", "history") or request.endpoint == "api.check"
    return request.method != "POST" or is_light


def _is_guess(settings: ServerSettings) -> bool:
    """Whether a request comes with a key that is none."""
    return bool(_given_key()) and not _knows_one_of(settings.api_key, settings.admin_key)


def _knows_one_of(*keys: str | None) -> bool:
    """Whether the current request has one of the keys."""
    given = _given_key().encode()
    # compare_digest takes as long wherever the first difference is.
    return any(hmac.compare_digest(given, key.encode()) for key in keys if key is not None)


def _unauthorized(key_name: str) -> Unauthorized:
    return Unauthorized(
        f"this server wants its {key_name}: send it as 'Authorization: Bearer KEY'",
        www_authenticate=WWWAuthenticate("basic", {"realm": "LoreLM"}),
    )


def _given_key() -> str:
    given = request.authorization
    if given is None:
        return ""
    if given.type != "bearer":
        return given.password or ""
    # A header is bytes, which WSGI hands over as Latin-1, whatever they are.
    return (given.token or "").encode("latin-1", "replace").decode(errors="replace")
