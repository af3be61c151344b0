"""The page of the HTTP API, from the OpenAPI document of a server and the errors in the source."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from markdown_table import table
from werkzeug.http import HTTP_STATUS_CODES

from lorelm import errors
from lorelm.errors import LoreLMError
from lorelm.server.api.docs import STREAM_EVENTS
from lorelm.server.errors import status_of

_ANSWERS: Final = Path(__file__).with_name("http_answers.md.in")

_KINDS: Final = {"string": "text", "integer": "whole number", "boolean": "true or false"}


def http_page(document: Mapping[str, Any]) -> str:
    """Return the addresses of the HTTP API with their fields, from the OpenAPI document."""
    schemas = document["components"]["schemas"]
    parts = [
        f"## {method.upper()} {path}\n\n{operation['summary'].splitlines()[0]}\n"
        + _request(operation, schemas)
        + _answer(operation, schemas)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    events = [(f"`{name}`" if name else "no name", text) for name, text in STREAM_EVENTS]
    return f"""# HTTP API

Every server describes itself: `/docs` is this page with the limits of that server, and
`/openapi.json` is the same for programs (OpenAPI 3.1). [Serving](../guides/serving.md) has
examples, streams, and what OpenAI's clients can do. Fields with * are required.

If the server requires a key, send it as `Authorization: Bearer KEY`.

{_ANSWERS.read_text(encoding="utf-8")}
{table(("status", "code", "message or meaning"), _error_codes())}
## Streams

With `"stream": true`, `/api/generate` answers with server-sent events (`text/event-stream`), whose
data is JSON. OpenAI's endpoints have the events of OpenAI: chunks without a name, and at the end
`data: [DONE]`.

{table(("event", "meaning"), events)}
""" + "\n".join([*parts, _types(schemas)])


def _request(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    text = ""
    if queries := [
        each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"
    ]:
        text += f"\nQuery: {', '.join(f'`{name}`' for name in queries)}.\n"
    if body := operation.get("requestBody"):
        schema = schemas[_name(body["content"]["application/json"]["schema"])]
        rows = [
            (
                f"`{name}`" + (" *" if name in schema.get("required", ()) else ""),
                _kind(field),
                field.get("description", ""),
            )
            for name, field in schema["properties"].items()
        ]
        text += "\n" + table(("field", "kind", "meaning"), rows)
    return text


def _answer(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    content = operation["responses"]["200"]["content"]
    if "text/plain" in content:
        return "\nAnswers with text.\n"
    schema = schemas[_name(content["application/json"]["schema"])]
    fields = ", ".join(
        f"`{name}` ({_kind(field, says_null=True)})"
        for name, field in schema.get("properties", {}).items()
    )
    stream = ", or with events where `stream` is true" if "text/event-stream" in content else ""
    return f"\nAnswers with {fields}{stream}.\n"


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[1]


def _types(schemas: Mapping[str, Any]) -> str:
    """Return the types that the fields above name."""
    names = (
        *("Sample", "Token", "Alternative", "CopiedSpan", "Content", "SceneTurn"),
        *("StreamOptions", "Draft", "Link", "Model"),
    )
    text = "## Types\n\nWhat the names in capitals above have.\n"
    for name in names:
        fields = schemas[name].get("properties", {"": schemas[name]}).items()
        rows = [
            (f"`{field}`", _kind(each, says_null=True), each.get("description", ""))
            for field, each in fields
        ]
        text += f"\n### {name}\n\n" + table(("field", "kind", "meaning"), rows)
    return text


def _kind(schema: Mapping[str, Any], *, says_null: bool = False) -> str:
    """Return the kind of a field in words."""
    if "$ref" in schema:
        return _name(schema)
    if "anyOf" in schema:
        kinds = [each for each in schema["anyOf"] if says_null or each.get("type") != "null"]
        return " or ".join(_kind(each, says_null=says_null) for each in kinds)
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {_kind(schema['items'], says_null=says_null)}"
    if "properties" in schema:
        fields = (
            f"{name}: {_kind(each, says_null=says_null)}"
            for name, each in schema["properties"].items()
        )
        return f"object with {', '.join(fields)}"
    kind = str(schema.get("type", "value"))
    return _KINDS.get(kind, kind)


_ANSWERED: Final = (
    *("SamplingError", "UnknownModelError", "DraftError", "DraftConflictError"),
    *("UnknownDraftError", "OverloadedError", "DeadlineError", "ShuttingDownError"),
    *("QuotaError", "HistoryError", "FailedRequestError"),
)
"""The errors that an API answers with; others end a command."""

_HTTP_ERRORS: Final = {
    400: "the body is not JSON",
    401: "a key is missing, unknown, revoked or expired",
    403: "the key, the browser or the other site may not do this",
    404: "there is no such address",
    405: "the address has other methods, which the header Allow names",
    413: "the body is longer than --max-body-bytes",
    415: "the header Content-Type does not say application/json",
    500: "a fault of the server, whose log has it; the body has the request_id",
}


def _error_codes() -> list[tuple[str, str, str]]:
    """Return status, code and meaning of each error, by status."""
    found: dict[tuple[str, str], list[str]] = {}
    for number, text in _HTTP_ERRORS.items():
        code = HTTP_STATUS_CODES[number].lower().replace(" ", "_")
        found[str(number), f"http.{code}"] = [text]
    for name in _ANSWERED:
        kind: type[LoreLMError] = getattr(errors, name)
        found[_status(name), kind.code] = [re.split(r"[;\n]", kind.__doc__ or "")[0]]
    for status, code, message in _particular_codes():
        found.setdefault((status, code), []).append(message)
    return [
        (status, f"`{code}`", "; or: ".join(dict.fromkeys(texts)))
        for (status, code), texts in sorted(found.items())
    ]


def _particular_codes() -> Iterator[tuple[str, str, str]]:
    """Yield those of each error that is raised with a code of its own, with its message there."""
    source = Path(errors.__file__).parent
    for folder in ("generation", "server/api", "server/openai", "server/keys", "history"):
        for path in sorted((source / folder).rglob("*.py")):
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match call:
                    case ast.Call(
                        func=ast.Name(name), keywords=[ast.keyword("code", ast.Constant(code)), *_]
                    ) if name in _ANSWERED:
                        yield _status(name), str(code), _message(call.args[-1])


def _status(name: str) -> str:
    kind: type[LoreLMError] = getattr(errors, name)
    return str(status_of(kind.__new__(kind)))


def _message(argument: ast.expr) -> str:
    """Return a text in the source, with … for what is filled in."""
    match argument:
        case ast.Constant(text):
            return str(text)
        case ast.JoinedStr(parts):
            return "".join(_message(each) for each in parts)
        case ast.BinOp(left):
            return _message(left).rstrip("…") + "…"
    return "…"
