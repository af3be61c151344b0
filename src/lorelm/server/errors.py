"""Errors as an answer: their status, and their form by who asked."""

import json
import logging
from collections.abc import Sequence
from typing import Final

from flask import render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response

from lorelm.errors import (
    AbandonedError,
    DeadlineError,
    HistoryError,
    InputError,
    LoreLMError,
    OverloadedError,
    Problem,
    SamplingError,
    UnavailableError,
    UnknownModelError,
)
from lorelm.server.openai.errors import openai_error

_log: Final = logging.getLogger(__name__)

_RETRY_AFTER_SECONDS: Final = 1

_OPENAI_PATHS: Final = ("/v1/", "/tokenize", "/detokenize", "/tokenizer_info")

_CLIENT_CLOSED_REQUEST: Final = 499
"""As nginx notes a request whose client has hung up; nobody sees it but the log."""

_STATUSES: Final[tuple[tuple[type[LoreLMError], int], ...]] = (
    (UnknownModelError, 404),
    (SamplingError, 422),
    (OverloadedError, 429),
    (DeadlineError, 408),
    (UnavailableError, 503),
    (HistoryError, 503),
    (AbandonedError, _CLIENT_CLOSED_REQUEST),
    (LoreLMError, 500),
)


def status_of(error: LoreLMError) -> int:
    """The HTTP status of an error."""
    return next(status for kind, status in _STATUSES if isinstance(error, kind))


def _shown(error: LoreLMError) -> str:
    """What is told of an error; where the history lies is no business of who visits."""
    if not isinstance(error, HistoryError):
        return str(error)
    _log.warning("%s", error)
    return "the history cannot be had now; the log of the server says why"


def answer(error: HTTPException | LoreLMError) -> Response:
    """What answers a request that went wrong: JSON for programs, a page for people."""
    problems: Sequence[Problem] = ()
    if isinstance(error, HTTPException):
        # Its headers say what methods there are, how to log in, when to come again.
        response = error.get_response()
        status, message = response.status_code, error.description or error.name
    else:
        response = Response()
        status, message = status_of(error), _shown(error)
        problems = error.problems if isinstance(error, InputError) else ()
    if status in (429, 503):
        response.headers.setdefault("Retry-After", str(_RETRY_AFTER_SECONDS))
    field = problems[0].field if problems else None
    if request.path.startswith("/api/"):
        fields = [problem._asdict() for problem in problems]
        first = str(problems[0]) if problems else message
        body = {"error": {"message": first, "field": field, "fields": fields}}
    elif request.path.startswith(_OPENAI_PATHS):
        status = 400 if status == 422 else status  # as OpenAI's own servers have it
        body = openai_error(message, status=status, param=field)
    else:
        name = HTTP_STATUS_CODES.get(status, "Error")
        response.data = render_template("error.html", name=name, message=message).encode()
        response.content_type = "text/html; charset=utf-8"
        response.status_code = status
        return response
    response.data = json.dumps(body).encode()  # in ASCII: it may quote what cannot be encoded
    response.content_type = "application/json"
    response.status_code = status
    return response
