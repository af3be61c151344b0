"""The JSON API."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request

from lorelm.errors import LoreLMError
from lorelm.generation.generation import Generation, StreamedToken
from lorelm.generation.task import Task
from lorelm.server.api.requests import CheckRequest, GenerateRequest, ScoreRequest
from lorelm.server.errors import status_of
from lorelm.server.events import EventStream, event
from lorelm.server.history.log import Asker, HistoryLog
from lorelm.server.served_model import ServedModel
from lorelm.server.served_models import ServedModels

_MAX_UNKNOWN_WORDS: Final = 50
"""More than these nobody wants to mend; the search for each takes a millisecond."""


def make_api(models: ServedModels, history: HistoryLog | None) -> Blueprint:
    """The views below ``/api``. Errors are ``{"error": {"message": …, "field": …}}``."""
    api = Blueprint("api", __name__, url_prefix="/api")
    if history is not None:
        api.after_request(history.browsers.remember)

    @api.post("/generate")
    def generate() -> Response:
        asked = GenerateRequest.from_request(models.default.settings.limits)
        served = models.find(asked.model)
        task = asked.task(served)
        generation = served.begin(
            [task], asker(), is_streamed=bool(asked.stream), is_abandoned=client_is_gone()
        )
        if asked.stream:
            return EventStream(
                _events(served, task, generation),
                error_event=_error_event,
                on_close=generation.close,
            )
        generation.wait()
        reply = asdict(served.model.wording.reply(task))
        return jsonify(reply | _origin(served))

    @api.post("/score")
    def score() -> Response:
        asked = ScoreRequest.from_request()
        served = models.find(asked.model)
        task = served.model.scoring_task(
            served.model.read_prompt(asked.text),
            num_alternatives=asked.given().get("num_alternatives", 0),
            deadline=served.deadline(asked.timeout_seconds),
        )
        served.begin([task], asker(), is_abandoned=client_is_gone()).wait()
        tokens = served.model.wording.prompt_tokens(task, task.drafts[0])
        return jsonify(
            {
                "text": asked.text,
                "unknown_words": task.prompt.unknown_words,
                "log_probability": sum(token.log_probability or 0.0 for token in tokens),
                "tokens": [asdict(token) for token in tokens],
            }
            | _origin(served)
        )

    @api.post("/check")
    def check() -> Response:
        asked = CheckRequest.from_request()
        served = models.find(asked.model)
        unknown_words = served.model.read_prompt(asked.text).unknown_words
        found = [
            {"word": word, "nearest": served.model.nearest_words.find(word)}
            for word in unknown_words[:_MAX_UNKNOWN_WORDS]
        ]
        counted = {"unknown_words": found, "num_unknown_words": len(unknown_words)}
        return jsonify(counted | _origin(served))

    @api.get("/model")
    def model() -> Response:
        served = models.find(request.args.get("model"))
        manifest, settings = served.manifest, served.settings
        return jsonify(
            _origin(served)
            | {
                "corpus": manifest.corpus
                and manifest.corpus.model_dump(mode="json", exclude={"files"}),
                "imported": manifest.imported and manifest.imported.model_dump(mode="json"),
                "tokenizer": manifest.tokenizer,
                "network": asdict(manifest.model),
                "evaluation": manifest.evaluation and manifest.evaluation.model_dump(mode="json"),
                "figures": manifest.figures and manifest.figures.model_dump(mode="json"),
                "mixture": settings.mixture,
                "cache": settings.cache,
                "can_forbid_copies": served.model.can_forbid_copies,
                "limits": settings.limits | {"timeout_seconds": settings.timeout_seconds},
            }
        )

    def asker() -> Asker:
        return Asker(source="api") if history is None else history.api_asker()

    return api


def client_is_gone() -> Callable[[], bool]:
    """What tells whether the client of the current request has hung up."""
    is_gone: Callable[[], bool] = request.environ.get("waitress.client_disconnected", _never)
    return is_gone


def _never() -> bool:
    return False


def _origin(served: ServedModel) -> dict[str, Any]:
    """What wrote a text, so that it can be made again."""
    return {"model": served.name, "fingerprint": served.fingerprint}


def _events(served: ServedModel, task: Task, generation: Generation) -> Iterator[str]:
    """The events of a generation."""
    prompt = task.prompt
    start = {
        "prompt": prompt.text,
        "unknown_words": prompt.unknown_words,
        "seeds": [draft.seed for draft in task.drafts],
    }
    yield event(start | _origin(served), name="start")
    for updates in generation.stream():
        yield "".join(
            _token_event(update)
            if isinstance(update, StreamedToken)
            else _end_event(served, task, update.place)
            for update in updates
        )
    yield event({}, name="done")


def _error_event(error: LoreLMError) -> str:
    return event({"message": str(error), "status": status_of(error)}, name="error")


def _token_event(update: StreamedToken) -> str:
    token = update.token
    return event(
        {
            "sample": update.place,
            "text": token.text,
            "log_probability": token.log_probability,
            "alternatives": [
                {"text": other.text, "log_probability": other.log_probability}
                for other in token.alternatives
            ],
        }
    )


def _end_event(served: ServedModel, task: Task, place: int) -> str:
    """The whole sample, but for the scores, which have been sent."""
    sample = served.model.wording.sample(task, task.drafts[place])
    return event({"sample": place} | asdict(replace(sample, tokens=None)), name="sample")
