"""OpenAI's completions and chat APIs, and the tokenizer as evaluation tools call it."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from lorelm.server.events import EventStream
from lorelm.server.generate import start_generation
from lorelm.server.history.browser_ids import Client
from lorelm.server.openai.answers import Answer, error_event
from lorelm.server.openai.chat import ChatCompletion
from lorelm.server.openai.chat_requests import ChatRequest
from lorelm.server.openai.completions import Completion
from lorelm.server.openai.requests import (
    CompletionRequest,
    DetokenizeRequest,
    OpenAIRequest,
    TokenizeRequest,
)
from lorelm.server.served_model import ServedModel
from lorelm.server.state import server_state

openai = Blueprint("openai", __name__, url_prefix="/v1")
tokenizing = Blueprint("tokenizing", __name__)


@openai.post("/completions")
def completions() -> Response:
    """Continue prompts, as OpenAI's legacy completions API."""
    asked = CompletionRequest.from_request()
    served = server_state().served(asked.model, asked.given().get("blend"))
    return _respond(Completion(asked, served), asked, served)


@openai.post("/chat/completions")
def chat_completions() -> Response:
    """Write the next line of a scene, as OpenAI's chat completions API."""
    asked = ChatRequest.from_request()
    served = server_state().served(asked.model, asked.given().get("blend"))
    return _respond(ChatCompletion(asked, served), asked, served)


def _respond(answer: Answer[Any], asked: OpenAIRequest, served: ServedModel) -> Response:
    handle = start_generation(
        served, answer.requests, Client(source="openai"), is_streamed=bool(asked.stream)
    )
    if asked.stream:
        return EventStream(
            answer.events(handle),
            error_event=error_event,
            on_close=handle.close,
            follow=handle.follow,
        )
    handle.wait()
    return jsonify(answer.body())


@openai.get("/models")
def list_models() -> Response:
    """List the models."""
    data = [_metadata(served) for served in server_state().models]
    return jsonify({"object": "list", "data": data})


@openai.get("/models/<path:name>")
def model(name: str) -> Response:
    """Describe a model."""
    return jsonify(_metadata(server_state().find_model(name)))


def _metadata(served: ServedModel) -> dict[str, Any]:
    return {
        "id": served.name,
        "object": "model",
        "created": server_state().started_at,
        "owned_by": "lorelm",
    }


@tokenizing.post("/tokenize")
def tokenize() -> Response:
    """Turn a text into ids."""
    body = TokenizeRequest.from_request()
    served = server_state().find_model(body.model).model
    words = served.vocabulary.words
    ids = served.prompts.documents_to_ids(body.prompt)
    strings = {"token_strs": [words[id_] for id_ in ids]} if body.return_token_strs else {}
    return jsonify({"tokens": ids, "count": len(ids)} | strings)


@tokenizing.post("/detokenize")
def detokenize() -> Response:
    """Turn ids into a text."""
    body = DetokenizeRequest.from_request()
    served = server_state().find_model(body.model).model
    return jsonify({"prompt": served.prompts.ids_to_documents(body.tokens, field="tokens")})


@tokenizing.get("/tokenizer_info")
def tokenizer_info() -> Response:
    """Describe the tokenizer."""
    served = server_state().find_model(request.args.get("model"))
    unk, eos = served.model.vocabulary.words[:2]
    return jsonify(
        {
            "tokenizer_class": f"lorelm.{served.manifest.tokenizer}",
            "vocab_size": len(served.model.vocabulary),
            "eos_token": eos,
            "bos_token": None,
            "unk_token": unk,
            "pad_token": None,
            "chat_template": None,
        }
    )
