"""Is it up, is it ready, and what has it counted."""

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST

from lorelm.server.operations.metrics import Metrics
from lorelm.server.served_models import ServedModels


def make_operations(models: ServedModels, metrics: Metrics) -> Blueprint:
    """The views for who runs the server."""
    operations = Blueprint("operations", __name__)

    @operations.get("/healthz")
    def healthz() -> Response:
        """The process lives."""
        return jsonify({"status": "ok"})

    @operations.get("/readyz")
    def readyz() -> tuple[Response, int]:
        """It takes requests; no longer, once it is about to stop."""
        if models.are_accepting:
            return jsonify({"status": "ready"}), 200
        return jsonify({"status": "shutting down"}), 503

    @operations.get("/metrics")
    def show_metrics() -> Response:
        return Response(metrics.render(), content_type=CONTENT_TYPE_LATEST)

    return operations
