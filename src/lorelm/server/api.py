"""The JSON API."""

from dataclasses import asdict

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest, HTTPException, UnsupportedMediaType

from lorelm.errors import SamplingError
from lorelm.generation.language_model import LanguageModel
from lorelm.server.requests import GenerateRequest
from lorelm.server.settings import ServerSettings


def make_api(model: LanguageModel, *, limits: ServerSettings) -> Blueprint:
    """The views below ``/api``. Errors are ``{"error": {"message": …, "field": …}}``."""
    api = Blueprint("api", __name__, url_prefix="/api")

    @api.post("/generate")
    def generate() -> Response:
        asked = GenerateRequest.from_json(_json_body())
        reply = model.reply(
            asked.prompt,
            asked.settings(
                max_len_limit=limits.max_len_limit, num_samples_limit=limits.num_samples_limit
            ),
        )
        return jsonify(asdict(reply))

    return api


def error_response(error: HTTPException | SamplingError) -> Response:
    """The JSON that answers a request that went wrong."""
    if isinstance(error, SamplingError):
        message, field, status = str(error), error.field, 422
    else:
        message, field, status = error.description or error.name, None, error.code or 500
    response = jsonify({"error": {"message": message, "field": field}})
    response.status_code = status
    return response


def _json_body() -> object:
    try:
        return request.get_json()
    except UnsupportedMediaType as error:
        raise UnsupportedMediaType(
            "send the request as JSON, with the header Content-Type: application/json"
        ) from error
    except (BadRequest, RecursionError) as error:
        raise BadRequest("the body is not JSON: check its quotes, commas and braces") from error
