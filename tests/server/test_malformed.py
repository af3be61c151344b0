"""Malformed requests."""

import json
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.system

NUM_EXAMPLES = 25
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "unsupported_method"),
)


@pytest.fixture(scope="module")
def url(start_server: Callable[..., str], tiny_bundle: Path) -> str:
    return start_server(str(tiny_bundle))


@pytest.fixture
def still_well(url: str) -> Callable[[], None]:
    def check() -> None:
        asked = urllib.request.Request(
            url + "api/generate",
            json.dumps({"prompt": "The fox"}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=20) as response:
            assert json.load(response)["samples"][0]["text"]
        with urllib.request.urlopen(url + "metrics", timeout=20) as response:
            metrics = response.read().decode()
        assert 'lorelm_slots_in_use{model="tales"} 0.0' in metrics
        assert 'lorelm_queue_depth{model="tales"} 0.0' in metrics
        assert not re.search(r'status="5', metrics)

    return check


@pytest.mark.slow
def test_schemathesis_finds_no_errors(
    url: str, still_well: Callable[[], None], tmp_path: Path
) -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", url + "openapi.json"),
            *("--phases", "fuzzing", "--mode", "all", "--max-examples", str(NUM_EXAMPLES)),
            # Not whether what fits the document is accepted: it does not give each number's range.
            *("--checks", ",".join(CHECKS), "--continue-on-failure"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"Tested: +20", ended.stdout)
    still_well()


@settings(max_examples=100)
@given(
    head=st.sampled_from(
        [
            "POST /api/generate",
            "POST /v1/completions",
            "POST /v1/chat/completions",
            "GET /",
            "X",
            "",
        ]
    ),
    length=st.sampled_from(["5", "0", "-1", "x", "99999999999999999999", "1000"]),
    body=st.binary(max_size=200),
    close=st.booleans(),
)
def test_malformed_bytes_do_not_crash_the_server(
    url: str, head: str, length: str, body: bytes, close: bool
) -> None:
    """Partial requests, wrong lengths, invalid bytes: the server survives all of them."""
    address = re.findall(r"//(.*):(\d+)/", url)[0]
    request = f"{head} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(f"{request}Content-Length: {length}\r\n\r\n".encode() + body)
        if close:
            return
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(1000)
    assert not answer.startswith(b"HTTP/1.1 5")


def test_the_server_is_healthy_afterwards(still_well: Callable[[], None]) -> None:
    still_well()
