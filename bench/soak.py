"""The server under mixed load for a long time: errors, memory, and whether it stays as fast.

    python bench/soak.py [--minutes 30] [--clients 16]

Each client keeps asking: 40 % plain requests, 30 % streams, 10 % streams that it leaves after the
first tokens, 10 % scores, 5 % visits of the page, 5 % malformed requests. The model has the sizes
of the classic recipe; the server keeps a history. Prints a line a minute, and at the end the
growth of the memory since the third minute and the last minute beside the second. Ends with an
error if an answer was wrong, or a slot is still in use.
"""

import argparse
import http.client
import json
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from serving import MB, NUM_TOKENS, WORDS, free_port, running, serve_command, write_bundle

SHARES: Final = {"plain": 40, "stream": 30, "leave": 10, "score": 10, "page": 5, "malformed": 5}
MALFORMED: Final = (
    *(b"{", b"[]", b"\xff\xfe", b'{"prompt": 7}', b'{"prompt": "w5", "temperature": -1}'),
    *(b'{"prompt": "w5", "warmth": 1}', b'{"prompt": "w5", "max_len": 1e9}', b""),
)
HEADERS: Final = {"Content-Type": "application/json"}


@dataclass
class Minute:
    """What all clients have seen in a minute."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)  # of plain requests
    errors: list[str] = field(default_factory=list)


class Client(threading.Thread):
    """One client with a connection of its own."""

    def __init__(self, port: int, seed: int, minute: list[Minute]) -> None:
        super().__init__(daemon=True)
        self.is_over = False
        self._port = port
        self._random = random.Random(seed)
        self._minute = minute  # the last one is the present one
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def run(self) -> None:
        while not self.is_over:
            [kind] = self._random.choices([*SHARES], [*SHARES.values()])
            started = time.perf_counter()
            try:
                problem = getattr(self, f"_{kind}")()
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
                self._connection.close()
            minute = self._minute[-1]
            minute.counts[kind] += 1
            if kind == "plain":
                minute.seconds.append(time.perf_counter() - started)
            if problem:
                minute.errors.append(f"{kind}: {problem}")

    def _ask(self, path: str, body: bytes | None) -> http.client.HTTPResponse:
        self._connection.request("POST" if body is not None else "GET", path, body, HEADERS)
        return self._connection.getresponse()

    def _body(self, **more: object) -> bytes:
        prompt = " ".join(self._random.choices(WORDS[2:], k=self._random.randint(1, 7)))
        fields = {"prompt": prompt, "max_len": NUM_TOKENS, "seed": self._random.getrandbits(32)}
        return json.dumps(fields | more).encode()

    def _plain(self) -> str | None:
        response = self._ask("/api/generate", self._body())
        reply = json.loads(response.read())
        return None if response.status == 200 and reply["samples"] else str(reply)

    def _stream(self) -> str | None:
        said = self._ask("/api/generate", self._body(stream=True)).read()
        return None if said.endswith(b"event: done\ndata: {}\n\n") else said[-200:].decode()

    def _leave(self) -> None:
        response = self._ask("/api/generate", self._body(stream=True, max_len=1000, min_len=1000))
        response.read(200)
        response.close()
        self._connection.close()

    def _score(self) -> str | None:
        text = " ".join(self._random.choices(WORDS[2:], k=20))
        response = self._ask("/api/score", json.dumps({"text": text}).encode())
        tokens = json.loads(response.read()).get("tokens", ())
        return None if len(tokens) == 20 else f"{len(tokens)} tokens"

    def _page(self) -> str | None:
        response = self._ask("/", None)
        return None if b"<textarea" in response.read() else str(response.status)

    def _malformed(self) -> str | None:
        response = self._ask("/api/generate", self._random.choice(MALFORMED))
        response.read()
        return None if 400 <= response.status < 500 else str(response.status)


def metric(port: int, name: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (.+)$", text, re.M))


def measure(bundle: Path, num_minutes: int, num_clients: int) -> bool:
    """Return whether all went well."""
    port = free_port()
    history = f"sqlite:///{bundle.parent}/history.db"
    minutes: list[Minute] = [Minute()]
    memory: list[float] = []
    with running(serve_command(bundle, port, history=history), port) as server:
        clients = [Client(port, seed, minutes) for seed in range(num_clients)]
        for client in clients:
            client.start()
        for number in range(1, num_minutes + 1):
            time.sleep(60)
            minute = minutes[-1]
            minutes.append(Minute())
            memory.append(server.memory_info().rss / MB)
            median = sorted(minute.seconds)[len(minute.seconds) // 2]
            print(
                f"minute {number:2}: {sum(minute.counts.values()):6,} requests, plain ones"
                f" {1000 * median:6.1f} ms, {memory[-1]:4.0f} MB, {len(minute.errors)} errors",
                flush=True,
            )
        for client in clients:
            client.is_over = True
        for client in clients:
            client.join(timeout=60)
        time.sleep(2)
        num_busy = metric(port, "lorelm_slots_in_use")
        num_lost = metric(port, "lorelm_history_records_lost_total")
    errors = [error for minute in minutes for error in minute.errors]
    first, last = (sum(minutes[place].counts.values()) for place in (1, -2))
    print(
        f"{sum((minute.counts for minute in minutes), Counter())}; {len(errors)} errors;"
        f" {num_busy:.0f} slots in use, {num_lost:.0f} records lost;"
        f" {memory[-1] - memory[min(2, len(memory) - 1)]:+.1f} MB since the third minute;"
        f" the last minute has {last / first:.0%} of the requests of the second"
    )
    for error in errors[:10]:
        print(error)
    return not (errors or num_busy or num_lost)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--clients", type=int, default=16)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "classic"
        write_bundle(bundle)
        sys.exit(not measure(bundle, asked.minutes, asked.clients))


if __name__ == "__main__":
    main()
