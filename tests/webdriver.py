"""Browsers that Playwright does not drive: what :mod:`tests.firefox` and :mod:`tests.webkit` share.

Playwright drives only a Firefox and a WebKit of its own, which cannot be had everywhere.
"""

import json
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

SECONDS: float = 120
"""The longest wait for an answer of the browser, or for what a page is to show."""


class Browser(ABC):
    """A browser with one page, for a test of the main way."""

    @abstractmethod
    def open(self, url: str) -> None:
        """Load a page."""

    @abstractmethod
    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript: a text, a number or a boolean.

        Raises:
            AssertionError, RuntimeError: it throws, or the page is being left.
        """

    @abstractmethod
    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file, as a person does, in a field that is there."""

    def set_files(self, selector: str, path: Path) -> None:
        """Choose a file in a field that is there, or will be."""
        self.wait_for(f"!!document.querySelector({selector!r})")
        self.choose_file(selector, path)

    def wait_for(self, expression: str) -> Any:
        """Wait until an expression is true; a page that is being left has none."""
        give_up = time.monotonic() + SECONDS
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

    def write(self, text: str) -> str:
        """Let the writing page continue a text, always with the likeliest token."""
        self.wait_for("!!document.querySelector('#surface')")
        self.evaluate("document.querySelector('#temperature').value = '0'")
        self.evaluate(
            "document.querySelector('#surface').focus(),"
            f" document.execCommand('insertText', false, {json.dumps(text)})"
        )
        self.click("#generate")
        self.wait_for("/seed/.test(document.querySelector('#status').textContent)")
        return str(self.evaluate("document.querySelector('#surface').textContent"))
