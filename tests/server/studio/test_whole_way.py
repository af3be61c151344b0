"""From a dropped file to a model on a web site: the whole way, with a real text."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.export.browser.test_site_page import FileServer, opened
from tests.server.browser.page_driver import PageDriver, watched_context
from tests.server.studio.conftest import RunningStudio

import lorelm

pytestmark = [pytest.mark.system, pytest.mark.slow]

PROMPT = "ROMEO: My lady"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[FileServer]:
    """A host of static files."""
    (tmp_path / "host").mkdir()
    server = FileServer(tmp_path / "host")
    yield server
    server.stop()


def written(driver: PageDriver) -> str:
    """Let a page continue the prompt, always with the likeliest token; return the text."""
    expect(driver.surface).to_be_visible()
    driver.set(Temperature=0)
    driver.surface.fill(PROMPT)
    driver.generate()
    return driver.text


def test_from_a_dropped_file_to_a_web_site(
    browser: Browser,
    start_studio: Callable[..., RunningStudio],
    host: FileServer,
    corpus_file: Callable[[str], Path],
) -> None:
    studio = start_studio("--share-links")
    with watched_context(browser, accept_downloads=True) as context:
        context.set_default_timeout(300_000)
        page = context.new_page()
        page.goto(studio.link)
        page.locator("#files").set_input_files(corpus_file("tinyshakespeare.txt"))
        page.get_by_role("link", name="Train a model of it").click()
        page.get_by_label("As the recipe says").check()
        page.get_by_role("button", name="Train", exact=True).click()
        # The curve moves long before the first of these epochs, which last a minute, is over.
        curve = page.locator("#learning svg polyline")
        expect(curve).to_be_visible(timeout=120_000)
        before = curve.get_attribute("points")
        expect(curve).not_to_have_attribute("points", before or "")
        page.get_by_role("button", name="Stop and keep the best").click()
        page.get_by_role("link", name="Write with it").click()

        text = written(PageDriver(page, f"{studio.url}write/tinyshakespeare/"))
        model = lorelm.load(studio.folder / "models" / "tinyshakespeare")
        assert text == PROMPT + model.generate(PROMPT, temperature=0).text
        page.get_by_role("textbox", name="Name of the draft").fill("Balcony")
        page.get_by_role("button", name="Save as draft").click()
        page.get_by_role("button", name="Share…").click()
        page.get_by_role("button", name="Make a link to this text").click()
        link = page.get_by_role("textbox", name="Link to Balcony").input_value()
        with watched_context(browser) as others:
            reader = others.new_page()
            reader.goto(link)
            expect(reader.get_by_text(text)).to_be_visible()

        page.goto(studio.url + "models")
        page.get_by_text("More tinyshakespeare").click()
        with page.expect_download() as downloading:
            page.get_by_role("link", name="a site").click()
        archive = zipfile.ZipFile(downloading.value.path())
    archive.extractall(host.folder / "some" / "place")
    with opened(browser, f"{host.url}some/place/site/") as driver:
        driver.page.context.set_offline(True)
        assert written(driver) == text
