"""A load of HTTP requests, in a process of its own: bounded in time and in number.

    python bench/load.py URL --clients 64 --seconds 5 [--requests 20000] [--stream] BODY...

Each client keeps one connection and asks again as soon as it has its answer, with one of the
bodies (JSON), in turns. ``{seed}`` in a body becomes a number of its own. Prints JSON.
"""

import argparse
import json
import selectors
import socket
import time
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

SECONDS_TO_GIVE_UP = 120


@dataclass
class Client:
    """One connection."""

    connection: socket.socket
    asked_at: float = 0.0
    first_token_at: float = 0.0
    answer: bytes = b""


@dataclass
class Figures:
    """What all clients have seen."""

    seconds: list[float] = field(default_factory=list)
    seconds_to_first_token: list[float] = field(default_factory=list)
    num_errors: int = 0
    num_tokens: int = 0
    statuses: dict[str, int] = field(default_factory=dict)


class Load:
    """Clients that ask until the time is over or the number reached."""

    def __init__(
        self, url: str, bodies: list[str], *, seconds: float, max_requests: int, is_stream: bool
    ) -> None:
        parts = urlsplit(url)
        self.address = (parts.hostname, parts.port)
        self.path = parts.path
        self.bodies = bodies
        self.numbers = count()
        self.max_requests = max_requests
        self.is_stream = is_stream
        self.first_token = b'"tokens":[' if is_stream else b"\r\n\r\n"
        self.ends_at = time.perf_counter() + seconds
        self.selector = selectors.DefaultSelector()
        self.figures = Figures()

    def run(self, num_clients: int) -> float:
        """Returns the seconds it took."""
        started = time.perf_counter()
        for _ in range(num_clients):
            self._connect()
        while self.selector.get_map():
            if time.perf_counter() > self.ends_at + SECONDS_TO_GIVE_UP:
                self.figures.num_errors += len(self.selector.get_map())
                break
            for key, _ in self.selector.select(1):
                self._receive(key.data)
        return time.perf_counter() - started

    def _connect(self) -> None:
        number = next(self.numbers)
        if number >= self.max_requests:
            return
        connection = socket.create_connection(self.address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Client(connection)
        self.selector.register(connection, selectors.EVENT_READ, client)
        self._ask(client, number)

    def _ask(self, client: Client, number: int) -> None:
        body = self.bodies[number % len(self.bodies)].replace("{seed}", str(number)).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.address[0]}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        client.answer, client.first_token_at = b"", 0.0
        client.asked_at = time.perf_counter()
        client.connection.sendall(head.encode() + body)

    def _receive(self, client: Client) -> None:
        try:
            received = client.connection.recv(1 << 16)
        except ConnectionError:
            received = b""
        client.answer += received
        if not client.first_token_at and self.first_token in client.answer:
            client.first_token_at = time.perf_counter()
        if is_whole(client.answer):
            self._note(client)
            number = next(self.numbers)
            goes_on = time.perf_counter() < self.ends_at and number < self.max_requests
            if goes_on and received and b"connection: close" not in client.answer[:500].lower():
                self._ask(client, number)
                return
            self._leave(client)
            if goes_on:
                self._connect()
        elif not received:
            self.figures.num_errors += 1
            self._leave(client)

    def _leave(self, client: Client) -> None:
        self.selector.unregister(client.connection)
        client.connection.close()

    def _note(self, client: Client) -> None:
        now, figures = time.perf_counter(), self.figures
        figures.seconds.append(now - client.asked_at)
        figures.seconds_to_first_token.append(client.first_token_at - client.asked_at)
        status = client.answer[9:12].decode()
        figures.statuses[status] = figures.statuses.get(status, 0) + 1
        is_complete = not self.is_stream or (
            b"event: done" in client.answer
            and num_streamed(client.answer) == num_said(client.answer)
        )
        if status != "200" or not is_complete:
            figures.num_errors += 1
        elif self.is_stream:
            figures.num_tokens += num_streamed(client.answer)
        else:
            samples = json.loads(body_of(client.answer))["samples"]
            figures.num_tokens += sum(sample["num_tokens"] for sample in samples)


def is_whole(answer: bytes) -> bool:
    """Whether all of an answer has come."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = answer[:end].lower()
    place = head.find(b"content-length:")
    if place >= 0:
        return len(answer) >= end + 4 + int(head[place + 15 :].split(b"\r\n")[0])
    return answer.endswith(b"\r\n0\r\n\r\n")


def body_of(answer: bytes) -> bytes:
    return answer[answer.find(b"\r\n\r\n") + 4 :]


def num_streamed(answer: bytes) -> int:
    """How many tokens came: each has a list of alternatives."""
    return answer.count(b'"alternatives":[')


def num_said(answer: bytes) -> int:
    """How many tokens the sample says that it has."""
    return int(answer.rsplit(b'"num_tokens":', 1)[1].split(b",")[0])


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)] if values else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("bodies", nargs="+")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--stream", action="store_true")
    asked = parser.parse_args()
    load = Load(
        asked.url,
        asked.bodies,
        seconds=asked.seconds,
        max_requests=asked.requests,
        is_stream=asked.stream,
    )
    seconds = load.run(asked.clients)
    figures = load.figures
    print(
        json.dumps(
            {
                "requests": len(figures.seconds),
                "errors": figures.num_errors,
                "statuses": figures.statuses,
                "tokens_per_second": figures.num_tokens / seconds,
                "requests_per_second": len(figures.seconds) / seconds,
                "median_seconds": percentile(figures.seconds, 0.5),
                "p99_seconds": percentile(figures.seconds, 0.99),
                "seconds": seconds,
                "processor_seconds": time.process_time(),
                "median_seconds_to_first_token": percentile(figures.seconds_to_first_token, 0.5),
                "p99_seconds_to_first_token": percentile(figures.seconds_to_first_token, 0.99),
            }
        )
    )


if __name__ == "__main__":
    main()
