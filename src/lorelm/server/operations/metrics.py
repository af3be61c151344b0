"""What the server counts, in the format of Prometheus: :class:`Metrics`."""

from collections.abc import Iterator
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
from lorelm.generation.generation import Generation
from lorelm.history.writer import HistoryWriter

_STEP_SECONDS: Final = (
    *(0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5),
)
_REQUEST_SECONDS: Final = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
_ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, of when it was made


class _HistoryCollector(Collector):
    """What a writer counts itself."""

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
            ("lost", "Records that never will be written.", self._writer.num_lost),
        ):
            yield CounterMetricFamily(f"lorelm_history_records_{name}", text, count)


class Metrics:
    """Counters, gauges and histograms of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "lorelm_requests",
            "Answered requests, by the pattern of their address and how they ended.",
            ("endpoint", "status"),
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "lorelm_request_seconds",
            "From a request to the first byte of its answer.",
            ("endpoint",),
            buckets=_REQUEST_SECONDS,
            registry=self._registry,
        )
        self._prompt_tokens = Counter(
            "lorelm_prompt_tokens", "Tokens of prompts.", registry=self._registry
        )
        self._generated_tokens = Counter(
            "lorelm_generated_tokens", "Tokens that were generated.", registry=self._registry
        )
        self._samples = Counter(
            "lorelm_samples",
            "Samples, by the reason of their end.",
            ("finish_reason",),
            registry=self._registry,
        )
        self._seconds_to_first_token = Histogram(
            "lorelm_time_to_first_token_seconds",
            "From a request's entry into the queue to its first token.",
            buckets=_REQUEST_SECONDS,
            registry=self._registry,
        )
        self._step_seconds = Histogram(
            "lorelm_step_seconds",
            "One step of the engine, all rows together.",
            buckets=_STEP_SECONDS,
            registry=self._registry,
        )
        self._step_rows = Histogram(
            "lorelm_step_rows", "Rows of a step.", buckets=_ROWS, registry=self._registry
        )
        self._slots, self._slots_in_use, self._queue_depth = (
            Gauge(name, text, ("model",), registry=self._registry)
            for name, text in (
                ("lorelm_slots", "Samples that can be written together."),
                ("lorelm_slots_in_use", "Samples that are being written."),
                ("lorelm_queue_depth", "Requests that wait for a slot."),
            )
        )

    def watch(self, model_name: str, engine: Engine) -> None:
        """Shows how full an engine is."""
        self._slots.labels(model_name).set_function(lambda: engine.num_slots)
        self._slots_in_use.labels(model_name).set_function(lambda: engine.num_live)
        self._queue_depth.labels(model_name).set_function(lambda: engine.num_waiting)

    def watch_history(self, writer: HistoryWriter) -> None:
        """Shows what becomes of the records of the history."""
        self._registry.register(_HistoryCollector(writer))

    def note_step(self, seconds: float, num_rows: int) -> None:
        """Counts a step of the engine."""
        self._step_seconds.observe(seconds)
        self._step_rows.observe(num_rows)

    def note_generation(self, generation: Generation) -> None:
        """Counts what a generation has read and written."""
        if generation.request.seconds_to_first_token is not None:
            self._seconds_to_first_token.observe(generation.request.seconds_to_first_token)
        for task in generation.tasks:
            self._prompt_tokens.inc(len(task.prompt.tokens))
            for draft in task.drafts:
                self._generated_tokens.inc(len(draft.ids))
                reason = "error" if draft.error else draft.finish_reason or "cancelled"
                self._samples.labels(reason).inc()

    def note_first_byte(self, endpoint: str, seconds: float) -> None:
        """Counts how long a request waited for the first byte of its answer."""
        self._request_seconds.labels(endpoint).observe(seconds)

    def note_request(self, endpoint: str, status: int) -> None:
        """Counts a request that was answered; a stream, when it ends, by how it ends."""
        self._requests.labels(endpoint, str(status)).inc()

    def render(self) -> bytes:
        """All of it, in the text format of Prometheus."""
        return generate_latest(self._registry)
