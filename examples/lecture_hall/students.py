"""Sixty students at once, to see beforehand how many a laptop can serve.

    python students.py http://127.0.0.1:5000/ --students 60 --seconds 60

Each opens the page, then asks for forty words, reads them for a while, and asks again, until the
time is over.
"""

import argparse
import base64
import http.client
import json
import random
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

WHEN = ("In the morning", "That night", "At last", "One summer", "After the war", "Before dinner")
WHO = ("the old man", "my brother", "Mrs. Hill", "a stranger", "the captain", "she", "nobody")
DID = ("went to", "looked at", "remembered", "sold", "dreamed of", "set fire to", "painted")
TIMEOUT = 60


@dataclass
class Notes:
    """What the students have seen, in seconds."""

    pages: list[float] = field(default_factory=list)
    first_words: list[float] = field(default_factory=list)
    texts: list[float] = field(default_factory=list)
    num_tokens: int = 0
    num_refused: int = 0
    errors: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Student(threading.Thread):
    """One of them, with a connection and a network address of its own."""

    def __init__(self, number: int, arguments: argparse.Namespace, notes: Notes) -> None:
        super().__init__(daemon=True)
        self.arguments = arguments
        self.notes = notes
        self.random = random.Random(number)
        self.ends_at = time.monotonic() + arguments.seconds
        parts = urlsplit(arguments.url)
        # The server counts requests by address. On Linux 127.0.1.1 and so on are this machine, too.
        is_here = parts.hostname == "127.0.0.1" and sys.platform == "linux"
        source = f"127.0.1.{number + 1}" if is_here else ""
        self.connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=TIMEOUT, source_address=(source, 0)
        )
        self.headers = {"Content-Type": "application/json"}
        if arguments.password:
            password = base64.b64encode(f":{arguments.password}".encode()).decode()
            self.headers["Authorization"] = f"Basic {password}"

    def run(self) -> None:
        self.think(self.arguments.seconds / 20)  # nobody arrives in the same second
        try:
            self.open_page()
            while time.monotonic() < self.ends_at:
                self.write()
                self.think(self.arguments.reading)
        except Exception as error:  # whatever it is, it counts
            self.notes.errors.append(f"{type(error).__name__}: {error}")

    def think(self, mean: float) -> None:
        pause = self.random.expovariate(1 / mean)
        time.sleep(max(0, min(pause, self.ends_at - time.monotonic())))

    def open_page(self) -> None:
        started = time.monotonic()
        self.connection.request("GET", "/", headers=self.headers)
        response = self.connection.getresponse()
        response.read()
        if response.status != 200:
            self.notes.errors.append(f"the page has status {response.status}")
        self.notes.pages.append(time.monotonic() - started)

    def write(self) -> None:
        prompt = " ".join(map(self.random.choice, (WHEN, WHO, DID)))
        body = {"prompt": prompt, "max_len": 40, "stream": True}
        started = time.monotonic()
        self.connection.request("POST", "/api/generate", json.dumps(body), self.headers)
        response = self.connection.getresponse()
        if response.status == 429:
            response.read()
            self.notes.num_refused += 1
            return
        first, num_tokens = None, 0
        for line in response:
            if line.startswith(b"data: {"):
                tokens = json.loads(line[5:]).get("tokens") or ()
                num_tokens += len(tokens)
                first = first or (time.monotonic() if tokens else None)
        with self.notes.lock:
            if first is None:
                self.notes.errors.append(f"no text, status {response.status}")
                return
            self.notes.first_words.append(first - started)
            self.notes.texts.append(time.monotonic() - started)
            self.notes.num_tokens += num_tokens


def summary(name: str, seconds: list[float]) -> str:
    if not seconds:
        return f"{name}: none"
    ordered = sorted(seconds)
    slow = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return f"{name}: median {statistics.median(ordered):.2f} s, 95 of 100 within {slow:.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--students", type=int, default=60, help="up to 250; default: 60")
    parser.add_argument("--seconds", type=float, default=60, help="default: 60")
    parser.add_argument("--reading", type=float, default=5, help="mean seconds; default: 5")
    parser.add_argument("--password", help="that of the server, if it has one")
    arguments = parser.parse_args()
    if not 1 <= arguments.students <= 250 or arguments.reading <= 0:
        parser.error("--students is from 1 to 250, and --reading above 0")
    notes, started = Notes(), time.monotonic()
    students = [Student(number, arguments, notes) for number in range(arguments.students)]
    for student in students:
        student.start()
    for student in students:
        student.join()
    took = time.monotonic() - started
    print(f"{len(students)} students wrote {len(notes.texts)} texts in {took:.0f} s.")
    print(summary("The page", notes.pages))
    print(summary("First word", notes.first_words))
    print(summary("Text of 40 tokens", notes.texts))
    print(f"{notes.num_tokens / took:.0f} tokens/s, {notes.num_refused} requests over the limit")
    print(f"{len(notes.errors)} errors", *sorted(set(notes.errors))[:5], sep="\n  ")


if __name__ == "__main__":
    main()
