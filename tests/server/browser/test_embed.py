"""A page of another site that shows the model in a frame and uses its API."""

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.server.browser.page_driver import watched_context
from tests.server.browser.test_accessible import violations

USE_API = """
async url => {
  const send = (path, init) => fetch(url + path, init).then(r => r.json(), e => String(e));
  const generate = {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ prompt: "The fox", max_len: 3, seed: 1 }),
  };
  return [await send("api/model"), await send("api/generate", generate),
          await send("history/export.json", { credentials: "include" })];
}
"""


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def other_site(tmp_path: Path) -> Iterator[str]:
    """The address of a site with another name than the server's, whose pages the tests write."""
    handler = partial(QuietHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture
def served(start_server: Callable[..., str], tiny_bundle: Path, other_site: str) -> str:
    return start_server(str(tiny_bundle), "--allow-origin", other_site, "--title", "The tales")


def embed(page: Page, folder: Path, site: str, address: str) -> None:
    frame = f'<iframe src="{address}" title="A model" width="340" height="420"></iframe>'
    head = '<!doctype html><title>Other</title><link rel="icon" href="data:,">'
    text = f"{head}<p>Before</p><input autofocus>{frame}"
    (folder / "index.html").write_text(text, encoding="utf-8")
    page.goto(site)


def test_a_frame_of_another_site_writes(
    browser: Browser, served: str, other_site: str, tmp_path: Path
) -> None:
    with watched_context(browser) as context:
        page = context.new_page()
        embed(page, tmp_path, other_site, f"{served}embed")
        frame = page.frame_locator("iframe")
        expect(frame.get_by_role("heading", name="The tales")).to_be_visible()
        assert page.evaluate("document.activeElement.tagName") == "INPUT"  # kept its focus
        frame.get_by_role("textbox", name="Your text").click()
        page.keyboard.type("The fox")
        frame.get_by_role("button", name="Generate").click()
        expect(frame.locator("#surface .word").first).to_be_visible()
        overflow = frame.locator("html").evaluate("e => e.scrollWidth - e.clientWidth")
        assert overflow <= 0
        assert context.cookies() == []


def test_a_frame_works_where_the_browser_keeps_nothing_for_it(
    browser: Browser, served: str, other_site: str, tmp_path: Path
) -> None:
    # As in browsers that block what they call third-party cookies.
    forbid = """
    for (const name of ["localStorage", "sessionStorage"]) {
      const get = () => { throw new DOMException("", "SecurityError") };
      Object.defineProperty(window, name, { get });
    }
    """
    with watched_context(browser) as context:
        context.add_init_script(forbid)
        page = context.new_page()
        embed(page, tmp_path, other_site, f"{served}embed")
        frame = page.frame_locator("iframe")
        frame.get_by_text("Settings", exact=True).click()
        frame.get_by_label("Length").fill("5")
        frame.get_by_role("button", name="Generate").click()
        expect(frame.locator("#surface .word").first).to_be_visible()


def test_a_page_of_an_allowed_origin_uses_the_api_and_no_other(
    browser: Browser, served: str, other_site: str, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("<!doctype html><title>Other</title>")
    context = browser.new_context()
    page = context.new_page()
    page.goto(served)  # gets a cookie
    page.goto(other_site)
    model, reply, history = page.evaluate(USE_API, served)
    assert model["model"] == "tales"
    assert reply["samples"][0]["seed"] == 1
    assert "Failed to fetch" in history
    page.goto(other_site.replace("localhost", "127.0.0.1"))  # the same files, another origin
    refused = page.evaluate(USE_API, served)
    context.close()
    assert all("Failed to fetch" in str(each) for each in refused), json.dumps(refused)


@pytest.mark.parametrize("path", ["", "history", "model"])
def test_other_pages_refuse_to_be_framed(
    browser: Browser, served: str, other_site: str, tmp_path: Path, path: str
) -> None:
    context = browser.new_context()
    page = context.new_page()
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        embed(page, tmp_path, other_site, served + path)
    context.close()


def test_axe_finds_no_violations_in_the_page_for_frames(browser: Browser, served: str) -> None:
    with watched_context(browser, bypass_csp=True) as context:
        page = context.new_page()
        page.goto(f"{served}embed")
        page.get_by_text("Settings", exact=True).click()
        assert violations(page) == []
