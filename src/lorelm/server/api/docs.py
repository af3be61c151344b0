"""What the APIs take and give: ``/openapi.json``, and ``/docs`` for people."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from flask import Blueprint, Response, jsonify, render_template
from pydantic import BaseModel, TypeAdapter

from lorelm.generation.reply import Reply, Sample, Token
from lorelm.server.api.requests import CheckRequest, GenerateRequest, ScoreRequest
from lorelm.server.openai.requests import CompletionRequest, DetokenizeRequest, TokenizeRequest
from lorelm.server.served_models import ServedModels
from lorelm.version import VERSION

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_WHOLE: Final[Json] = {"type": "integer"}
_NUMBER: Final[Json] = {"type": "number"}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_ORIGIN: Final = {"model": _TEXT, "fingerprint": _TEXT}

_ANSWERS: Final[dict[str, Json]] = {
    "GenerateReply": _object(
        prompt=_TEXT, unknown_words=_list(_TEXT), samples=_list(_reference("Sample")), **_ORIGIN
    ),
    "ScoreReply": _object(
        text=_TEXT,
        unknown_words=_list(_TEXT),
        log_probability=_NUMBER,
        tokens=_list(_reference("Token")),
        **_ORIGIN,
    ),
    "CheckReply": _object(
        unknown_words=_list(_object(word=_TEXT, nearest=_list(_TEXT))),
        num_unknown_words=_WHOLE,
        **_ORIGIN,
    ),
    "ModelFacts": _object(
        **_ORIGIN,
        corpus=_or_null({"type": "object"}),
        imported=_or_null({"type": "object"}),
        tokenizer=_TEXT,
        network={"type": "object"},
        evaluation=_or_null({"type": "object"}),
        figures=_or_null({"type": "object"}),
        mixture={"type": "boolean"},
        cache={"type": "boolean"},
        can_forbid_copies={"type": "boolean"},
        limits=_object(max_len=_WHOLE, num_samples=_WHOLE, timeout_seconds=_NUMBER),
    ),
    "Completion": _object(
        id=_TEXT,
        object={"const": "text_completion"},
        created=_WHOLE,
        model=_TEXT,
        system_fingerprint=_TEXT,
        choices=_list(
            _object(
                index=_WHOLE,
                text=_TEXT,
                logprobs=_or_null(
                    _object(
                        tokens=_list(_TEXT),
                        token_logprobs=_list(_NUMBER),
                        top_logprobs=_list(
                            {"type": "object", "additionalProperties": {"type": "number"}}
                        ),
                        text_offset=_list(_WHOLE),
                    )
                ),
                finish_reason={"enum": ["stop", "length"]},
                seed=_WHOLE,
            )
        ),
        usage=_object(prompt_tokens=_WHOLE, completion_tokens=_WHOLE, total_tokens=_WHOLE),
    ),
    "Model": _object(id=_TEXT, object={"const": "model"}, created=_WHOLE, owned_by=_TEXT),
    "Models": _object(object={"const": "list"}, data=_list(_reference("Model"))),
    "Ids": _object(tokens=_list(_WHOLE), count=_WHOLE),
    "Text": _object(prompt=_TEXT),
    "TokenizerInfo": _object(
        tokenizer_class=_TEXT, vocab_size=_WHOLE, eos_token=_TEXT, unk_token=_TEXT
    ),
    "Status": _object(status=_TEXT),
    "Error": _object(
        error=_object(
            message=_TEXT,
            field=_or_null(_TEXT),
            fields=_list(_object(field=_TEXT, message=_TEXT)),
            code=_TEXT,
        )
    ),
    "OpenAIError": _object(
        error=_object(message=_TEXT, type=_TEXT, param=_or_null(_TEXT), code=_or_null(_TEXT))
    ),
}


@dataclass(frozen=True)
class _Endpoint:
    """One address and what it does.

    Attributes:
        answer: the name of its schema; None for plain text.
        error: the name of the schema of its errors.
        is_of_model: whether it may be asked of a model by its name, in the query.
    """

    method: str
    path: str
    summary: str
    answer: str | None
    body: type[BaseModel] | None = None
    is_streamed: bool = False
    error: str = "OpenAIError"
    is_of_model: bool = False


_ENDPOINTS: Final = (
    _Endpoint(
        *("post", "/api/generate", "Goes on with a prompt.", "GenerateReply", GenerateRequest),
        is_streamed=True,
        error="Error",
    ),
    _Endpoint(
        *("post", "/api/score", "How likely the model holds each token of a text."),
        *("ScoreReply", ScoreRequest),
        error="Error",
    ),
    _Endpoint(
        *("post", "/api/check", "Which words of a text the model does not know."),
        *("CheckReply", CheckRequest),
        error="Error",
    ),
    _Endpoint(
        *("get", "/api/model", "What the model is, and what it is worth.", "ModelFacts"),
        error="Error",
        is_of_model=True,
    ),
    _Endpoint(
        *("post", "/v1/completions", "The same as OpenAI's legacy completions API."),
        *("Completion", CompletionRequest),
        is_streamed=True,
    ),
    _Endpoint("get", "/v1/models", "The models that are served.", "Models"),
    _Endpoint("get", "/v1/models/{name}", "One of them.", "Model"),
    _Endpoint("post", "/tokenize", "The ids of a text.", "Ids", TokenizeRequest),
    _Endpoint("post", "/detokenize", "The text of ids.", "Text", DetokenizeRequest),
    _Endpoint(
        *("get", "/tokenizer_info", "What cuts the text.", "TokenizerInfo"), is_of_model=True
    ),
    _Endpoint("get", "/healthz", "Whether the process lives.", "Status"),
    _Endpoint("get", "/readyz", "Whether it takes requests.", "Status"),
    _Endpoint("get", "/metrics", "What it has counted, for Prometheus.", None),
)


def make_docs(models: ServedModels) -> Blueprint:
    """The views that describe the others."""
    docs = Blueprint("docs", __name__)

    @docs.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(openapi_document())

    @docs.get("/docs")
    def page() -> str:
        return render_template("docs.html", document=openapi_document(), name=models.default.name)

    return docs


@cache
def openapi_document() -> Json:
    """The OpenAPI document, version 3.1."""
    schemas: Json = dict(_ANSWERS)
    paths: dict[str, Json] = {}
    for kind in (Reply, Sample, Token):
        _add_schema(kind, schemas)
    for endpoint in _ENDPOINTS:
        if endpoint.body is not None:
            _add_schema(endpoint.body, schemas)
        paths.setdefault(endpoint.path, {})[endpoint.method] = _operation(endpoint)
    del schemas["Reply"]  # what is answered says where it comes from, too
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LoreLM",
            "version": VERSION,
            "description": "A small language model of a person's own text.",
        },
        # Beside this document, below whatever path; without it, tools take the host's root.
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],  # where the server was started with one
    }


def _parameter(name: str, place: str) -> Json:
    return {"name": name, "in": place, "required": place == "path", "schema": _TEXT}


def _add_schema(kind: type, schemas: Json) -> None:
    schema = TypeAdapter(kind).json_schema(ref_template="#/components/schemas/{model}")
    found = {**schema.pop("$defs", {}), kind.__name__: schema}
    for each in found.values():
        # What a docstring says below its first line is for who reads the code.
        each["description"] = each.get("description", "").split("\n")[0]
    schemas |= found


def _operation(endpoint: _Endpoint) -> Json:
    text = {"text/plain": {"schema": _TEXT}}
    content = (
        {"application/json": {"schema": _reference(endpoint.answer)}} if endpoint.answer else text
    )
    if endpoint.is_streamed:
        content["text/event-stream"] = {}
    refusal = {"application/json": {"schema": _reference(endpoint.error)}}
    operation: Json = {
        "summary": endpoint.summary,
        "operationId": re.sub(r"\W+", "_", f"{endpoint.method}{endpoint.path}").strip("_"),
        "responses": {
            "200": {"description": "All is well.", "content": content},
            "4XX": {"description": "It is refused, and why.", "content": refusal},
            "503": {"description": "Not now: try again later.", "content": refusal},
        },
    }
    if endpoint.body is not None:
        body = {"application/json": {"schema": _reference(endpoint.body.__name__)}}
        operation["requestBody"] = {"required": True, "content": body}
    if "{name}" in endpoint.path:
        operation["parameters"] = [_parameter("name", "path")]
    elif endpoint.is_of_model:
        operation["parameters"] = [_parameter("model", "query")]
    return operation
