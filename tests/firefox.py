"""Debian's Firefox, headless, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/).

Playwright drives only a Firefox of its own, which cannot be had everywhere.
"""

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from websocket import create_connection

_SECONDS: float = 120


class Firefox:
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
            f"{address}/session", timeout=_SECONDS, suppress_origin=True
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
        """Load a page."""
        self._ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript: a text, a number or a boolean."""
        answer = self._ask(
            "script.evaluate",
            expression=expression,
            target={"context": self._context},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise AssertionError(answer["exceptionDetails"]["text"])
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until an expression is true; a page that is being left has none."""
        give_up = time.monotonic() + _SECONDS
        while True:
            try:
                if value := self.evaluate(expression):
                    return value
            except (AssertionError, RuntimeError) as error:
                if time.monotonic() > give_up:
                    raise AssertionError(expression) from error
            assert time.monotonic() < give_up, expression
            time.sleep(0.1)

    def click(self, selector: str) -> None:
        """Click what is there, or will be."""
        self.wait_for(f"!!document.querySelector({selector!r})")
        self.evaluate(f"document.querySelector({selector!r}).click()")

    def set_files(self, selector: str, path: Path) -> None:
        """Choose a file as a person does."""
        self.wait_for(f"!!document.querySelector({selector!r})")
        nodes = self._ask(
            "browsingContext.locateNodes",
            context=self._context,
            locator={"type": "css", "value": selector},
        )["nodes"]
        element = {"sharedId": nodes[0]["sharedId"]}
        self._ask("input.setFiles", context=self._context, element=element, files=[str(path)])

    def write(self, text: str) -> str:
        """Let the writing page continue a text, always with the likeliest token."""
        self.wait_for("!!document.querySelector('#surface')")
        self.evaluate("document.querySelector('#temperature').value = '0'")
        self.evaluate(
            "document.querySelector('#surface').focus();"
            f" document.execCommand('insertText', false, {json.dumps(text)})"
        )
        self.click("#generate")
        self.wait_for("/seed/.test(document.querySelector('#status').textContent)")
        return str(self.evaluate("document.querySelector('#surface').textContent"))

    def _ask(self, method: str, **params: Any) -> Any:
        self._last_id += 1
        self._socket.send(json.dumps({"id": self._last_id, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._last_id:
                if answer["type"] == "error":
                    raise RuntimeError(f"{method}: {answer['message']}")
                return answer["result"]
