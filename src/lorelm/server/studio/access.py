"""Who may use the studio: :class:`Guard`.

On this machine, the browser that opened a link with a token that works once; elsewhere, who knows
the password. Both get a signed cookie. Nothing but the style sheets is sent without it.
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
    """Tokens of links that each open the studio once, signed with a key of its folder.

    Args:
        key: the secret; see :func:`signing_key`.
        start: tells this start of the studio from earlier ones, whose links are used up.
    """

    def __init__(self, key: bytes, start: str) -> None:
        self._tokens: Final = URLSafeTimedSerializer(key, salt=f"link {start}")
        self._used: set[str] = set()
        self._lock: Final = threading.Lock()

    def new_token(self) -> str:
        return str(self._tokens.dumps(secrets.token_hex(16)))

    def use(self, token: str) -> bool:
        """Return whether a token is right and was not used before."""
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
    """WSGI application that lets only requests through that may use the studio.

    Args:
        app: what it guards.
        links: the tokens that open it.
        key: signs the cookies.
        password: None lets in who has a link, and requests to this machine only.
        is_open: whether a path can be read by anybody who reaches the studio.
        explain: makes the page for who may not: its text, and whether to ask for the password.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        links: Links,
        key: bytes,
        password: str | None,
        is_open: "Callable[[str], bool]",
        explain: "Callable[[str, bool], str]",
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
        """Return the response to a request that goes no further."""
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
            return self._refusal(401, "This studio asks for its password.")
        return self._refusal(
            401,
            "This browser may not use the studio yet: open the link that lorelm studio printed in "
            "its terminal. Each link works once; the command prints another when you run it again.",
        )

    def _refuse_foreign(self, request: Request) -> Response | None:
        # A site whose name leads to this machine must not read anything (DNS rebinding).
        host = re.sub(r":\d+$", "", request.headers.get("Host", ""))
        if self._password is None and host not in _LOCAL_HOSTS:
            return self._refusal(400, "Open the studio at 127.0.0.1, as its link has it.")
        if request.method not in _SAFE_METHODS and not _is_same_site(request):
            return self._refusal(403, "This request came from a page of another site.")
        return None

    def _enter(self, request: Request) -> Response:
        if self._links.use(request.args.get("token", "")):
            return self._begin_session(request)
        if self._has_session(request):  # the back button, or the link a second time
            return redirect(".", code=303)
        return self._refusal(
            403,
            "This link was used before, or is not of this studio: run lorelm studio once more, "
            "which prints another.",
        )

    def _log_in(self, request: Request) -> Response:
        if self._is_too_soon(request.remote_addr or ""):
            return self._refusal(429, "One try a second: wait a moment, and try again.")
        given = request.form.get("password", "").encode()
        if self._password is None or not hmac.compare_digest(given, self._password.encode()):
            return self._refusal(401, "This is not the password.")
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
        response.set_cookie(
            self._cookie,
            str(self._sessions.dumps("")),
            max_age=_SESSION_SECONDS,
            path=request.root_path or "/",
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )
        return response

    def _has_session(self, request: Request) -> bool:
        try:
            self._sessions.loads(request.cookies.get(self._cookie, ""), max_age=_SESSION_SECONDS)
        except BadSignature:
            return False
        return True

    def _refusal(self, status: int, message: str) -> Response:
        asks = self._password is not None and status in (401, 429)
        return Response(self._explain(message, asks), status=status, mimetype="text/html")


def _is_same_site(request: Request) -> bool:
    """Return whether a change comes from a page of the studio; programs send neither header."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host
