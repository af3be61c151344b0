"""Liveness, readiness and metrics for operators, and the record of each request."""

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from flask import Blueprint, Response, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST

from lorelm.server.errors import status_of
from lorelm.server.events import EventStream
from lorelm.server.keys.current import current_holder
from lorelm.server.operations.traces import trace_id_of
from lorelm.server.request_ids import request_id
from lorelm.server.state import ServerState, server_state

if TYPE_CHECKING:
    from opentelemetry.trace import Span

operations = Blueprint("operations", __name__)

_log: Final = logging.getLogger(__name__)

_BROKEN_KEYS: Final = (
    "cannot be read: the keys that were read last still hold, and the log says why"
)


@operations.get("/healthz")
def healthz() -> Response:
    """Tell whether the process is alive."""
    return jsonify({"status": "ok"})


@operations.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Tell whether it takes requests."""
    state = server_state()
    if all(model.engine.is_accepting for model in state.models):
        state.keys.refresh()
        keys_file = _BROKEN_KEYS if state.keys.problem is not None else None
        return jsonify({"status": "ready", "keys_file": keys_file}), 200
    return jsonify({"status": "shutting down"}), 503


@operations.get("/metrics")
def metrics() -> Response:
    """Metrics for Prometheus."""
    state = server_state()
    state.keys.refresh()
    return Response(state.metrics.render(), content_type=CONTENT_TYPE_LATEST)


def start_timer() -> None:
    """Note when the request began, and begin its trace; runs before everything else."""
    g.started = time.perf_counter()
    traces = server_state().traces
    g.span = traces.start() if traces is not None else None


def record_response(response: Response) -> Response:
    """Count the response and write it to the access log; a stream, when it ends."""
    # The pattern, not the path: clients can invent paths without end.
    endpoint = request.url_rule.rule if request.url_rule else "other"
    started = g.get("started", time.perf_counter())
    seconds = time.perf_counter() - started
    server_state().metrics.request_seconds.labels(endpoint).observe(seconds)
    holder = current_holder()
    entry = {
        "request_id": request_id(),
        "client": request.remote_addr,
        "key": holder and holder.name,
        "method": request.method,
        # The address of a shared text is a secret, which a log must not hold.
        "path": endpoint if request.blueprint == "shared" else request.path,
    }
    span = g.get("span")
    if span is not None:
        entry["trace_id"] = trace_id_of(span)
    record_end = partial(_record_end, server_state(), response, endpoint, started, entry, span)
    if isinstance(response, EventStream):
        response.call_on_close(record_end)
    else:
        record_end()
    return response


def _record_end(
    state: ServerState,
    response: Response,
    endpoint: str,
    started: float,
    entry: dict[str, Any],
    span: "Span | None",
) -> None:
    """Count and log a response that has ended, outside of its request.

    Args:
        endpoint: the pattern of its address.
        entry: what the access log says of the request.
    """
    failure, num_bytes = None, response.content_length
    if isinstance(response, EventStream):
        failure, num_bytes = response.failure, response.num_bytes
    status = status_of(failure) if failure else response.status_code
    state.metrics.record_response(endpoint, status, entry["key"])
    ended = entry | {
        "status": status,
        "seconds": round(time.perf_counter() - started, 6),
        "bytes": num_bytes,
        "error": str(failure) if failure else None,
    }
    of_key = f" with the key {entry['key']}" if entry["key"] is not None else ""
    _log.info(
        "request %(request_id)s%(of_key)s: %(method)s %(path)s %(status)d in %(seconds).3f s",
        # Quoted: a line break in a path would forge a line of the log.
        ended | {"of_key": of_key, "path": quote(entry["path"])},
    )
    if state.traces is not None and span is not None:
        state.traces.end(span, ended, failure)
    if state.access_log is not None:
        state.access_log.write(**ended)
