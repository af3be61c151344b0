"""Page object for tests in Debian's Chromium: :class:`PageDriver`."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Route,
    expect,
)


class PageDriver:
    """Drives the page as a user would."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        page.goto(url)

    @property
    def surface(self) -> Locator:
        # Not the field that it takes the place of once the script runs.
        field = self.page.get_by_role("textbox", name="Your text")
        return field.and_(self.page.locator("#surface"))

    @property
    def words(self) -> Locator:
        """The generated words in the text."""
        return self.surface.locator(".word")

    @property
    def text(self) -> str:
        return self.surface.evaluate("element => element.textContent")

    @property
    def status(self) -> str:
        return self.page.get_by_role("status").inner_text()

    @property
    def seed(self) -> int:
        return int(re.findall(r"seed (\d+)", self.status)[-1])

    @property
    def card(self) -> Locator:
        return self.page.locator("#card")

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def set(self, **settings: object) -> None:
        """Fill in settings by their labels."""
        details = self.page.locator("details")
        if details.get_attribute("open") is None:
            self.page.get_by_text("More settings").click()
        for label, value in settings.items():
            field = self.page.get_by_label(label.replace("_", " "), exact=True)
            field.fill(str(value))

    def lengthen(self, num_tokens: int) -> None:
        """Set the exact length of the next texts; the small model would end after a sentence."""

        def change(route: Route) -> None:
            body = json.loads(route.request.post_data or "")
            lengths = {"min_len": num_tokens, "max_len": num_tokens}
            route.continue_(post_data=json.dumps(body | lengths))

        self.page.route("**/api/generate", change)

    def slow_down(self) -> None:
        """Receive 20 kB a second: a long generation lasts, however slow the browser is."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("Network.enable")
        limits = {"downloadThroughput": 20_000, "uploadThroughput": -1, "latency": 0}
        session.send("Network.emulateNetworkConditions", {"offline": False, **limits})

    def generate(self) -> None:
        self.press("Generate")
        self.wait()

    def wait(self) -> None:
        """Wait until the generation has ended."""
        expect(self.page.get_by_role("status")).not_to_have_text(re.compile("^$|Writing"))

    def ask(self, path: str, **body: object) -> Any:
        """Send a request to the API."""
        response = self.page.request.post(self.url + path, data=body)
        assert response.ok, response.text()
        return response.json()


NewDriver = Callable[..., PageDriver]


@contextmanager
def watched_context(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """Open a browser context and fail on any console message."""
    context = browser.new_context(**options)
    complaints: list[str] = []  # such as violations of the security policy

    def note(message: ConsoleMessage) -> None:
        if "/api/" not in message.location["url"]:  # the page itself shows errors of the API
            complaints.append(f"{message.location['url']}: {message.text}")

    context.on("console", note)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield context
    context.close()
    assert complaints == [], complaints
