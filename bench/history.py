"""What a history costs and gives: `python bench/history.py URL [NUM_RECORDS]`, in a new database.

Writes made-up records at full speed through the writer, then asks as page and command line do.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from lorelm.history.record import Record
from lorelm.history.store import HistoryStore
from lorelm.history.writer import HistoryWriter

NUM_BROWSERS = 500
WORDS = [f"{start}{end}" for start in ("ba", "do", "fe", "gi", "mu") for end in ("rn", "ll", "x")]


def main(url: str, num_records: int) -> None:
    chance = random.Random(1)
    began_at = datetime.now(UTC) - timedelta(days=20)
    records = [made_up(chance, began_at, number) for number in range(num_records)]
    with HistoryStore(url) as store:
        writer = HistoryWriter(store, capacity=num_records)
        with timed(f"{num_records:,} records queued"):
            for record in records:
                writer.add(record)
        with timed("and written"):
            writer.close(600)
        print(f"written {writer.num_written:,}, lost {writer.num_lost:,}")
        middle = records[num_records // 2]
        for what, ask in questions(store, middle):
            ask()
            with timed(what):
                ask()
        with timed("the oldest tenth is pruned"):
            store.prune(keep=num_records * 9 // 10)


def questions(store: HistoryStore, middle: Record) -> Iterator[tuple[str, Callable[[], object]]]:
    mine = middle.browser
    yield "newest 50", store.find
    yield "newest 50 of a browser", lambda: store.find(browser=mine)
    yield "50 from the middle", lambda: store.find(before=middle.id)
    yield "50 of a browser from the middle", lambda: store.find(browser=mine, before=middle.id)
    yield "a word that is everywhere", lambda: store.find(search="BARN")
    yield "a word that is nowhere", lambda: store.find(search="Mordor")
    yield "a word that is nowhere, of a browser", lambda: store.find(browser=mine, search="Mordor")
    yield "one by its id", lambda: store.get(middle.id)
    yield "stats", store.stats
    yield "all, one after the other", lambda: sum(1 for _ in store.iterate())


def made_up(chance: random.Random, began_at: datetime, number: int) -> Record:
    return Record(
        created_at=began_at + timedelta(seconds=number),
        browser=f"browser-{chance.randrange(NUM_BROWSERS)}",
        source="page",
        model="embedded",
        fingerprint="0123456789abcdef",
        has_mixture=False,
        has_cache=False,
        prompt=" ".join(chance.choices(WORDS, k=8)),
        prompt_ids=None,
        settings={"max_len": 40, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "min_p": 0.0},
        seed=chance.getrandbits(53),
        text=" ".join(chance.choices(WORDS, k=40)),
        finish_reason=chance.choice(["eos", "length"]),
        num_tokens=40,
        duration_seconds=0.05,
        version="0.1.0",
    )


@contextmanager
def timed(what: str) -> Iterator[None]:
    began_at = time.perf_counter()
    yield
    print(f"{(time.perf_counter() - began_at) * 1000:10.1f} ms  {what}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200_000)
