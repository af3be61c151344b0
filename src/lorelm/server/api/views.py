"""The JSON API. Errors are ``{"error": {"message": …, "field": …, "code": …}}``."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request

from lorelm.bundle.manifest import Manifest
from lorelm.corpus.special_tokens import speaker_name
from lorelm.errors import LoreLMError
from lorelm.generation.handle import RequestHandle
from lorelm.generation.reply import Reply, Sample, Token, prompt_tokens
from lorelm.generation.sequence import GenerationRequest, Sequence
from lorelm.server.api.requests import CheckRequest, GenerateRequest, ScoreRequest
from lorelm.server.errors import status_of
from lorelm.server.events import EventStream, event
from lorelm.server.generate import api_client, set_client_cookie, start_generation
from lorelm.server.served_model import ServedModel
from lorelm.server.state import server_state

_MAX_UNKNOWN_WORDS: Final = 50
"""The search for the nearest words of each takes a millisecond."""

api = Blueprint("api", __name__, url_prefix="/api")
api.after_request(set_client_cookie)


@api.post("/generate")
def generate() -> Response:
    """Continue a prompt."""
    body = GenerateRequest.from_request()
    served = server_state().served(body.model, body.given().get("blend"))
    generated = body.generation_request(served)
    handle = start_generation(served, [generated], api_client(), is_streamed=bool(body.stream))
    if body.stream:
        return EventStream(
            _events(served, generated, handle),
            error_event=_error_event,
            on_close=handle.close,
            follow=handle.follow,
        )
    handle.wait()
    return jsonify(_reply_json(served.model.reply(generated)) | _origin(served))


@api.post("/score")
def score() -> Response:
    """Score each token of a text."""
    body = ScoreRequest.from_request()
    served = server_state().find_model(body.model)
    scored = served.model.scoring_request(
        served.model.prompts.read(body.text),
        num_alternatives=body.given().get("num_alternatives", 0),
        deadline=served.deadline(body.timeout_seconds),
    )
    start_generation(served, [scored], api_client()).wait()
    tokens = prompt_tokens(scored.sequences[0])
    return jsonify(
        {
            "text": body.text,
            "unknown_words": scored.prompt.unknown_words,
            "log_probability": sum(token.log_probability or 0.0 for token in tokens),
            "tokens": [_token_json(token) for token in tokens],
        }
        | _origin(served)
    )


@api.post("/check")
def check() -> Response:
    """Find the unknown words of a text."""
    body = CheckRequest.from_request()
    served = server_state().find_model(body.model)
    unknown_words = _unknown_words(served, body.text)
    found = [
        {"word": word, "nearest": served.model.word_index.nearest(word)}
        for word in unknown_words[:_MAX_UNKNOWN_WORDS]
    ]
    counted = {"unknown_words": found, "num_unknown_words": len(unknown_words)}
    return jsonify(counted | _origin(served))


@api.get("/model")
def model() -> Response:
    """Describe a model and its metrics."""
    served = server_state().find_model(request.args.get("model"))
    manifest, settings = served.manifest, served.settings
    return jsonify(
        _origin(served)
        | {
            "title": served.title,
            "corpus": manifest.corpus
            and manifest.corpus.model_dump(mode="json", exclude={"files"}),
            "imported": manifest.imported and manifest.imported.model_dump(mode="json"),
            "tokenizer": manifest.tokenizer,
            "network": asdict(manifest.model),
            "speakers": served.model.vocabulary.speaker_names,
            "evaluation": _evaluation(manifest),
            "figures": manifest.metrics and manifest.metrics.model_dump(mode="json"),
            "mixture": served.model.is_mixed,
            "cache": settings.cache,
            "can_forbid_copies": served.model.can_forbid_copies,
            "limits": settings.limits | {"timeout_seconds": settings.timeout_seconds},
        }
    )


def _unknown_words(served: ServedModel, text: str) -> list[str]:
    """Return the speakers and the words of a text that a model does not know."""
    read = served.model.prompts.read(text)
    known = served.model.vocabulary.speakers
    names = (name for name in map(speaker_name, read.tokens) if name is not None)
    speakers = dict.fromkeys(f"{name}:" for name in names if name not in known)
    return [*speakers, *read.unknown_words]


def _evaluation(manifest: Manifest) -> dict[str, Any] | None:
    training, metrics = manifest.training, manifest.metrics
    if training is None:
        return None
    return {
        "valid_perplexity": training.valid_perplexity,
        "test_perplexity": training.test_perplexity,
        "int8_test_perplexity": metrics and metrics.perplexity,
        "test_unknown_rate": metrics and metrics.unknown_rate,
    }


def _origin(served: ServedModel) -> dict[str, Any]:
    """Name the model, so that the text can be generated again."""
    return {"model": served.name, "fingerprint": served.fingerprint}


def _events(
    served: ServedModel, generated: GenerationRequest, handle: RequestHandle
) -> Iterator[str]:
    """Yield the events of a streamed request."""
    prompt = generated.prompt
    start = {
        "prompt": prompt.text,
        "unknown_words": prompt.unknown_words,
        "seeds": [sequence.seed for sequence in generated.sequences],
    }
    yield event(start | _origin(served), name="start")
    for updates in handle.stream():
        yield "".join(
            _end_event(served, index, generated.sequences[index])
            if not tokens
            else event({"sample": index, "tokens": [_token_json(token) for token in tokens]})
            for index, tokens in updates
        )
    yield event({}, name="done")


def _error_event(error: LoreLMError) -> str:
    return event(
        {"message": str(error), "status": status_of(error), "code": error.code}, name="error"
    )


def _end_event(served: ServedModel, index: int, sequence: Sequence) -> str:
    """Return the event of a finished sample; its tokens have been sent."""
    sample = served.model.sample(sequence, has_tokens=False)
    return event({"sample": index} | _sample_json(sample), name="sample")


# What `dataclasses.asdict` would return, without its deep copies: these took 0.3 ms of the 2 ms
# of a request for 40 tokens.


def _reply_json(reply: Reply) -> dict[str, Any]:
    return vars(reply) | {"samples": [_sample_json(sample) for sample in reply.samples]}


def _sample_json(sample: Sample) -> dict[str, Any]:
    tokens, spans = sample.tokens, sample.copied_spans
    return vars(sample) | {
        "tokens": None if tokens is None else [_token_json(token) for token in tokens],
        "copied_spans": None if spans is None else [vars(span) for span in spans],
    }


def _token_json(token: Token) -> dict[str, Any]:
    return vars(token) | {"alternatives": [vars(other) for other in token.alternatives]}
