"""Ten thousand malformed requests, and whether the server is well after them.

    python bench/malformed.py [--requests 10000]

Half of them are made by schemathesis from the server's OpenAPI document (what it forbids), half by
hypothesis: JSON of any shape for the addresses that take a body. Ends with an error if any answer
was a 5xx, a slot is still in use, or the next good request is not answered.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any, Final

from serving import free_port, running, serve_command, write_bundle

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

ADDRESSES: Final = (
    *("api/generate", "api/score", "v1/completions", "v1/chat/completions"),
    *("tokenize", "detokenize"),
)
FIELDS: Final = (
    *("prompt", "text", "tokens", "model", "max_len", "min_len", "max_tokens", "temperature"),
    *("top_k", "top_p", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty"),
    *("logit_bias", "banned_words", "seed", "num_samples", "n", "best_of", "stop", "novel_span"),
    *("num_alternatives", "logprobs", "echo", "stream", "stream_options", "timeout_seconds"),
    *("speaker", "turns", "messages", "max_completion_tokens", "top_logprobs"),
)
BATCH: Final = 500

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)
bodies = st.dictionaries(st.sampled_from(FIELDS), values, max_size=8) | values


def ask(url: str, body: bytes) -> int:
    """The status of the answer."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return int(error.code)


def with_schemathesis(url: str, num_requests: int) -> int:
    """Sends requests that the document forbids; returns how many."""
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}openapi.json"),
                *("--phases", "fuzzing", "--mode", "negative", "--continue-on-failure"),
                *("--checks", "not_a_server_error"),
                *("--max-examples", str(num_requests // len(ADDRESSES))),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout
    [count] = re.findall(r"(\d[\d,]*) generated", ended.stdout)
    return int(count.replace(",", ""))


def with_hypothesis(url: str, num_requests: int) -> int:
    """Sends JSON of any shape; returns how many requests."""
    statuses: dict[int, int] = {}

    @settings(
        max_examples=num_requests,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(ADDRESSES), bodies)
    def send(address: str, body: Any) -> None:
        status = ask(url + address, json.dumps(body).encode())
        statuses[status] = statuses.get(status, 0) + 1

    send()
    print("statuses of what hypothesis made:", dict(sorted(statuses.items())))
    return sum(statuses.values())


def check(url: str) -> None:
    """Refuses a server that is not well."""
    with urllib.request.urlopen(f"{url}metrics", timeout=60) as response:
        metrics = response.read().decode()
    assert not re.search(r'status="5', metrics), "a 5xx"
    for name in ("lorelm_slots_in_use", "lorelm_queue_depth"):
        assert re.search(rf"^{name}{{.*}} 0\.0$", metrics, re.MULTILINE), name
    assert ask(f"{url}api/generate", b'{"prompt": "w5 w6"}') == 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    half = parser.parse_args().requests // 2
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "classic"
        write_bundle(bundle)
        with running(serve_command(bundle, port), port):
            url = f"http://127.0.0.1:{port}/"
            num_schemathesis = with_schemathesis(url, half)
            num_hypothesis = with_hypothesis(url, max(half, 2 * half - num_schemathesis))
            check(url)
    print(
        f"{num_schemathesis:,} requests by schemathesis and {num_hypothesis:,} by hypothesis: no"
        " 5xx, no slot in use, and the next good request was answered"
    )


if __name__ == "__main__":
    main()
