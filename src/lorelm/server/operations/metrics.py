"""Counters in the format of Prometheus: :class:`Metrics`.

Where the variable `PROMETHEUS_MULTIPROC_DIR` names a folder, prometheus-client keeps the values of
all processes in files there, and each of them answers for all.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.values import MultiProcessValue

from lorelm.generation.engine.engine import Engine
from lorelm.generation.handle import RequestHandle
from lorelm.history.writer import HistoryWriter
from lorelm.machine.processes import is_running

_STEP_SECONDS: Final = (
    *(0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5),
)
_REQUEST_SECONDS: Final = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
_METRICS_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_WORKERS_VARIABLE: Final = "LORELM_WORKERS_FOLDER"
"""Beside that of prometheus-client, which may have been set for something else."""

_ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

# A second series for each counter, with its creation time, would be noise.
disable_created_metrics()  # type: ignore[no-untyped-call]


def share_folder(folder: str) -> None:
    """Name the folder of all workers of this server, for processes that are started from now on."""
    os.environ[_METRICS_VARIABLE] = os.environ[_WORKERS_VARIABLE] = folder


def shared_folder() -> Path | None:
    """Return the folder of all workers of this server; None without workers."""
    folder = os.environ.get(_WORKERS_VARIABLE)
    return None if folder is None else Path(folder)


def forget_ended_processes() -> None:
    """Drop the gauges of processes of this server that have ended."""
    for file in Path(os.environ[_METRICS_VARIABLE]).glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not is_running(pid):
            with suppress(FileNotFoundError):  # another worker was faster
                mark_process_dead(pid)  # type: ignore[no-untyped-call]


_WORKERS_DIED: Final = ("lorelm_workers_died", "Workers that died and were started again.")


def worker_death_counter() -> Callable[[], None]:
    """Return a function that counts a death of a worker, for the supervisor of workers.

    It has imported prometheus-client before there was a folder, so its counters are not shared.
    """
    name, help_ = _WORKERS_DIED
    in_folder = MultiProcessValue()  # type: ignore[no-untyped-call]
    value = in_folder("counter", name, f"{name}_total", (), (), help_)
    return partial(value.inc, 1)


_gauge: Final = partial(Gauge, multiprocess_mode="livesum")


class Metrics:
    """Counters, gauges and histograms of one application.

    Attributes:
        request_seconds: from a request to the first byte of its response.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        counter = partial(Counter, registry=self._registry)
        histogram = partial(Histogram, registry=self._registry)
        self._requests = counter(
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
        self._key_requests = counter(
            "lorelm_key_requests", "Answered requests with an API key, by its name.", ("key",)
        )
        self._key_tokens = counter(
            "lorelm_key_generated_tokens", "Tokens generated for an API key.", ("key",)
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
        self._engines = _EngineGauges(self._registry)
        self._watched: list[tuple[Gauge, Callable[[], float]]] = []
        counter(*_WORKERS_DIED)  # 0 here; see :func:`worker_death_counter`
        self._history: _HistoryCounts | None = None
        self._refreshing = threading.Lock()

    def watch_engine(self, model_name: str, engine: Engine) -> None:
        """Report the load of an engine."""
        self._engines.engines[model_name] = engine

    def watch_history(self, writer: HistoryWriter) -> None:
        """Report the counters of a history's writer."""
        self._history = _HistoryCounts(self._registry, writer)

    def watch(self, name: str, help_: str, value: Callable[[], float]) -> None:
        """Report a number that something else knows; of several processes, their sum."""
        self._watched.append((_gauge(name, help_, registry=self._registry), value))

    def record_response(self, endpoint: str, status: int, key_name: str | None) -> None:
        """Count an answered request, a stream when it ends; `key_name` sent it."""
        self._requests.labels(endpoint, str(status)).inc()
        if key_name is not None:
            self._key_requests.labels(key_name).inc()

    def record_step(self, seconds: float, num_rows: int) -> None:
        """Count a step of an engine."""
        self._step_seconds.observe(seconds)
        self._step_rows.observe(num_rows)

    def record_generation(self, handle: RequestHandle, key_name: str | None) -> None:
        """Count the tokens and samples of requests that have ended; `key_name` sent them."""
        if handle.seconds_to_first_token is not None:
            self._first_token_seconds.observe(handle.seconds_to_first_token)
        for request in handle.requests:
            self._prompt_tokens.inc(len(request.prompt.tokens))
        for sequence in handle.sequences:
            self._generated_tokens.inc(sequence.num_tokens)
            reason = sequence.status if sequence.is_finished else "cancelled"
            self._samples.labels(reason).inc()
            if key_name is not None:
                self._key_tokens.labels(key_name).inc(sequence.num_tokens)

    def refresh(self) -> None:
        """Take over the load of the engines and the counts of the history."""
        with self._refreshing:
            self._engines.refresh()
            for gauge, value in self._watched:
                gauge.set(value())
            if self._history is not None:
                self._history.refresh()

    def render(self) -> bytes:
        """Return all values in the text format of Prometheus, those of all processes."""
        self.refresh()
        if _METRICS_VARIABLE not in os.environ:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class _EngineGauges:
    """The load of engines.

    Attributes:
        engines: by the names of their models.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.engines: dict[str, Engine] = {}
        gauge = partial(_gauge, registry=registry, labelnames=("model",))
        self._slots = gauge("lorelm_slots", "Samples that can be generated at the same time.")
        self._in_use = gauge("lorelm_slots_in_use", "Samples that are being generated.")
        self._waiting = gauge("lorelm_queue_depth", "Requests that wait for a slot.")

    def refresh(self) -> None:
        for name, engine in [*self.engines.items()]:
            self._slots.labels(name).set(engine.num_slots)
            self._in_use.labels(name).set(engine.num_running)
            self._waiting.labels(name).set(engine.num_waiting)


class _HistoryCounts:
    """What the writer of a history counts itself."""

    def __init__(self, registry: CollectorRegistry, writer: HistoryWriter) -> None:
        self._writer = writer
        self._num_written = self._num_lost = 0  # so far
        self._queued = _gauge(
            "lorelm_history_queue_depth", "Records that wait to be written.", registry=registry
        )
        self._written = Counter(
            "lorelm_history_records_written", "Records that were written.", registry=registry
        )
        self._lost = Counter(
            "lorelm_history_records_lost",
            "Records that could not be written and were dropped.",
            registry=registry,
        )

    def refresh(self) -> None:
        num_written, num_lost = self._writer.num_written, self._writer.num_lost
        self._queued.set(self._writer.num_queued)
        self._written.inc(num_written - self._num_written)
        self._lost.inc(num_lost - self._num_lost)
        self._num_written, self._num_lost = num_written, num_lost
