"""What an API key costs a request: `python bench/keys.py [ROUNDS]`.

Sends requests that are refused for their body to real applications in this process, in turns, so
that no time is that of the model. Prints the processor time of a request: the median and the
lowest, and what is more than with --api-key.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from lorelm.server.app import create_app
from lorelm.server.keys.key_file import KeyFile
from lorelm.server.keys.key_ring import KeyRing
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

from flask.testing import FlaskClient

NUM_KEYS = 100
NUM_REQUESTS = 50
WRONG = {"prompt": "The old man", "max_len": -1}


def main(num_rounds: int, folder: Path) -> None:
    keys = KeyFile(folder / "keys.json")
    for number in range(NUM_KEYS):
        keys.add(f"key-{number}")
    plain = keys.add("plain")
    limited = keys.add("limited", rate_limit="1000000/second", tokens_per_day=10**9)
    counts = f"sqlite:///{folder}/counts.db"
    with_keys = create_app(ServerSettings(keys=keys.path, rate_limit_storage=counts))
    with_one = create_app(ServerSettings(api_key="mellon"))
    tried = {
        "--api-key": (with_one.test_client(), "mellon"),
        "--keys": (with_keys.test_client(), plain),
        "--keys, with quotas in SQLite": (with_keys.test_client(), limited),
    }
    seconds: dict[str, list[float]] = {name: [] for name in tried}
    for _ in range(num_rounds):
        for name, (client, key) in tried.items():
            seconds[name].append(seconds_of_request(client, key))
    base = statistics.median(seconds["--api-key"])
    for name, times in seconds.items():
        median = statistics.median(times)
        print(
            f"{name:32} {median * 1e6:6.0f} µs ({min(times) * 1e6:.0f}), "
            f"{(median - base) * 1e6:+.0f} µs, {median / base:.2f} x"
        )
    ring = KeyRing(keys.path)
    began = time.thread_time()
    for _ in range(10_000):
        ring.find(plain)
    print(f"{'to find one of ' + str(NUM_KEYS):32} {(time.thread_time() - began) * 100:6.1f} µs")
    for app in (with_keys, with_one):
        server_state(app).close()


def seconds_of_request(client: FlaskClient, key: str) -> float:
    began = time.thread_time()
    for _ in range(NUM_REQUESTS):
        client.post("/api/generate", json=WRONG, headers={"Authorization": f"Bearer {key}"})
    return (time.thread_time() - began) / NUM_REQUESTS


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, Path(made))
