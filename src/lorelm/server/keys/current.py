"""The key that came with the current request: :func:`current_holder`."""

from typing import cast

from flask import g, request

from lorelm.server.keys.key_ring import Holder
from lorelm.server.state import server_state


def current_holder() -> Holder | None:
    """Return the holder of the key of the current request; None without a known key.

    The key may be revoked or expired.
    """
    if "holder" not in g:
        g.holder = server_state().keys.find(given_key())
    return cast(Holder | None, g.holder)


def given_key() -> str:
    """Return the key of the current request: a bearer token or a password; empty without one."""
    given = request.authorization
    if given is None:
        return ""
    if given.type != "bearer":
        return given.password or ""
    # WSGI decodes the bytes of every header as Latin-1.
    return (given.token or "").encode("latin-1", "replace").decode(errors="replace")
