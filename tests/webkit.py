"""Debian's WebKit, driven by WebDriver (https://www.w3.org/TR/webdriver2/). It stands for Safari.

It has no headless mode, so it shows its window on a display of Xvfb.
"""

import json
import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from tests.server.conftest import free_port
from tests.webdriver import SECONDS, Browser

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""Key of an element's reference in an answer, by the standard."""

_open = build_opener(ProxyHandler({})).open  # no proxy stands between the test and its driver


class WebKit(Browser):
    """WebKit's MiniBrowser with one page, while the context is open.

    Args:
        driver, xvfb: the programs `WebKitWebDriver` and `Xvfb`.
    """

    def __init__(self, driver: str, xvfb: str) -> None:
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        with ExitStack() as started:
            display = _start([xvfb, "-displayfd", "1", "-nolisten", "tcp"], started)
            assert display.stdout
            places = {"DISPLAY": f":{display.stdout.readline().strip()}", "GDK_BACKEND": "x11"}
            self._driver = _start([driver, f"--port={port}"], started, **places)
            self._wait_until_ready()
            self._url += "/session"
            # Without "binary", the driver takes the MiniBrowser that it was built with.
            session = self._ask("POST", "", capabilities={})
            self._url += f"/{session['sessionId']}"
            started.callback(self._ask, "DELETE", "")
            self._started = started.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    def open(self, url: str) -> None:
        self._ask("POST", "/url", url=url)

    def evaluate(self, expression: str) -> Any:
        return self._ask("POST", "/execute/sync", script=f"return ({expression})", args=[])

    def choose_file(self, selector: str, path: Path) -> None:
        element = self._ask("POST", "/element", using="css selector", value=selector)[_ELEMENT]
        self._ask("POST", f"/element/{element}/value", text=str(path))

    def _wait_until_ready(self) -> None:
        give_up = time.monotonic() + SECONDS
        while True:
            try:
                self._ask("GET", "/status")
                return
            except URLError:
                assert self._driver.poll() is None, "WebKitWebDriver ended"
                assert time.monotonic() < give_up, "WebKitWebDriver does not answer"
                time.sleep(0.05)

    def _ask(self, method: str, path: str, **params: Any) -> Any:
        body = json.dumps(params).encode() if method == "POST" else None
        headers = {"Content-Type": "application/json"}
        request = Request(self._url + path, body, headers, method=method)
        try:
            with _open(request, timeout=SECONDS) as answer:
                return json.load(answer)["value"]
        except HTTPError as error:
            told = json.load(error)["value"]
            raise RuntimeError(f"{path}: {told['error']}: {told['message']}") from None


def _start(command: list[str], started: ExitStack, **places: str) -> "subprocess.Popen[str]":
    """Start a program that ends with the stack."""
    process = started.enter_context(
        subprocess.Popen(
            command,
            env=os.environ | places,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    )
    started.callback(process.terminate)  # before Popen's own exit, which waits
    return process
