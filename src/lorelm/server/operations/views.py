"""Liveness, readiness and metrics for operators, and the record of each request."""

import logging
import time
from typing import Final

from flask import Blueprint, Response, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST

from lorelm.server.errors import status_of
from lorelm.server.events import EventStream
from lorelm.server.request_ids import request_id
from lorelm.server.state import server_state

operations = Blueprint("operations", __name__)

_log: Final = logging.getLogger(__name__)


@operations.get("/healthz")
def healthz() -> Response:
    """Tell whether the process is alive."""
    return jsonify({"status": "ok"})


@operations.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Tell whether it takes requests."""
    if all(model.engine.is_accepting for model in server_state().models):
        return jsonify({"status": "ready"}), 200
    return jsonify({"status": "shutting down"}), 503


@operations.get("/metrics")
def metrics() -> Response:
    """Metrics for Prometheus."""
    return Response(server_state().metrics.render(), content_type=CONTENT_TYPE_LATEST)


def start_timer() -> None:
    """Note when the request began; runs before everything else."""
    g.started = time.perf_counter()


def record_response(response: Response) -> Response:
    """Count the response and write it to the access log; a stream, when it ends."""
    state = server_state()
    # The pattern, not the path: clients can invent paths without end.
    endpoint = request.url_rule.rule if request.url_rule else "other"
    started = g.get("started", time.perf_counter())
    state.metrics.request_seconds.labels(endpoint).observe(time.perf_counter() - started)
    # The address of a shared text is a secret, which a log must not hold.
    path = endpoint if request.blueprint == "shared" else request.path
    entry = {
        "request_id": request_id(),
        "client": request.remote_addr,
        "method": request.method,
        "path": path,
    }

    def record_end() -> None:
        failure, num_bytes = None, response.content_length
        if isinstance(response, EventStream):
            failure, num_bytes = response.failure, response.num_bytes
        status = status_of(failure) if failure else response.status_code
        state.metrics.requests.labels(endpoint, str(status)).inc()
        seconds = round(time.perf_counter() - started, 6)
        _log.info(
            "request %(request_id)s: %(method)s %(path)s %(status)d in %(seconds).3f s",
            entry | {"status": status, "seconds": seconds},
        )
        if state.access_log is not None:
            state.access_log.write(
                **entry,
                status=status,
                seconds=seconds,
                bytes=num_bytes,
                error=str(failure) if failure else None,
            )

    if isinstance(response, EventStream):
        response.call_on_close(record_end)
    else:
        record_end()
    return response
