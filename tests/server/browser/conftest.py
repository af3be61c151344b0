"""The page in Debian's Chromium, and a server for it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.server.browser.page_driver import NewDriver, PageDriver, watched_context


@pytest.fixture(scope="session")
def url(start_server: Callable[..., str], tiny_bundle: Path) -> str:
    return start_server(str(tiny_bundle), "--max-tokens-limit", "10000")


@pytest.fixture(scope="session")
def scene_url(start_server: Callable[..., str], scene_bundle: Path) -> str:
    """The address of a server of a model with speakers, which keeps a history."""
    history = f"sqlite:///{scene_bundle.parent / 'history.db'}"
    return start_server(str(scene_bundle), "--history", history)


@pytest.fixture
def new_driver(browser: Browser, url: str) -> Iterator[NewDriver]:
    """Open the page in a new browser context, once or several times."""
    with watched_context(browser, viewport={"width": 1000, "height": 900}) as context:
        context.set_default_timeout(20_000)
        yield lambda address=url: PageDriver(context.new_page(), address)


@pytest.fixture
def driver(new_driver: NewDriver) -> PageDriver:
    return new_driver()
