"""Anonymous browser ids in signed cookies."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final, cast

from flask import Response, g, request
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.exceptions import Forbidden

from lorelm.server.cookies import set_cookie

_COOKIE_LIFETIME_SECONDS: Final = 400 * 24 * 60 * 60
"""Browsers keep no cookie for longer."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """The sender of a generation request.

    Attributes:
        source: "page", "api" or "openai".
        browser: the id of the browser, where it was the page.
    """

    source: str
    browser: str | None = None


class BrowserIds:
    """Read and set the cookies of one server, or of several that share a history.

    Args:
        signing_key: the secret of that history.
    """

    def __init__(self, signing_key: bytes) -> None:
        self._ids = URLSafeSerializer(signing_key, salt="browser")
        self._tokens = URLSafeSerializer(signing_key, salt="form")
        # Cookies are shared by all ports of a host: each history has a name of its own.
        self._cookie_name = f"lorelm_{hashlib.sha256(signing_key).hexdigest()[:8]}"

    def current(self) -> str | None:
        """Return the id in the cookie of this request; None for programs and new browsers."""
        if "browser" not in g:
            g.browser = _load(self._ids, request.cookies.get(self._cookie_name, ""))
        return cast(str | None, g.browser)

    def ensure_id(self) -> str:
        """Return the browser's id, a new one if it has none; :meth:`set_cookie` will send it.

        A known id is sent too, which prolongs the cookie. Do not call this for requests that a page
        of another site can send: the browser omits its cookie there, and a new id would replace it.
        """
        if self.current() is None:
            g.browser = secrets.token_hex(16)
        g.sets_cookie = True
        return cast(str, g.browser)

    def set_cookie(self, response: Response) -> Response:
        """Add the cookie, if :meth:`ensure_id` was called, and keep shared caches out."""
        response.headers.setdefault("Cache-Control", "private, no-cache")
        if g.get("sets_cookie"):
            set_cookie(
                request,
                response,
                self._cookie_name,
                str(self._ids.dumps(g.browser)),
                seconds=_COOKIE_LIFETIME_SECONDS,
            )
        return response

    def form_token(self) -> str:
        """Return the hidden field that shows that a form came from a page of ours."""
        return str(self._tokens.dumps(self.ensure_id()))

    def require_form_token(self) -> str:
        """Return the id of the browser that sent a form of ours.

        Raises:
            Forbidden: the form is not from a page that this browser got from here.
        """
        browser = self.current()
        token = _load(self._tokens, request.form.get("token", ""))
        if browser is None or token is None or not hmac.compare_digest(browser, token):
            raise Forbidden("this form is out of date: open the page again and try once more")
        return browser


def _load(serializer: URLSafeSerializer, value: str) -> str | None:
    try:
        return str(serializer.loads(value))
    except BadSignature:
        return None
