"""Who is who, without names: each browser has a signed cookie with an id that means nothing."""

import hashlib
import hmac
import secrets
from typing import Final

from flask import Response, g, request
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.exceptions import Forbidden

_LIFE_SECONDS: Final = 400 * 24 * 60 * 60
"""Browsers keep no cookie for longer."""


class Browsers:
    """Tells browsers by their cookies.

    Args:
        signing_key: all servers that share a history have the same.
    """

    def __init__(self, signing_key: bytes) -> None:
        self._ids = URLSafeSerializer(signing_key, salt="browser")
        self._tokens = URLSafeSerializer(signing_key, salt="form")
        # A cookie counts for all ports of a host; two servers must not take theirs for one.
        self._cookie_name = f"lorelm_{hashlib.sha256(signing_key).hexdigest()[:8]}"

    def current(self) -> str | None:
        """The id of the browser that asks; None of a program, or a browser that is new."""
        if "browser" not in g:
            g.browser = _loaded(self._ids, request.cookies.get(self._cookie_name, ""))
        browser: str | None = g.browser
        return browser

    def welcome(self) -> str:
        """The id of the browser that asks, a new one if it has none; :meth:`remember` sends it.

        Also to a browser that has one, so that it keeps it for another while.

        Not for what a page of another site may send: a browser leaves the cookie out there, and a
        new one would take the place of its own.
        """
        if self.current() is None:
            g.browser = secrets.token_hex(16)
        g.is_welcome = True
        browser: str = g.browser
        return browser

    def remember(self, response: Response) -> Response:
        """Sends a browser its cookie, and keeps its pages out of caches that others use."""
        response.headers.setdefault("Cache-Control", "private, no-cache")
        if g.get("is_welcome"):
            response.set_cookie(
                self._cookie_name,
                str(self._ids.dumps(g.browser)),
                max_age=_LIFE_SECONDS,
                path=request.script_root or "/",
                secure=request.is_secure,
                httponly=True,
                samesite="Lax",
            )
        return response

    def form_token(self) -> str:
        """What a form carries to show that it stood on a page of ours."""
        return str(self._tokens.dumps(self.welcome()))

    def require_form_token(self) -> str:
        """The id of the browser that sends a form of ours.

        Raises:
            Forbidden: it was not on a page that this browser got from here.
        """
        browser = self.current()
        told = _loaded(self._tokens, request.form.get("token", ""))
        if browser is None or told is None or not hmac.compare_digest(browser, told):
            raise Forbidden("this form is out of date: open the page again and try once more")
        return browser


def _loaded(serializer: URLSafeSerializer, value: str) -> str | None:
    try:
        return str(serializer.loads(value))
    except BadSignature:
        return None
