"""Turn errors into responses: JSON for programs, OpenAI's JSON for its clients, or a page."""

import json
import logging
import math
from collections.abc import Sequence
from typing import Any, Final

from flask import current_app, render_template, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response

from lorelm.errors import (
    BundleError,
    ClientDisconnectedError,
    DeadlineError,
    DraftConflictError,
    DraftError,
    HistoryError,
    InputError,
    LoreLMError,
    OverloadedError,
    Problem,
    QuotaError,
    SamplingError,
    UnavailableError,
    UnknownDraftError,
    UnknownModelError,
)
from lorelm.server.language import page_catalogue
from lorelm.server.request_ids import request_id
from lorelm.translations import gettext_noop

_log: Final = logging.getLogger(__name__)

_OPENAI_PATHS: Final = ("/v1/", "/tokenize", "/detokenize", "/tokenizer_info")

_CLIENT_CLOSED_REQUEST: Final = 499
"""The status that nginx logs for a disconnected client; only our log shows it."""

_STATUSES: Final[tuple[tuple[type[LoreLMError], int], ...]] = (
    (UnknownModelError, 404),
    (SamplingError, 422),
    (DraftConflictError, 409),
    (UnknownDraftError, 404),
    (DraftError, 422),
    (OverloadedError, 429),
    (QuotaError, 429),
    (DeadlineError, 408),
    (UnavailableError, 503),
    (HistoryError, 503),
    (ClientDisconnectedError, _CLIENT_CLOSED_REQUEST),
    (BundleError, 409),
    (InputError, 422),
    (LoreLMError, 500),
)

_HEADINGS: Final = {
    400: gettext_noop("This request cannot be read"),
    401: gettext_noop("Log in first"),
    403: gettext_noop("Not allowed"),
    404: gettext_noop("Not found"),
    405: gettext_noop("Not possible here"),
    408: gettext_noop("This took too long"),
    409: gettext_noop("Not possible at the moment"),
    410: gettext_noop("No longer here"),
    413: gettext_noop("Too large"),
    414: gettext_noop("This address is too long"),
    415: gettext_noop("Wrong kind of data"),
    422: gettext_noop("This does not work"),
    429: gettext_noop("Too many requests"),
    503: gettext_noop("Not available at the moment"),
}
"""Headings of the pages that people see; the sentence below each is that of the error."""

_OTHER_HEADING: Final = gettext_noop("Something went wrong")

_OPENAI_KINDS: Final = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}
_TOKENS_USED_UP: Final = "quota.tokens"
_USED_UP: Final = "insufficient_quota"
"""OpenAI's type and code where trying again soon is of no use."""


def status_of(error: LoreLMError) -> int:
    """Return the HTTP status of an error."""
    return next(status for kind, status in _STATUSES if isinstance(error, kind))


def wants_json() -> bool:
    """Return whether the current request comes from a script that asks for JSON, not for a page."""
    return request.accept_mimetypes.best == "application/json"


def openai_error(
    message: str, *, status: int, param: str | None, is_used_up: bool = False
) -> dict[str, Any]:
    """Return an error in the form of OpenAI's API; `param` names the wrong field."""
    default = ("server_error", None) if status >= 500 else ("invalid_request_error", None)
    kind, code = _OPENAI_KINDS.get(status, default)
    if status == 404 and param == "model":
        code = "model_not_found"
    if is_used_up:
        kind = code = _USED_UP
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_response(error: HTTPException | LoreLMError) -> Response:
    """Return the response to a failed request, in the form that its path asks for."""
    problems: Sequence[Problem] = ()
    if isinstance(error, HTTPException):
        # Its headers name the allowed methods, the way to log in, and when to try again.
        response = error.get_response()
        status, message = response.status_code, _http_message(error)
        code = "http." + HTTP_STATUS_CODES.get(status, "error").lower().replace(" ", "_")
    else:
        response = Response()
        status, message, code = status_of(error), _public_message(error), error.code
        problems = error.problems if isinstance(error, InputError) else ()
    _say_when_to_retry(response, error, status)
    if status == 500:
        message = f"{message} (request {request_id()})"
    field = problems[0].field if problems else None
    is_openai = request.path.startswith(_OPENAI_PATHS)
    if request.path.startswith("/api/") or (wants_json() and not is_openai):
        fields = [problem._asdict() for problem in problems]
        first = str(problems[0]) if problems else message
        body = {"error": {"message": first, "field": field, "fields": fields, "code": code}}
    elif is_openai:
        status = 400 if status == 422 else status  # as OpenAI's servers answer
        body = openai_error(message, status=status, param=field, is_used_up=code == _TOKENS_USED_UP)
    else:
        name = page_catalogue().gettext(_HEADINGS.get(status, _OTHER_HEADING))
        response.data = render_template("error.html", name=name, message=message).encode()
        response.content_type = "text/html; charset=utf-8"
        response.status_code = status
        return response
    if status == 500:
        body["error"]["request_id"] = request_id()
    response.data = json.dumps(body).encode()  # ASCII: a message may quote lone surrogates
    response.content_type = "application/json"
    response.status_code = status
    return response


def _say_when_to_retry(response: Response, error: HTTPException | LoreLMError, status: int) -> None:
    if isinstance(error, QuotaError):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
        if error.code == _TOKENS_USED_UP:
            response.headers["X-Should-Retry"] = "false"  # OpenAI's clients would try thrice
    elif status in (429, 503):
        response.headers.setdefault("Retry-After", "1")


def _http_message(error: HTTPException) -> str:
    description = error.description or error.name
    if isinstance(error, RequestEntityTooLarge):
        return f"the request is longer than {current_app.config['MAX_CONTENT_LENGTH']:,} bytes"
    if description == NotFound.description:  # werkzeug's, which asks to check the spelling
        return "There is nothing at this address."
    if isinstance(error, MethodNotAllowed):
        others = sorted({*(error.valid_methods or ())} - {"HEAD", "OPTIONS"})
        return (
            f"This address answers {' and '.join(others) or 'other methods'}, not {request.method}."
        )
    return description


def _public_message(error: LoreLMError) -> str:
    """Return the message of an error; clients never learn the location of the database."""
    if not isinstance(error, HistoryError):
        if status_of(error) == 500:
            cause = error.__cause__ or error
            _log.error("request %s failed: %s", request_id(), error, exc_info=cause)
        return str(error)
    _log.warning("%s", error)
    return "the history is not available now; the log of the server says why"
