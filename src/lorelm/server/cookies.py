"""The cookies of a server: :func:`set_cookie`."""

from werkzeug.wrappers import Request, Response


def set_cookie(
    request: Request, response: Response, name: str, value: str, *, seconds: int
) -> None:
    """Add a cookie that only this server gets, and no script and no form of another site.

    Args:
        request: the one that is answered; the cookie is for its path prefix, and for HTTPS alone
            if it came that way.
        seconds: how long the browser keeps it.
    """
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=request.script_root or "/",
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
