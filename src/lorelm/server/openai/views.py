"""What OpenAI's clients call."""

from typing import Any

from flask import Blueprint, Response, jsonify

from lorelm.server.api.views import client_is_gone
from lorelm.server.events import EventStream
from lorelm.server.history.log import Asker
from lorelm.server.openai.completions import Completion, error_event
from lorelm.server.openai.requests import CompletionRequest
from lorelm.server.served_model import ServedModel
from lorelm.server.served_models import ServedModels


def make_openai_api(models: ServedModels, *, started_at: int) -> Blueprint:
    """The views below ``/v1``.

    Args:
        started_at: seconds since 1970.
    """
    openai = Blueprint("openai", __name__)

    @openai.post("/v1/completions")
    def completions() -> Response:
        asked = CompletionRequest.from_request(models.default.settings.limits)
        served = models.find(asked.model)
        completion = Completion(asked, served)
        generation = served.begin(
            completion.tasks,
            Asker(source="openai"),
            is_streamed=bool(asked.stream),
            is_abandoned=client_is_gone(),
        )
        if asked.stream:
            return EventStream(
                completion.events(generation), error_event=error_event, on_close=generation.close
            )
        generation.wait()
        return jsonify(completion.body())

    @openai.get("/v1/models")
    def list_models() -> Response:
        return jsonify({"object": "list", "data": [_facts(served) for served in models]})

    @openai.get("/v1/models/<path:name>")
    def model(name: str) -> Response:
        return jsonify(_facts(models.find(name)))

    def _facts(served: ServedModel) -> dict[str, Any]:
        return {
            "id": served.name,
            "object": "model",
            "created": started_at,
            "owned_by": "lorelm",
        }

    return openai
