"""A bounded load of plain requests, streams and reads of the history, with what each client got."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Final
from urllib.parse import urlsplit

PROMPT: Final = "The old man"
HEADERS: Final = {"Content-Type": "application/json", "Lorelm-Page": "1"}
DONE: Final = "event: done\ndata: {}\n\n"
SECONDS_BETWEEN: Final = 0.03
NUM_CLIENTS: Final[dict[str, int]] = {"plain": 6, "stream": 4, "history": 1}
NUM_TOKENS: Final = {"plain": 20, "stream": 150}


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A request and what came back.

    Attributes:
        began, ended: seconds of `time.monotonic`.
        text: of a finished sample; None if there was none.
        problem: what was wrong, as the client saw it; None if nothing was.
        is_cut: whether a stream had begun before.
    """

    kind: str
    seed: int
    began: float
    ended: float
    text: str | None = None
    problem: str | None = None
    is_cut: bool = False


@dataclass
class Load:
    """Clients that keep asking until the end."""

    url: str
    exchanges: list[Exchange] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)
    _seeds: Iterator[int] = field(default_factory=lambda: count(1))

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [
            threading.Thread(target=self._keep_asking, args=(kind,), daemon=True)
            for kind, num_clients in NUM_CLIENTS.items()
            for _ in range(num_clients)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.is_over.set()
            for thread in threads:
                thread.join(100)

    def _keep_asking(self, kind: str) -> None:
        with closing(Client(urlsplit(self.url).netloc)) as client:
            while not self.is_over.is_set():
                self.exchanges.append(client.exchange(kind, next(self._seeds)))
                time.sleep(SECONDS_BETWEEN)


class Client:
    """A client with one connection, which is opened again when it has broken."""

    def __init__(self, place: str) -> None:
        self._connection = http.client.HTTPConnection(place, timeout=90)
        self._has_begun = False

    def close(self) -> None:
        self._connection.close()

    def exchange(self, kind: str, seed: int) -> Exchange:
        began, text, problem = time.monotonic(), None, None
        self._has_begun = False
        try:
            text = getattr(self, f"_{kind}")(seed)
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
            self._connection.close()
        return Exchange(
            kind=kind,
            seed=seed,
            began=began,
            ended=time.monotonic(),
            text=text,
            problem=problem,
            is_cut=problem is not None and self._has_begun,
        )

    def _ask(self, path: str, body: object = None) -> http.client.HTTPResponse:
        method = "GET" if body is None else "POST"
        self._connection.request(method, path, body and json.dumps(body), HEADERS)
        response = self._connection.getresponse()
        if response.status != 200:
            raise ValueError(f"{response.status} {response.read()[:400].decode()}")
        return response

    def _plain(self, seed: int) -> str:
        return str(
            json.loads(self._ask("/api/generate", body(seed, "plain")).read())["samples"][0]["text"]
        )

    def _stream(self, seed: int) -> str:
        response = self._ask("/api/generate", body(seed, "stream") | {"stream": True})
        self._has_begun = True
        said = response.read().decode()
        if not said.endswith(DONE):
            raise ValueError(f"the stream ended with {said[-200:]!r}")
        [sample] = [part for part in said.split("\n\n") if part.startswith("event: sample\n")]
        return str(json.loads(sample.partition("data: ")[2])["text"])

    def _history(self, _seed: int) -> None:
        self._ask("/history").read()


def body(seed: int, kind: str) -> dict[str, object]:
    length = NUM_TOKENS[kind]
    fields = {"prompt": PROMPT, "max_len": length, "min_len": length, "num_alternatives": 0}
    return fields | {"seed": seed}
