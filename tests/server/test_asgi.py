import asyncio
import io
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from flask import Flask, request

from lorelm.server import asgi
from lorelm.server.asgi import Alarm, Gateway, environ_of
from lorelm.server.events import EventStream

Sent = list[dict[str, Any]]

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "scheme": "http",
    "http_version": "1.1",
    "raw_path": b"/caf%C3%A9/a%2Fb",
    "query_string": b"q=%C3%A9",
    "server": ("127.0.0.1", 5000),
    "client": ("10.0.0.7", 4321),
    "headers": [
        (b"host", b"films.example"),
        (b"content-type", b"application/json"),
        (b"content-length", b"3"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"x-forwarded-for", b"1.1.1.1"),
        (b"x-forwarded-for", b"2.2.2.2"),
        (b"x_forwarded_for", b"6.6.6.6"),
        (b"transfer-encoding", b"chunked"),
    ],
}


def test_the_environment_of_a_worked_example() -> None:
    body = io.BytesIO(b"{}\n")
    environ = environ_of(SCOPE, body)
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/café/a/b"
    assert environ["QUERY_STRING"] == "q=%C3%A9"
    assert environ["CONTENT_TYPE"] == "application/json"
    assert environ["CONTENT_LENGTH"] == "3"
    assert environ["HTTP_HOST"] == "films.example"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    # The name with underscores could pass for the other.
    assert environ["HTTP_X_FORWARDED_FOR"] == "1.1.1.1, 2.2.2.2"
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert (environ["REMOTE_ADDR"], environ["SERVER_PORT"]) == ("10.0.0.7", "5000")
    assert environ["wsgi.input"] is body


class Client:
    """One request, from the server's side.

    Args:
        parts: of the body, as they come.
        is_cut: the last part does not come.
        leaves_after: the client disconnects once so many messages were sent to it; None: never.
    """

    def __init__(
        self, *parts: bytes, is_cut: bool = False, leaves_after: int | None = None, **scope: Any
    ) -> None:
        self.scope = SCOPE | {"headers": [], "raw_path": b"/"} | scope
        self.sent: Sent = []
        self._parts = [*parts]
        self._is_cut = is_cut
        self._leaves_after = leaves_after
        self._left = asyncio.Event()
        if leaves_after == 0:
            self._left.set()

    async def receive(self) -> dict[str, Any]:
        if self._parts:
            body = self._parts.pop(0)
            more = bool(self._parts) or self._is_cut
            return {"type": "http.request", "body": body, "more_body": more}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(dict(message))
        if len(self.sent) == self._leaves_after:
            self._left.set()

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def request_id(self) -> str:
        [found] = [value for name, value in self.sent[0]["headers"] if name == b"x-request-id"]
        return found.decode()

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


def ask(app: Any, client: Client, *, max_body_bytes: int = 1000, num_threads: int = 2) -> None:
    """Let the application answer a client."""

    async def answer() -> None:
        gateway = Gateway(app, max_body_bytes=max_body_bytes, num_threads=num_threads)
        await asyncio.wait_for(gateway(client.scope, client.receive, client.send), 20)

    asyncio.run(answer())


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1000

    @app.post("/")
    def echo() -> bytes:
        return request.get_data()

    return app


def test_a_body_in_parts_reaches_the_view_whole(app: Flask) -> None:
    client = Client(b"The ", b"fox", b"")
    ask(app, client)
    assert (client.status, client.body) == (200, b"The fox")
    assert len(client.sent) == 2


def test_a_body_that_does_not_say_its_length_is_refused_when_it_is_too_long(app: Flask) -> None:
    client = Client(*[b"x" * 400] * 1000)
    ask(app, client)
    assert client.status == 413


def test_a_client_that_leaves_within_its_body_starts_nothing() -> None:
    def fail(*_: object) -> list[bytes]:
        raise AssertionError

    client = Client(b"The ", is_cut=True, leaves_after=0)
    ask(fail, client)
    assert client.sent == []


def test_a_body_that_takes_too_long_is_given_up(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "_SECONDS_FOR_BODY", 0.05)
    client = Client(b"T", is_cut=True)
    ask(app, client)
    assert client.status == 408
    assert len(client.request_id) == 32


def of_guard(_environ: object, start_response: Callable[..., object]) -> list[bytes]:
    start_response("401 Unauthorized", [("Content-Length", "2")])
    return [b"no"]


def of_application(_environ: object, start_response: Callable[..., object]) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "2"), ("X-Request-Id", "mine")])
    return [b"ok"]


