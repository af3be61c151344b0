"""Debian's Firefox, headless, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/)."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Self

from tests.webdriver import SECONDS, Browser
from websocket import create_connection


class Firefox(Browser):
    """A browser with one page, while the context is open."""

    def __init__(self, program: str, folder: Path) -> None:
        profile = folder / "profile"
        profile.mkdir()
        self._process = subprocess.Popen(
            [program, "--headless", "--remote-debugging-port", "0", "--profile", str(profile)],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stderr
        address = ""
        for line in self._process.stderr:
            if found := re.search(r"BiDi listening on (ws://\S+)", line):
                address = found[1]
                break
        self._socket = create_connection(
            f"{address}/session", timeout=SECONDS, suppress_origin=True
        )
        self._last_id = 0
        self._ask("session.new", capabilities={})
        self._context = self._ask("browsingContext.getTree")["contexts"][0]["context"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(timeout=30)
        assert self._process.stderr
        self._process.stderr.close()

    def open(self, url: str) -> None:
        self._ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        answer = self._ask(
            "script.evaluate",
            expression=expression,
            target={"context": self._context},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise AssertionError(answer["exceptionDetails"]["text"])
        return answer["result"].get("value")

    def choose_file(self, selector: str, path: Path) -> None:
        nodes = self._ask(
            "browsingContext.locateNodes",
            context=self._context,
            locator={"type": "css", "value": selector},
        )["nodes"]
        element = {"sharedId": nodes[0]["sharedId"]}
        self._ask("input.setFiles", context=self._context, element=element, files=[str(path)])

    def _ask(self, method: str, **params: Any) -> Any:
        self._last_id += 1
        self._socket.send(json.dumps({"id": self._last_id, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._last_id:
                if answer["type"] == "error":
                    raise RuntimeError(f"{method}: {answer['message']}")
                return answer["result"]
