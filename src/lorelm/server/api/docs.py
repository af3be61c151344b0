"""Description of the APIs: ``/openapi.json``, and ``/docs`` for people.

Requests describe themselves (:mod:`lorelm.server.request_model`); answers are declared here.
"""

import re
from typing import Any, Final

from flask import Blueprint, Response, current_app, jsonify, render_template
from pydantic import TypeAdapter

from lorelm.generation.reply import Sample, Token
from lorelm.server.api.requests import CheckRequest, GenerateRequest, ScoreRequest
from lorelm.server.drafts.requests import (
    CONTENT_SCHEMA,
    ChangeDraftRequest,
    NewDraftRequest,
    NewLinkRequest,
    SaveDraftRequest,
)
from lorelm.server.language import use_english
from lorelm.server.openai.chat_requests import ChatRequest
from lorelm.server.openai.requests import CompletionRequest, DetokenizeRequest, TokenizeRequest
from lorelm.server.request_model import RequestModel, limited, schema_of
from lorelm.server.state import server_state
from lorelm.version import VERSION

Json = dict[str, Any]

docs = Blueprint("docs", __name__)

_MODEL: Final = {"model": str, "fingerprint": str}
_LIMITS: Final = {"max_len": int, "num_samples": int, "timeout_seconds": float}
_LOGPROBS: Final = {
    "tokens": [str],
    "token_logprobs": [float],
    "top_logprobs": [dict],
    "text_offset": [int],
}
_CHOICE: Final = {
    "index": int,
    "text": str,
    "logprobs": (_LOGPROBS, None),
    "finish_reason": str,
    "seed": int,
}
_CHAT_SCORE: Final = {"token": str, "bytes": [int], "logprob": float}
_CHAT_CHOICE: Final = {
    "index": int,
    "message": {"role": str, "name": (str, None), "content": str, "refusal": (str, None)},
    "logprobs": ({"content": [{**_CHAT_SCORE, "top_logprobs": [_CHAT_SCORE]}]}, None),
    "finish_reason": str,
    "seed": int,
}
_ANSWER: Final = {"id": str, "object": str, "created": int, "model": str, "system_fingerprint": str}
_USAGE: Final = {"prompt_tokens": int, "completion_tokens": int, "total_tokens": int}

_LINK: Final = {"id": str, "name": str, "created_at": str, "model": str, "excerpt": str}
_DRAFT: Final = {**_LINK, "changed_at": str, "starred": bool, "version": int}

# Types as _schema reads them; a text is the name of another schema.
_ANSWERS: Final[dict[str, Any]] = {
    "GenerateReply": {"prompt": str, "unknown_words": [str], "samples": ["Sample"], **_MODEL},
    "ScoreReply": {
        **{"text": str, "unknown_words": [str], "log_probability": float, "tokens": ["Token"]},
        **_MODEL,
    },
    "CheckReply": {
        "unknown_words": [{"word": str, "nearest": [str]}],
        "num_unknown_words": int,
        **_MODEL,
    },
    "ModelMetadata": {
        **_MODEL,
        **{"title": str},
        **{"corpus": (dict, None), "imported": (dict, None), "tokenizer": str, "network": dict},
        "speakers": [str],
        **{"evaluation": (dict, None), "figures": (dict, None)},
        **{"mixture": bool, "cache": bool, "can_forbid_copies": bool, "limits": _LIMITS},
    },
    "Completion": {**_ANSWER, "choices": [_CHOICE], "usage": _USAGE},
    "ChatCompletion": {**_ANSWER, "choices": [_CHAT_CHOICE], "usage": _USAGE},
    "Model": {"id": str, "object": str, "created": int, "owned_by": str},
    "Models": {"object": str, "data": ["Model"]},
    "Ids": {"tokens": [int], "count": int},
    "Text": {"prompt": str},
    "TokenizerInfo": {
        "tokenizer_class": str,
        "vocab_size": int,
        "eos_token": str,
        "unk_token": str,
    },
    "Draft": {**_DRAFT, "content": ("Content", None)},
    "Drafts": {"drafts": ["Draft"], "next": (str, None)},
    "Link": _LINK,
    "NewLink": {**_LINK, "path": str},
    "Links": {"links": ["Link"]},
    "RevokedLink": {"id": str},
    "Status": {"status": str},
    "Readiness": {"status": str, "keys_file": (str, None)},
    "Error": {
        "error": {
            "message": str,
            "field": (str, None),
            "fields": [{"field": str, "message": str}],
            "code": str,
        }
    },
    "OpenAIError": {
        "error": {"message": str, "type": str, "param": (str, None), "code": (str, None)}
    },
}


STREAM_EVENTS: Final = (
    (
        "start",
        "once: the prompt as the model read it, its unknown_words, the seeds of the samples, model "
        "and fingerprint",
    ),
    ("", "the next tokens of a sample (its number, from 0), each with what a reply's tokens have"),
    ("sample", "a sample has ended: its number and all that it has in a reply but the tokens"),
    ("done", "the end, with an empty object; a stream that ends without it broke off"),
    ("error", "the end in place of done: message, code, and the status of a plain reply"),
)
"""Names of the events of a stream of /api/generate (the empty one: without a name), and meaning."""