def broken(*_: object) -> list[bytes]:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("wsgi", "status"), [(of_guard, 401), (of_application, 200), (broken, 500)]
)
def test_every_response_has_one_id_that_of_its_request_if_it_has_one(
    wsgi: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(b"", headers=[(b"X-Request-ID", b"mine")])
    ask(wsgi, client)
    assert (client.status, client.request_id) == (status, "mine")
    assert [record.getMessage() for record in caplog.records] == [
        "request mine failed outside of its application"
    ] * (status == 500)
    other = Client(b"", headers=[(b"x-request-id", b"a\tb")])
    if wsgi is not of_application:
        ask(wsgi, other)
        assert len(other.request_id) == 32


class Chunks:
    """A response of many chunks without a length; notes when it is closed."""

    def __init__(self, num: int) -> None:
        self.num_made = 0
        self.is_closed = False
        self._num = num

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self._num):
            self.num_made += 1
            yield b"x" * 1000

    def close(self) -> None:
        self.is_closed = True

    def __call__(self, _environ: object, start_response: Callable[..., object]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self


def test_a_long_response_is_sent_in_parts_and_closed() -> None:
    client, chunks = Client(b""), Chunks(300)
    ask(chunks, client)
    assert client.body == b"x" * 300_000
    assert not client.sent[-1].get("more_body", False)
    assert chunks.is_closed


def test_a_client_that_leaves_ends_a_long_response() -> None:
    client, chunks = Client(b"", leaves_after=10), Chunks(1_000_000)
    ask(chunks, client)
    assert chunks.num_made < 1000
    assert chunks.is_closed


class Ticker:
    """Events that come from another thread, one by one."""

    def __init__(self, num_events: int) -> None:
        self.wake: Callable[[], None] = lambda: None
        self.num_ready = 0
        self.is_closed = False
        self._num_events = num_events

    def view(self) -> EventStream:
        return EventStream(
            self._events(),
            error_event=lambda error: f"{error.code}\n",
            on_close=self._close,
            follow=self._follow,
        )

    def tick(self) -> None:
        self.num_ready += 1
        self.wake()

    def _follow(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def _events(self) -> Iterator[str]:
        for number in range(self._num_events):
            while self.num_ready <= number:
                yield ""
            yield f"{number}\n"

    def _close(self) -> None:
        self.is_closed = True


def test_streams_need_no_thread_once_they_have_begun(app: Flask) -> None:
    tickers = [Ticker(3) for _ in range(20)]
    app.add_url_rule("/<int:number>", view_func=lambda number: tickers[number].view())
    clients = [Client(b"", method="GET", raw_path=f"/{number}".encode()) for number in range(20)]
    other = Client(b"still there")

    async def answer() -> None:
        gateway = Gateway(app, max_body_bytes=1000, num_threads=1)
        streams = [asyncio.create_task(gateway(c.scope, c.receive, c.send)) for c in clients]
        while not all(client.sent for client in clients):
            await asyncio.sleep(0.001)
        await gateway(other.scope, other.receive, other.send)
        for _ in range(3):
            for ticker in tickers:
                await asyncio.to_thread(ticker.tick)
        await asyncio.gather(*streams)

    asyncio.run(asyncio.wait_for(answer(), 20))
    assert other.body == b"still there"
    assert {client.body for client in clients} == {b"0\n1\n2\n"}
    assert all(ticker.is_closed for ticker in tickers)


def test_what_is_ready_is_sent_at_once_and_the_last_of_it_with_the_end(app: Flask) -> None:
    ticker = Ticker(5)
    app.add_url_rule("/", view_func=ticker.view)
    client = Client(b"", method="GET")

    async def answer() -> None:
        gateway = Gateway(app, max_body_bytes=1000, num_threads=1)
        stream = asyncio.create_task(gateway(client.scope, client.receive, client.send))
        for num_events in (3, 2):
            num_sent = len(client.sent)
            while len(client.sent) == num_sent:
                await asyncio.sleep(0.001)
            ticker.num_ready += num_events
            ticker.wake()
        await stream

    asyncio.run(asyncio.wait_for(answer(), 20))
    assert [(m["body"], m.get("more_body", False)) for m in client.sent[1:]] == [
        (b"0\n1\n2\n", True),
        (b"3\n4\n", False),
    ]


def test_no_wake_up_is_lost_between_two_turns_of_the_loop() -> None:
    async def wake_all() -> None:
        loop, alarm = asyncio.get_running_loop(), Alarm()
        events = [asyncio.Event() for _ in range(500)]

        def wake() -> None:
            for event in events:
                alarm.wake(loop, event)
                while not event.is_set():  # then at once, while the loop ends its turn
                    pass

        thread = threading.Thread(target=wake, daemon=True)
        thread.start()
        await asyncio.gather(*(event.wait() for event in events))

    asyncio.run(asyncio.wait_for(wake_all(), 20))


def test_a_client_that_leaves_a_silent_stream_ends_it(app: Flask) -> None:
    ticker = Ticker(3)
    app.add_url_rule("/events", view_func=ticker.view)
    client = Client(b"", method="GET", raw_path=b"/events", leaves_after=1)
    ask(app, client)
    assert ticker.is_closed


def test_a_server_without_exchanges_waits_in_the_thread(app: Flask) -> None:
    """Flask's own client has none, and neither have other servers."""
    ticker = Ticker(2)
    app.add_url_rule("/events", view_func=ticker.view)
    threading.Timer(0.05, ticker.tick).start()
    threading.Timer(0.1, ticker.tick).start()
    assert app.test_client().get("/events").data == b"0\n1\n"
