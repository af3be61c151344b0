"""What `lorelm serve --log-level` writes to stderr."""

import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.systems import IS_WINDOWS

pytestmark = pytest.mark.system


def said(bundle: Path, *options: str) -> str:
    """Return what a server writes that gets a good request, and one that is no HTTP."""
    command = [sys.executable, "-m", "lorelm", "serve", bundle, "--port", "0", "--no-history"]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr
        lines = [server.stderr.readline()]
        while (found := re.search(r"http://\S+/", lines[-1])) is None:
            lines.append(server.stderr.readline())
            assert lines[-1]
        request = urllib.request.Request(found[0], headers={"X-Request-Id": "mine"})
        urllib.request.urlopen(request).close()
        where = urlsplit(found[0])
        with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
            connection.sendall(b"no HTTP\r\n\r\n")
            while connection.recv(1000):
                pass
        server.terminate()
        lines.append(server.stderr.read())
    assert server.returncode == 0 or IS_WINDOWS
    return "".join(lines)


def test_by_default_requests_are_no_lines_of_the_log(tiny_bundle: Path) -> None:
    assert not re.search(r"^\d{4}-", said(tiny_bundle), re.MULTILINE)


def test_info_has_a_line_for_each_request(tiny_bundle: Path) -> None:
    log = said(tiny_bundle, "--log-level", "info")
    line = (
        r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO lorelm\.[a-z.]+: request mine: GET / 200 in "
    )
    assert re.search(line, log, re.MULTILINE)
    assert "uvicorn" not in log


def test_debug_has_what_the_libraries_say(tiny_bundle: Path) -> None:
    log = said(tiny_bundle, "--log-level", "debug")
    assert "WARNING uvicorn.error: Invalid HTTP request received." in log
    assert "request mine: GET / 200" in log


def test_another_level_is_refused(tiny_bundle: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "lorelm", "serve", tiny_bundle, "--log-level", "loud"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "'debug', 'info', 'warning', 'error'" in ended.stderr
