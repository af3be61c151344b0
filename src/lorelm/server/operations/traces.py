"""OpenTelemetry traces of requests: :class:`Traces`.

The standard `OTEL_*` variables turn them on and say where they go. OpenTelemetry is imported only
then. No span has a text or a key.
"""

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self

from flask import request

from lorelm.errors import LoreLMError, MissingExtraError
from lorelm.generation.handle import RequestHandle
from lorelm.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_log: Final = logging.getLogger(__name__)

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

_UNTRACED: Final = (*("operations.healthz", "operations.readyz", "operations.metrics", "static"),)
"""Asked by machines every few seconds, or of no interest."""

_SECONDS_TO_SEND: Final = 2.0
"""At the end of the server."""


class Traces:
    """Makes a span for each request, and others for what its generation went through.

    The spans of a generation are made when it has ended, from the times that its handle noted, so
    that they cost nothing while it runs.
    """

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        # What is given here wins over the variables.
        named = "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        service = {} if named or "OTEL_SERVICE_NAME" in os.environ else {"service.name": "lorelm"}
        about = {"service.version": VERSION, "process.pid": f"{os.getpid()}"}
        self._exporter: Final = OTLPSpanExporter()
        self._provider: Final = TracerProvider(
            resource=Resource.create({**service, **about}), shutdown_on_exit=False
        )
        # Its thread belongs to this process: each worker makes its own.
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer: Final = self._provider.get_tracer("lorelm", VERSION)

    @classmethod
    def from_environment(cls) -> Self | None:
        """Return the traces that the variables ask for; None if they ask for none.

        What they ask for and cannot be had is logged; a server is not stopped by it.
        """
        exporter = os.environ.get("OTEL_TRACES_EXPORTER")
        is_off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none"
        if is_off or not (exporter or any(os.environ.get(name) for name in _ENDPOINTS)):
            return None
        protocol = next(filter(None, map(os.environ.get, _PROTOCOLS)), "http/protobuf")
        if exporter not in (None, "", "otlp") or protocol != "http/protobuf":
            _log.warning(
                "no traces are sent: LoreLM sends them by OTEL_TRACES_EXPORTER=otlp and "
                "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf alone"
            )
            return None
        try:
            return cls()
        except ImportError:
            _log.warning("no traces are sent: %s", MissingExtraError("sending traces", "otel"))
        except ValueError as error:
            _log.warning("no traces are sent: a variable OTEL_… has a wrong value: %s", error)
        return None

    def start(self) -> "Span | None":
        """Begin the span of the current request, within the trace that its headers name."""
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        if request.endpoint in _UNTRACED:
            return None
        route = request.url_rule.rule if request.url_rule else None
        return self._tracer.start_span(
            f"{request.method} {route}" if route else request.method,
            extract(request.headers),
            SpanKind.SERVER,
            {"http.request.method": request.method} | ({"http.route": route} if route else {}),
        )

    def end(self, span: "Span", entry: dict[str, Any], failure: LoreLMError | None) -> None:
        """End the span of a request.

        Args:
            entry: its line in the access log.
        """
        from opentelemetry.trace import StatusCode

        span.set_attribute("http.response.status_code", entry["status"])
        span.set_attribute("lorelm.request_id", entry["request_id"])
        if entry["key"] is not None:
            span.set_attribute("lorelm.key", entry["key"])
        if failure is not None:
            span.set_attribute("error.type", failure.code)
        if entry["status"] >= 500:
            span.set_status(StatusCode.ERROR)
        span.end()

    def add_generation(
        self, span: "Span", handle: RequestHandle, *, model: str, history_seconds: float
    ) -> None:
        """Add the spans of a generation that has ended to that of its request."""
        from opentelemetry.trace import set_span_in_context

        if not span.is_recording():
            return
        seconds = time.monotonic() - handle.created_at
        began = time.time_ns() - int(seconds * 1e9)
        is_finished = all(sequence.is_finished for sequence in handle.sequences)
        ended = (is_finished and handle.seconds_to_end) or seconds  # else it is given up now
        started = ended if handle.seconds_to_start is None else handle.seconds_to_start
        first = handle.seconds_to_first_token
        first = ended if first is None else first
        context = set_span_in_context(span)
        phases: list[tuple[str, float, float, dict[str, Any]]] = [("queue", 0.0, started, {})]
        if handle.seconds_to_start is not None:
            phases.append(("prompt", started, first, _of_prompt(handle)))
        if handle.seconds_to_first_token is not None:
            phases.append(("generate", first, ended, _of_generation(handle)))
        if history_seconds:
            phases.append(("history", ended, ended + history_seconds, {}))
        for name, start, end, attributes in phases:
            self._tracer.start_span(
                name,
                context,
                attributes={"gen_ai.request.model": model} | attributes,
                start_time=began + int(start * 1e9),
            ).end(began + int(end * 1e9))

    def close(self) -> None:
        """Send what is not sent yet, unless that takes too long."""
        # OpenTelemetry's own limit does not end what it tries again and again, for 10 s.
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(_SECONDS_TO_SEND)
        if sending.is_alive():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]


def trace_id_of(span: "Span") -> str:
    """Return the id of the trace of a span, as logs show it."""
    from opentelemetry.trace import format_trace_id

    return format_trace_id(span.get_span_context().trace_id)


def _of_prompt(handle: RequestHandle) -> dict[str, Any]:
    num_tokens = sum(len(each.prompt.tokens) for each in handle.requests)
    return {"gen_ai.usage.input_tokens": num_tokens}


def _of_generation(handle: RequestHandle) -> dict[str, Any]:
    """Return attributes by OpenTelemetry's conventions for generative models."""
    return {
        "gen_ai.usage.output_tokens": sum(each.num_tokens for each in handle.sequences),
        "gen_ai.response.finish_reasons": [
            each.status if each.is_finished else "cancelled" for each in handle.sequences
        ],
    }
