"""The main way of the studio, for browsers that Playwright does not drive."""

from pathlib import Path

from tests.export.browser.test_site_page import FileServer
from tests.server.studio.conftest import RunningStudio
from tests.server.studio.test_texts import TALES
from tests.webdriver import Browser

import lorelm
from lorelm.bundle import Bundle
from lorelm.export.site import SiteOptions, site_files


def go_from_a_file_to_a_site(browser: Browser, studio: RunningStudio, folder: Path) -> None:
    """Drop a text, train, keep the best, write; then write the same on the exported site.

    The site writes it once more when its server has gone.
    """
    _train(browser, studio, folder)
    browser.click("a.button[href*='write']")
    text = browser.write("The fox")
    path = studio.folder / "models" / "tales"
    assert text == "The fox" + lorelm.load(path).generate("The fox", temperature=0).text
    # The site that the studio would send.
    site = folder / "some" / "place"
    site.mkdir(parents=True)
    for name, content in site_files(Bundle.load(path), SiteOptions()).items():
        (site / name).write_bytes(content)
    host = FileServer(folder)
    try:
        browser.open(f"{host.url}some/place/")
        browser.wait_for("!document.querySelector('#loading')")
        assert browser.write("The fox") == text
        browser.wait_for("navigator.serviceWorker.ready.then(() => true)")
    finally:
        host.stop()
    browser.open(f"{host.url}some/place/")
    browser.click("#clear")
    assert browser.write("The fox") == text


def _train(browser: Browser, studio: RunningStudio, folder: Path) -> None:
    (folder / "tales.txt").write_text(TALES, encoding="utf-8")
    browser.open(studio.link)
    browser.set_files("#files", folder / "tales.txt")
    browser.click("a.button[href*='train']")
    browser.click("#length_recipe")
    for name, value in (("hidden_size", "8"), ("min_frequency", "1"), ("epochs", "100000")):
        browser.evaluate(f"document.querySelector('#setting_{name}').value = '{value}'")
    browser.evaluate("document.querySelector('#setting_init').value = 'none'")
    browser.click("form .actions button[type=submit]")
    browser.wait_for("!!document.querySelector('#learning svg polyline')")
    browser.wait_for("!document.querySelector('#keep').hidden")
    browser.click("#keep button")
