"""Traces as a real OTLP receiver gets them from a real server."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from tests.systems import end

pytestmark = pytest.mark.system

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
FROM_PROXY = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


class Receiver:
    """An OTLP collector that keeps the spans which it receives.

    Attributes:
        spans: each with the attributes of its resource, as dictionaries.
        bodies: as they came.
    """

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        self.bodies.append(body)
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        for of_resource in request.resource_spans:
            resource = attributes(of_resource.resource)
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    self.spans.append(
                        {
                            "name": span.name,
                            "trace": span.trace_id.hex(),
                            "id": span.span_id.hex(),
                            "parent": span.parent_span_id.hex(),
                            "start": span.start_time_unix_nano,
                            "end": span.end_time_unix_nano,
                            "is_error": span.status.code == 2,
                            "resource": resource,
                            **attributes(span),
                        }
                    )

    def trace(self, request_id: str) -> dict[str, dict[str, Any]]:
        """Wait for the trace of a request; return its spans by their names."""
        give_up = time.monotonic() + 20
        while True:
            for span in [*self.spans]:
                if span.get("lorelm.request_id") == request_id:
                    found = [each for each in self.spans if each["trace"] == span["trace"]]
                    return {"request": span} | {each["name"]: each for each in found}
            assert time.monotonic() < give_up
            time.sleep(0.05)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def attributes(holder: Any) -> dict[str, Any]:
    """Return the attributes of a resource or a span."""
    found: dict[str, Any] = {}
    for each in holder.attributes:
        kind = each.value.WhichOneof("value")
        value = getattr(each.value, kind)
        if kind == "array_value":
            value = [item.string_value for item in value.values]
        found[each.key] = value
    return found


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@contextmanager
def running(bundle: Path, *options: str, **variables: str) -> Iterator[str]:
    """Serve; the address. The server must end well and soon."""
    command = [sys.executable, "-m", "lorelm", "serve", str(bundle), "--port", "0", *options]
    environ = os.environ | {"OTEL_BSP_SCHEDULE_DELAY": "100"} | variables
    server = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    assert server.stderr
    said = ""
    while (found := re.search(r"http://127\S+/", said)) is None:
        line = server.stderr.readline()
        assert line, said
        said += line
    try:
        yield found[0]
        end(server)
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


def ask(url: str, request_id: str, **body: Any) -> Any:
    headers = {"Content-Type": "application/json", "X-Request-Id": request_id, **FROM_PROXY}
    asked = urllib.request.Request(f"{url}api/generate", json.dumps(body).encode(), headers)
    return urllib.request.urlopen(asked)


@pytest.fixture(scope="module")
def url(receiver: Receiver, tiny_bundle: Path) -> Iterator[str]:
    folder = tiny_bundle.parent
    with running(
        *(tiny_bundle, "--history", f"sqlite:///{folder}/traced.db"),
        *("--access-log", str(folder / "traced.jsonl")),
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
    ) as address:
        yield address


def test_a_request_is_a_trace_of_its_phases(receiver: Receiver, url: str) -> None:
    ask(url, "plain", prompt="The quick fox", max_len=9, min_len=9, num_samples=2).close()
    trace = receiver.trace("plain")
    root = trace["POST /api/generate"]
    assert (root["trace"], root["parent"]) == (TRACE, PARENT)
    assert root["http.response.status_code"] == 200
    assert root["resource"]["service.name"] == "lorelm"
    phases = [trace[name] for name in ("queue", "prompt", "generate", "history")]
    times = [time for each in phases for time in (each["start"], each["end"])]
    assert times == sorted(times)
    assert root["start"] <= times[0]
    assert times[-1] <= root["end"] + 50_000_000  # two clocks
    assert all(each["parent"] == root["id"] for each in phases)
    assert all(each["gen_ai.request.model"] == "tales" for each in phases)
    assert trace["prompt"]["gen_ai.usage.input_tokens"] == 3
    assert trace["generate"]["gen_ai.usage.output_tokens"] == 18
    assert trace["generate"]["gen_ai.response.finish_reasons"] == ["length", "length"]


def test_a_stream_is_one_too_and_the_access_log_has_its_id(
    receiver: Receiver, url: str, tiny_bundle: Path
) -> None:
    with ask(url, "stream", prompt="The fox", stream=True, max_len=5, min_len=5) as stream:
        stream.read()
    trace = receiver.trace("stream")
    assert trace["request"]["trace"] == TRACE
    assert trace["generate"]["end"] <= trace["request"]["end"] + 50_000_000
    log = (tiny_bundle.parent / "traced.jsonl").read_text().splitlines()
    [line] = [line for line in map(json.loads, log) if line["request_id"] == "stream"]
    assert line["trace_id"] == TRACE


def test_a_stream_that_its_client_leaves_says_so(receiver: Receiver, url: str) -> None:
    with ask(url, "left", prompt="The fox", stream=True, max_len=1000, min_len=1000) as stream:
        stream.readline()
    trace = receiver.trace("left")
    assert trace["request"]["error.type"] == "request.client_disconnected"
    assert not trace["request"]["is_error"]  # not ours


def test_health_checks_have_no_trace_and_no_span_has_a_text(receiver: Receiver, url: str) -> None:
    ask(url, "of-secret", prompt="The mysterious fox").close()
    receiver.trace("of-secret")
    for path in ("healthz", "readyz", "metrics", "static/style.css", ""):
        urllib.request.urlopen(
            urllib.request.Request(url + path, headers={"X-Request-Id": f"of-{path}"})
        ).close()
    page = receiver.trace("of-")["request"]
    assert page["parent"] == ""  # no proxy named one
    names = {span["name"] for span in receiver.spans}
    assert {"GET /", "POST /api/generate"} <= names
    assert not {"GET /healthz", "GET /readyz", "GET /metrics"} & names
    assert not any("static" in name for name in names)
    assert not any(b"mysterious" in body for body in receiver.bodies)


def test_each_worker_sends_its_own(receiver: Receiver, tiny_bundle: Path) -> None:
    with running(
        *(tiny_bundle, "--workers", "2", "--no-history"),
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{receiver.url}/v1/traces",
        OTEL_SERVICE_NAME="tales",
    ) as url:
        pids: set[str] = set()
        give_up = time.monotonic() + 30
        while len(pids) < 2:
            assert time.monotonic() < give_up
            ask(url, "of-worker", prompt="The", max_len=1).close()
            time.sleep(0.1)
            ours = [s for s in receiver.spans if s["resource"]["service.name"] == "tales"]
            pids = {span["resource"]["process.pid"] for span in ours}


def test_what_is_not_sent_yet_is_sent_at_the_end(receiver: Receiver, tiny_bundle: Path) -> None:
    with running(
        *(tiny_bundle, "--no-history"),
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_BSP_SCHEDULE_DELAY="60000",
    ) as url:
        ask(url, "late", prompt="The").close()
    assert receiver.trace("late")["generate"]


def test_a_collector_that_is_away_disturbs_nobody(tiny_bundle: Path) -> None:
    with running(
        tiny_bundle, "--no-history", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"
    ) as url:
        ask(url, "a", prompt="The").close()
        time.sleep(0.5)  # the first try has failed
        ended = time.monotonic()
    assert time.monotonic() - ended < 6  # OpenTelemetry tries for 10 s


Modules = Callable[..., str]


@pytest.fixture
def modules(tiny_bundle: Path) -> Modules:
    """Return which modules of OpenTelemetry a server imports, and what it logs, for variables."""

    def run(before: str = "", **variables: str) -> str:
        code = (
            f"import sys; {before}\n"
            "from lorelm.server.app import create_app\n"
            "from lorelm.server.settings import ServerSettings\n"
            "from lorelm.server.state import server_state\n"
            "from pathlib import Path\n"
            f"app = create_app(ServerSettings(bundles=[Path({str(tiny_bundle)!r})]))\n"
            "client = app.test_client()\n"
            "client.post('/api/generate', json={'prompt': 'The'}); server_state(app).close()\n"
            "print(sorted(m for m in sys.modules if m.startswith('opentelemetry')))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=True,
        )
        return ended.stdout + ended.stderr

    return run


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_SERVICE_NAME": "x"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_is_imported_that_was_not_asked_for(
    modules: Modules, variables: dict[str, str]
) -> None:
    assert modules(**variables) == "[]\n"


def test_without_the_extra_a_server_says_so_and_serves(modules: Modules) -> None:
    hide = "sys.modules['opentelemetry.sdk'] = None"
    said = modules(hide, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert 'pip install "lorelm[otel]"' in said


@pytest.mark.parametrize(
    "variables",
    [{"OTEL_TRACES_EXPORTER": "zipkin"}, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}],
)
def test_another_way_of_sending_is_refused_with_a_sentence(
    modules: Modules, variables: dict[str, str]
) -> None:
    said = modules(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", **variables)
    assert "no traces are sent" in said
