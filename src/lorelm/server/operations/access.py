"""Who may ask, and how often."""

import hmac
from importlib.util import find_spec
from typing import Final

from flask import Flask, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from lorelm.errors import InputError, MissingExtraError
from lorelm.server.settings import ServerSettings

OPEN_ENDPOINTS: Final = ("operations.healthz", "operations.readyz", "static")
"""What answers without a key and does not count towards the rate limit."""


def require_api_key(app: Flask, api_key: str) -> None:
    """Lets in only who knows the key.

    A program sends it as ``Authorization: Bearer KEY``; a browser asks for a name, which may be
    anything, and a password, which is the key.
    """
    expected = api_key.encode()

    @app.before_request
    def check() -> None:
        if request.endpoint in OPEN_ENDPOINTS:
            return
        # compare_digest takes as long wherever the first difference is.
        if not hmac.compare_digest(_given_key().encode(), expected):
            raise Unauthorized(
                "this server wants its API key: send it as 'Authorization: Bearer KEY'",
                www_authenticate=WWWAuthenticate("basic", {"realm": "LoreLM"}),
            )


def limit_rate(app: Flask, settings: ServerSettings) -> None:
    """Refuses addresses that ask too often; only what makes the model work counts.

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
            application_limits_exempt_when=_is_free,
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
    reads_only = request.blueprint == "tokenizing" or request.endpoint == "api.check"
    return request.method != "POST" or reads_only


def _given_key() -> str:
    given = request.authorization
    if given is None:
        return ""
    return (given.token if given.type == "bearer" else given.password) or ""
