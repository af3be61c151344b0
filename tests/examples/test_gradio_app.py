"""The Gradio page, started as its README says, in front of a `lorelm serve`."""

import itertools
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.examples.folders import EXAMPLES

pytest.importorskip("gradio_client", reason="no Gradio: pip install 'lorelm[examples]'")
from gradio_client import Client

pytestmark = [pytest.mark.system, pytest.mark.slow]

OFFLINE = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
APP = EXAMPLES / "gradio_app" / "app.py"


@contextmanager
def running_app(url: str, **environment: str) -> Iterator[str]:
    """Start the page on a free port; returns its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    settings = {"LORELM_URL": url, "GRADIO_SERVER_PORT": port, "PYTHONUNBUFFERED": "1"}
    app = subprocess.Popen(
        [sys.executable, APP],
        env=os.environ | OFFLINE | settings | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert app.stdout
    try:
        for line in app.stdout:
            if address := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield address[0]
                return
        pytest.fail("it has ended without an address")
    finally:
        app.terminate()
        app.wait(timeout=20)
        app.stdout.close()


@pytest.fixture(scope="module")
def app_url(start_server: Callable[..., str], tiny_bundle: Path) -> Iterator[str]:
    """The page of a server with a key and a limit."""
    server = start_server(str(tiny_bundle), "--api-key", "friend", "--rate-limit", "6/minute")
    with running_app(server, LORELM_API_KEY="friend") as url:
        yield url


def test_it_writes_for_programs_and_people(browser: Browser, app_url: str) -> None:
    """Together, and in this order: the server counts what both ask for."""
    client = Client(app_url, verbose=False)
    job = client.submit("The fox", "tales", 12, 0, api_name="/write")
    assert job.result(timeout=60).startswith("The fox ")
    steps = job.outputs()
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(steps))
    client.close()

    page = browser.new_page()
    page.goto(app_url)
    expect(page.get_by_role("heading", name="Write with LoreLM")).to_be_visible()
    text = page.get_by_label("Text")
    text.fill("The owl")
    page.get_by_role("button", name="Go on").click()
    expect(text).to_have_value(re.compile("^The owl .+"))

    client = Client(app_url, verbose=False)
    for _ in range(4):
        client.predict("The fox", "tales", 5, 0, api_name="/write")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("6 per 1 minute")).to_be_visible()
    client.close()
    page.close()


def end_of(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, APP],
        env=os.environ | OFFLINE | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow  # Gradio takes long to import
def test_without_a_server_it_says_how_to_start_one() -> None:
    ended = end_of(LORELM_URL="http://127.0.0.1:9")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("No server at http://127.0.0.1:9: start one")
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_a_wrong_key_is_named(start_server: Callable[..., str], tiny_bundle: Path) -> None:
    ended = end_of(LORELM_URL=start_server(str(tiny_bundle), "--api-key", "friend"))
    assert ended.returncode == 1
    assert "LORELM_API_KEY" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
