"""The page in Debian's Chromium, and a server for it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.server.browser.desk import Desk, NewDesk, watched


@pytest.fixture(scope="session")
def url(start_server: Callable[..., str], tiny_bundle: Path) -> str:
    return start_server(str(tiny_bundle), "--max-tokens-limit", "10000")


@pytest.fixture
def new_desk(browser: Browser, url: str) -> Iterator[NewDesk]:
    """Opens the page in a browser of its own, once or several times."""
    with watched(browser, viewport={"width": 1000, "height": 900}) as context:
        context.set_default_timeout(20_000)
        yield lambda address=url: Desk(context.new_page(), address)


@pytest.fixture
def desk(new_desk: NewDesk) -> Desk:
    return new_desk()