# By the name of a view: the name of the answer's schema (None for plain text), and the body of the
# request. Those for drafts and links are there only where the server keeps them.
_ENDPOINTS: Final[dict[str, tuple[str | None, type[RequestModel] | None]]] = {
    "api.generate": ("GenerateReply", GenerateRequest),
    "api.score": ("ScoreReply", ScoreRequest),
    "api.check": ("CheckReply", CheckRequest),
    "api.model": ("ModelMetadata", None),
    "openai.completions": ("Completion", CompletionRequest),
    "openai.chat_completions": ("ChatCompletion", ChatRequest),
    "openai.list_models": ("Models", None),
    "openai.model": ("Model", None),
    "tokenizing.tokenize": ("Ids", TokenizeRequest),
    "tokenizing.detokenize": ("Text", DetokenizeRequest),
    "tokenizing.tokenizer_info": ("TokenizerInfo", None),
    "drafts.list_drafts": ("Drafts", None),
    "drafts.add_draft": ("Draft", NewDraftRequest),
    "drafts.open_draft": ("Draft", None),
    "drafts.save_draft": ("Draft", SaveDraftRequest),
    "drafts.change_draft": ("Draft", ChangeDraftRequest),
    "drafts.delete_draft": ("Draft", None),
    "links.list_links": ("Links", None),
    "links.add_link": ("NewLink", NewLinkRequest),
    "links.revoke_link": ("RevokedLink", None),
    "operations.healthz": ("Status", None),
    "operations.readyz": ("Readiness", None),
    "operations.metrics": (None, None),
}

_QUERIES: Final = {
    "api.model": ("model",),
    "tokenizing.tokenizer_info": ("model",),
    "drafts.list_drafts": ("q", "after"),
}
"""The parameters that the query of a view may have."""


@docs.get("/openapi.json")
def openapi() -> Response:
    """Answer with the OpenAPI document."""
    return jsonify(openapi_document())


@docs.get("/docs")
def docs_page() -> str:
    """Answer with a page that shows the OpenAPI document."""
    name = server_state().models[0].name
    use_english()
    return render_template(
        "docs.html", document=openapi_document(), name=name, stream_events=STREAM_EVENTS
    )


def openapi_document() -> Json:
    """Return the OpenAPI document, version 3.1, with the limits of this server."""
    limits = server_state().settings.limits
    rules = {rule.endpoint: rule for rule in current_app.url_map.iter_rules()}
    views = [view for view in _ENDPOINTS if view in rules]
    bodies = [body for view in views if (body := _ENDPOINTS[view][1])]
    schemas = {name: _schema(answer) for name, answer in _ANSWERS.items()}
    schemas["Content"] = CONTENT_SCHEMA
    schemas |= _described(Sample, Token, *bodies)
    for body in bodies:
        for name, parameter in body.parameters.items():
            if parameter.name in limits:
                properties = schemas[body.__name__]["properties"]
                properties[name] |= schema_of(limited(parameter, limits))
    paths: dict[str, Json] = {}
    for view in views:
        path = re.sub("<.*?(\\w+)>", r"{\1}", rules[view].rule)
        [method] = (rules[view].methods or set()) - {"HEAD", "OPTIONS"}
        paths.setdefault(path, {})[method.lower()] = _operation(path, method.lower(), view)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LoreLM",
            "version": VERSION,
            "description": "A small language model of a person's own text.",
        },
        # Relative to this document, so any path prefix works; tools default to the root.
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],  # if the server was started with a key
    }


def _schema(kind: Any) -> Json:
    """Return the JSON schema of a type: [kind] is a list, (kind, None) may be null."""
    if isinstance(kind, str):
        return {"$ref": f"#/components/schemas/{kind}"}
    if isinstance(kind, list):
        return {"type": "array", "items": _schema(kind[0])}
    if isinstance(kind, tuple):
        return {"anyOf": [_schema(kind[0]), {"type": "null"}]}
    if isinstance(kind, dict):
        properties = {name: _schema(each) for name, each in kind.items()}
        return {"type": "object", "properties": properties, "required": list(properties)}
    names = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object"}
    return {"type": names[kind]}


def _described(*kinds: type) -> Json:
    """Return the schemas of dataclasses and requests, and what they refer to, by their names."""
    _, schema = TypeAdapter.json_schemas(
        [(kind, "validation", TypeAdapter(kind)) for kind in kinds],
        ref_template="#/components/schemas/{model}",
    )
    found: Json = schema["$defs"]
    for each in found.values():
        # The other lines of a docstring are for readers of the code.
        each["description"] = each.get("description", "").split("\n")[0]
    return found


def _operation(path: str, method: str, view: str) -> Json:
    """Return the operation of a view, whose docstring is its summary."""
    answer, body = _ENDPOINTS[view]
    media_type = "application/json" if answer else "text/plain"
    content = {media_type: {"schema": _schema(answer or str)}}
    if body and "stream" in body.model_fields:
        content["text/event-stream"] = {}
    error = "Error" if path.startswith("/api/") else "OpenAIError"
    error_content = {"application/json": {"schema": _schema(error)}}
    operation: Json = {
        "summary": current_app.view_functions[view].__doc__,
        "operationId": re.sub(r"\W+", "_", f"{method}{path}").strip("_"),
        "responses": {
            "200": {"description": "Success.", "content": content},
            "4XX": {"description": "The request is wrong.", "content": error_content},
            "503": {"description": "Unavailable: try again later.", "content": error_content},
        },
    }
    if body is not None:
        body_content = {"application/json": {"schema": _schema(body.__name__)}}
        operation["requestBody"] = {"required": True, "content": body_content}
    places = dict.fromkeys(re.findall(r"{(\w+)}", path), "path")
    places |= dict.fromkeys(_QUERIES.get(view, ()), "query")
    if places:
        operation["parameters"] = [_parameter(name, place) for name, place in places.items()]
    return operation


def _parameter(name: str, place: str) -> Json:
    return {"name": name, "in": place, "required": place == "path", "schema": _schema(str)}
