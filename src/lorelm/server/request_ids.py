"""An id for each request, by which its log lines are found: :func:`request_id`."""

import re
import uuid
from collections.abc import Iterable
from typing import Final

from flask import g, request
from werkzeug.wrappers import Response

HEADER: Final = "X-Request-Id"
_RAW_HEADER: Final = HEADER.lower().encode()

_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""Other characters could forge lines of a log, or columns of one."""

RawHeaders = Iterable[tuple[bytes, bytes]]


def request_id() -> str:
    """Return the id of the current request: the one that its header gives, or a new one."""
    if "request_id" not in g:
        g.request_id = _id_of(request.headers.get(HEADER, ""))
    assert isinstance(g.request_id, str)
    return g.request_id


def add_request_id(response: Response) -> Response:
    """Tell the client the id; for `after_request` of an application."""
    response.headers[HEADER] = request_id()
    return response


def id_header(headers: RawHeaders) -> tuple[bytes, bytes]:
    """Return the header of a response that no application has made, for a request's headers."""
    given = next((value for name, value in headers if name.lower() == _RAW_HEADER), b"")
    return _RAW_HEADER, _id_of(given.decode("latin-1")).encode()


def has_id(headers: RawHeaders) -> bool:
    """Return whether a response has its id; the names are in lower case."""
    return any(name == _RAW_HEADER for name, _ in headers)


def _id_of(given: str) -> str:
    return given if _WELL_FORMED.fullmatch(given) else uuid.uuid4().hex
