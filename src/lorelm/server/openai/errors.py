"""Errors in the form of OpenAI's API."""

from typing import Any, Final

_KINDS: Final = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


def openai_error(message: str, *, status: int, param: str | None) -> dict[str, Any]:
    """The error object of a status; `param` names the field that was wrong."""
    usual = ("server_error", None) if status >= 500 else ("invalid_request_error", None)
    kind, code = _KINDS.get(status, usual)
    if status == 404 and param == "model":
        code = "model_not_found"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
