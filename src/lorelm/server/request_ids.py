"""An id for each request, by which its log lines are found: :func:`request_id`."""

import re
import uuid
from typing import Final

from flask import g, request
from werkzeug.wrappers import Response

HEADER: Final = "X-Request-Id"

_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""Other characters could forge lines of a log, or columns of one."""


def request_id() -> str:
    """Return the id of the current request: the one that its header gives, or a new one."""
    if "request_id" not in g:
        given = request.headers.get(HEADER, "")
        g.request_id = given if _WELL_FORMED.fullmatch(given) else uuid.uuid4().hex
    assert isinstance(g.request_id, str)
    return g.request_id


def add_request_id(response: Response) -> Response:
    """Tell the client the id; for `after_request` of an application."""
    response.headers[HEADER] = request_id()
    return response
