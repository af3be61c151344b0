"""Counters in the format of Prometheus: :class:`Metrics`."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lorelm.generation.engine.engine import Engine
from lorelm.generation.handle import RequestHandle
from lorelm.history.writer import HistoryWriter

_STEP_SECONDS: Final = (
    *(0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5),
)
_REQUEST_SECONDS: Final = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
_ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

# A second series for each counter, with its creation time, would be noise.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counters, gauges and histograms of one application.

    Attributes:
        requests: of answered requests, a stream when it ends.
        request_seconds: from a request to the first byte of its response.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        counter = partial(Counter, registry=self._registry)
        gauge = partial(Gauge, labelnames=("model",), registry=self._registry)
        histogram = partial(Histogram, registry=self._registry)
        self.requests = counter(
            "lorelm_requests",
            "Answered requests, by the pattern of their address and their status.",
            ("endpoint", "status"),
        )
        self.request_seconds = histogram(
            "lorelm_request_seconds",
            "From a request to the first byte of its response.",
            ("endpoint",),
            buckets=_REQUEST_SECONDS,
        )
        self._prompt_tokens = counter("lorelm_prompt_tokens", "Tokens of prompts.")
        self._generated_tokens = counter("lorelm_generated_tokens", "Generated tokens.")
        self._samples = counter(
            "lorelm_samples", "Samples, by the reason of their end.", ("finish_reason",)
        )
        self._first_token_seconds = histogram(
            "lorelm_time_to_first_token_seconds",
            "From a request's entry into the queue to its first token.",
            buckets=_REQUEST_SECONDS,
        )
        self._step_seconds = histogram(
            "lorelm_step_seconds", "One engine step for all rows.", buckets=_STEP_SECONDS
        )
        self._step_rows = histogram("lorelm_step_rows", "Rows of a step.", buckets=_ROWS)
        self._slots = gauge("lorelm_slots", "Samples that can be generated at the same time.")
        self._slots_in_use = gauge("lorelm_slots_in_use", "Samples that are being generated.")
        self._queue_depth = gauge("lorelm_queue_depth", "Requests that wait for a slot.")

    def watch_engine(self, model_name: str, engine: Engine) -> None:
        """Report the load of an engine."""
        self._slots.labels(model_name).set_function(lambda: engine.num_slots)
        self._slots_in_use.labels(model_name).set_function(lambda: engine.num_running)
        self._queue_depth.labels(model_name).set_function(lambda: engine.num_waiting)

    def watch_history(self, writer: HistoryWriter) -> None:
        """Report the counters of a history's writer."""
        self._registry.register(_HistoryCollector(writer))

    def record_step(self, seconds: float, num_rows: int) -> None:
        """Count a step of an engine."""
        self._step_seconds.observe(seconds)
        self._step_rows.observe(num_rows)

    def record_generation(self, handle: RequestHandle) -> None:
        """Count the tokens and samples of requests that have ended."""
        if handle.seconds_to_first_token is not None:
            self._first_token_seconds.observe(handle.seconds_to_first_token)
        for request in handle.requests:
            self._prompt_tokens.inc(len(request.prompt.tokens))
        for sequence in handle.sequences:
            self._generated_tokens.inc(sequence.num_tokens)
            reason = sequence.status if sequence.is_finished else "cancelled"
            self._samples.labels(reason).inc()

    def render(self) -> bytes:
        """Return all values in the text format of Prometheus."""
        return generate_latest(self._registry)


class _HistoryCollector(Collector):
    """Collector of the counters that a writer keeps itself."""

    def __init__(self, writer: HistoryWriter) -> None:
        self._writer = writer

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "lorelm_history_queue_depth",
            "Records that wait to be written.",
            self._writer.num_queued,
        )
        for name, text, count in (
            ("written", "Records that were written.", self._writer.num_written),
            ("lost", "Records that could not be written and were dropped.", self._writer.num_lost),
        ):
            yield CounterMetricFamily(f"lorelm_history_records_{name}", text, count)
