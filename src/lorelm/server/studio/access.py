"""Access to the studio: :class:`Guard`.

On this machine, a browser gets access by opening a link whose token works once; elsewhere, by the
password. Either way it gets a signed cookie. Without it, only style sheets are sent.
"""

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from lorelm.bundle.atomic_dir import replace_file
from lorelm.server.cookies import set_cookie
from lorelm.translations import gettext_noop

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_KEY_BYTES: Final = 64
_LINK_SECONDS: Final = 24 * 60 * 60
_SESSION_SECONDS: Final = 30 * 24 * 60 * 60
_SECONDS_BETWEEN_PASSWORDS: Final = 1.0
_LOCAL_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")


class Links:
    """Tokens of links that each open the studio once, signed with the key of its folder.

    Args:
        key: the secret; see :func:`signing_key`.
        start: identifies this start of the studio, as links of earlier ones no longer work.
    """

    def __init__(self, key: bytes, start: str) -> None:
        self._tokens: Final = URLSafeTimedSerializer(key, salt=f"link {start}")
        self._used: set[str] = set()
        self._lock: Final = threading.Lock()

    def new_token(self) -> str:
        return str(self._tokens.dumps(secrets.token_hex(16)))

    def use(self, token: str) -> bool:
        """Return whether a token is valid and unused, and mark it as used."""
        try:
            nonce = self._tokens.loads(token, max_age=_LINK_SECONDS)
        except BadSignature:
            return False
        with self._lock:
            is_new = nonce not in self._used
            self._used.add(nonce)
        return is_new


def signing_key(path: Path) -> bytes:
    """Return the secret in a file that only its owner can read; a new one if there is none."""
    with suppress(FileNotFoundError):
        key = path.read_bytes()
        if len(key) == _KEY_BYTES:  # not cut short by a full disk
            return key
    key = secrets.token_hex(_KEY_BYTES // 2).encode()
    replace_file(path, key, mode=0o600)
    return key


class Guard:
    """WSGI middleware that admits only requests with access to the studio.

    Args:
        app: the guarded application.
        links: the tokens that open it.
        key: signs the cookies.
        password: None admits links only, and requests to this machine only.
        is_open: returns whether a path needs no access.
        explain: makes the page of a refusal from the request, a text of the catalogue, and whether
            to ask for the password.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        links: Links,
        key: bytes,
        password: str | None,
        is_open: "Callable[[str], bool]",
        explain: "Callable[[WSGIEnvironment, str, bool], Response]",
    ) -> None:
        self._app: Final = app
        self._links: Final = links
        self._password: Final = password
        self._is_open: Final = is_open
        self._explain: Final = explain
        salt = "session" + hashlib.sha256((password or "").encode()).hexdigest()
        self._sessions: Final = URLSafeTimedSerializer(key, salt=salt)
        # Cookies are shared by all ports of a host: each studio has a name of its own.
        self._cookie: Final = f"lorelm_studio_{hashlib.sha256(key).hexdigest()[:8]}"
        self._lock: Final = threading.Lock()
        self._next_tries: dict[str, float] = {}

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        request = Request(environ)
        response = self._answer(request)
        if response is None:
            return self._app(environ, start_response)
        response.headers["Cache-Control"] = "no-store"
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response | None:
        """Return the response to a request that is not passed on."""
        refusal = self._refuse_foreign(request)
        if refusal is not None:
            return refusal
        if request.path == "/enter":
            return self._enter(request)
        if request.path == "/login" and request.method == "POST":
            return self._log_in(request)
        is_open = request.method in _SAFE_METHODS and self._is_open(request.path)
        if request.path.startswith("/static/") or is_open or self._has_session(request):
            return None
        if self._password is not None:
            return self._refusal(request, 401, gettext_noop("Enter the password of this studio."))
        return self._refusal(
            request,
            401,
            gettext_noop(
                "This browser has no access to the studio yet. Open the link that lorelm studio "
                "printed in its terminal. Each link works once; run the command again for another."
            ),
        )

    def _refuse_foreign(self, request: Request) -> Response | None:
        # A site whose name leads to this machine must not read anything (DNS rebinding).
        host = re.sub(r":\d+$", "", request.headers.get("Host", ""))
        if self._password is None and host not in _LOCAL_HOSTS:
            message = gettext_noop("Open the studio at 127.0.0.1, as in its link.")
            return self._refusal(request, 400, message)
        if request.method not in _SAFE_METHODS and not _is_same_site(request):
            message = gettext_noop("This request came from a page of another site.")
            return self._refusal(request, 403, message)
        return None

    def _enter(self, request: Request) -> Response:
        if self._links.use(request.args.get("token", "")):
            return self._begin_session(request)
        if self._has_session(request):  # the back button, or the link a second time
            return redirect(".", code=303)
        return self._refusal(
            request,
            403,
            gettext_noop(
                "This link was used before, or belongs to another studio. Run lorelm studio again "
                "for a new one."
            ),
        )

    def _log_in(self, request: Request) -> Response:
        if self._is_too_soon(request.remote_addr or ""):
            message = gettext_noop("You can try once per second. Wait a moment, and try again.")
            return self._refusal(request, 429, message)
        given = request.form.get("password", "").encode()
        if self._password is None or not hmac.compare_digest(given, self._password.encode()):
            return self._refusal(request, 401, gettext_noop("This is not the password."))
        return self._begin_session(request)

    def _is_too_soon(self, address: str) -> bool:
        """Return whether an address tried a password less than a second ago."""
        now = time.monotonic()
        with self._lock:
            waiting = {each: until for each, until in self._next_tries.items() if until > now}
            self._next_tries = waiting
            if address in waiting:
                return True
            waiting[address] = now + _SECONDS_BETWEEN_PASSWORDS
            return False

    def _begin_session(self, request: Request) -> Response:
        response = redirect(".", code=303)
        value = str(self._sessions.dumps(""))
        set_cookie(request, response, self._cookie, value, seconds=_SESSION_SECONDS)
        return response

    def _has_session(self, request: Request) -> bool:
        try:
            self._sessions.loads(request.cookies.get(self._cookie, ""), max_age=_SESSION_SECONDS)
        except BadSignature:
            return False
        return True

    def _refusal(self, request: Request, status: int, message: str) -> Response:
        asks = self._password is not None and status in (401, 429)
        response = self._explain(request.environ, message, asks)
        response.status_code = status
        return response


def _is_same_site(request: Request) -> bool:
    """Return whether a request comes from a page of the studio; programs send neither header."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host
