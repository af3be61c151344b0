"""The exported page in Debian's Chromium, sent by `python -m http.server` under a sub-path."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.server.browser.page_driver import PageDriver, watched_context
from tests.server.browser.test_accessible import violations

from lorelm.bundle import Bundle
from lorelm.export.site import SiteOptions, export_site
from lorelm.generation.language_model import load

NewSite = Callable[..., str]
"""Exports a bundle; returns the address of the page."""


class FileServer:
    """`python -m http.server` of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout
        port = re.findall(r"port (\d+)", self._process.stdout.readline())[0]
        self.url = f"http://127.0.0.1:{port}/"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    server = FileServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def blog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    """Another web site."""
    server = FileServer(tmp_path_factory.mktemp("blog"))
    yield server
    server.stop()


@pytest.fixture
def new_site(server: FileServer) -> NewSite:
    def new(bundle: Path, path: str = "people/me/site", **options: Any) -> str:
        export_site(Bundle.load(bundle), server.folder / path, SiteOptions(**options))
        return f"{server.url}{path}/"

    return new


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[PageDriver]:
    """The page in a browser of its own, once the model is loaded."""
    with watched_context(browser, **options) as context:
        driver = PageDriver(context.new_page(), url)
        expect(driver.page.locator("#loading")).to_have_count(0)
        yield driver


def test_it_writes_the_text_of_python_with_the_network_cut(
    browser: Browser, new_site: NewSite, server: FileServer, tiny_bundle: Path
) -> None:
    url = new_site(tiny_bundle)
    prompt = "The hare and"
    expected = load(tiny_bundle).generate(prompt, temperature=0, max_len=60).text
    with opened(browser, url) as driver:
        driver.page.evaluate("() => navigator.serviceWorker.ready")  # what a second visit needs
        driver.set(Temperature=0, Length=60)
        driver.page.context.set_offline(True)
        server.stop()
        driver.surface.click()
        driver.page.keyboard.type(prompt)
        driver.generate()
        assert driver.text == prompt + expected

        driver.page.reload()
        driver.press("Clear")
        driver.page.keyboard.type(prompt)
        driver.generate()
        assert driver.text == prompt + expected


def test_a_seed_gives_the_text_of_python(
    browser: Browser, new_site: NewSite, tiny_bundle: Path
) -> None:
    model = load(tiny_bundle)
    with opened(browser, new_site(tiny_bundle)) as driver:
        driver.set(Seed=11, Length=50, Samples=2)
        driver.generate()
        texts = driver.page.locator("#samples .sample").all_inner_texts()
    expected = model.generate("", seed=11, max_len=50, num_samples=2).samples
    assert texts == [re.sub(r" *\n *", "\n", sample.text) for sample in expected]


def test_the_page_has_what_the_served_one_has(
    browser: Browser, new_site: NewSite, scene_bundle: Path
) -> None:
    """Tints, alternatives, undo, speakers, copies, unknown words, and two texts side by side."""
    with opened(browser, new_site(scene_bundle)) as driver:
        driver.page.keyboard.type("OWL: Who is at the mill?")
        driver.page.get_by_label("Who speaks next", exact=True).select_option("HARE")
        driver.set(Temperature=0)
        driver.generate()
        lines = driver.text.split("\n")
        assert re.match(r"HARE: \w", lines[1])
        assert driver.status.startswith("The line ends here: ")
        assert driver.words.first.get_attribute("class").startswith("word p")
        # The script repeats itself, so the sentence that follows is one of its own.
        expect(driver.surface.locator(".word.copied").first).to_be_visible()

        written = driver.text
        driver.words.nth(2).click()
        expect(driver.card).to_contain_text(re.compile(r"\d%"))
        driver.card.locator("li button").first.click()
        driver.wait()
        assert driver.text != written
        driver.press("Undo")
        assert driver.text == written

        driver.press("Clear")
        driver.page.keyboard.type("The Zorblax of the brigde")
        unknown = driver.page.locator("#unknown")
        expect(unknown.get_by_role("button", name="Replace brigde with bridge")).to_be_visible()
        driver.set(Second_temperature=2)
        driver.page.get_by_label("Compare").check()
        driver.generate()
        assert driver.page.locator("#samples article").count() == 2


LENGTHEN = """
const { postMessage } = Worker.prototype;
Worker.prototype.postMessage = function (message) {
  if (message.kind === "generate") Object.assign(message.body, { min_len: 1e6, max_len: 1e6 });
  return postMessage.call(this, message);
};
"""


def test_stop_keeps_what_has_come(browser: Browser, new_site: NewSite, tiny_bundle: Path) -> None:
    with watched_context(browser) as context:
        context.add_init_script(LENGTHEN)
        driver = PageDriver(context.new_page(), new_site(tiny_bundle))
        driver.press("Generate")
        expect(driver.words.nth(40)).to_be_visible()
        driver.page.keyboard.press("Escape")
        driver.wait()
        assert driver.status.startswith("Stopped: ")
        assert driver.words.count() > 40
        driver.press("Again")
        expect(driver.words.nth(40)).to_be_visible()
        driver.press("Stop")
        driver.wait()


def test_a_form_s_mistake_is_explained(
    browser: Browser, new_site: NewSite, tiny_bundle: Path
) -> None:
    with opened(browser, new_site(tiny_bundle)) as driver:
        driver.set(Seed=2**53 - 1, Samples=2)
        driver.press("Generate")
        expect(driver.page.get_by_role("alert")).to_contain_text("Seed: must be at most")
        driver.set(Seed=1)
        driver.generate()


def test_a_title_with_html_is_shown_as_it_is(
    browser: Browser, new_site: NewSite, tiny_bundle: Path
) -> None:
    title = "<img src=x onerror=alert(1)> & <b>bold</b>"
    with opened(browser, new_site(tiny_bundle, title=title)) as driver:
        expect(driver.page.get_by_role("heading", level=1)).to_have_text(title)
        assert driver.page.title() == title


def test_a_missing_model_is_reported(
    browser: Browser, new_site: NewSite, server: FileServer, tiny_bundle: Path
) -> None:
    url = new_site(tiny_bundle)
    for path in server.folder.rglob("model-*.bin"):
        path.unlink()
    page = browser.new_page()
    page.goto(url)
    expect(page.locator("#loading")).to_contain_text("cannot be loaded")
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be loaded")
    page.close()


def test_another_page_embeds_it_in_one_line(
    browser: Browser, new_site: NewSite, blog: FileServer, tiny_bundle: Path
) -> None:
    """In a page of another origin, which keeps a frame from its storage."""
    frame = f'<iframe src="{new_site(tiny_bundle)}" title="My model" width="100%" height="800">'
    (blog.folder / "index.html").write_text(
        f'<!doctype html><link rel="icon" href="data:,"><p>My blog</p>{frame}</iframe>'
    )
    with watched_context(browser) as context:
        page = context.new_page()
        page.goto(blog.url.replace("127.0.0.1", "localhost"))
        embedded = page.frame_locator("iframe")
        expect(embedded.locator("#loading")).to_have_count(0)
        embedded.get_by_role("button", name="Generate").click()
        expect(embedded.locator("#surface .word").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violations(
    browser: Browser, new_site: NewSite, scene_bundle: Path, scheme: Literal["light", "dark"]
) -> None:
    with opened(browser, new_site(scene_bundle), bypass_csp=True, color_scheme=scheme) as driver:
        driver.page.keyboard.type("OWL: Hm")
        driver.generate()
        assert violations(driver.page) == []


def test_it_fits_a_phone_and_the_keyboard_is_enough(
    browser: Browser, new_site: NewSite, scene_bundle: Path
) -> None:
    with opened(browser, new_site(scene_bundle), viewport={"width": 320, "height": 640}) as driver:
        assert _width(driver.page) <= 320
        expect(driver.surface).to_be_focused()
        driver.page.keyboard.type("OWL: Hm")
        driver.page.keyboard.press("Control+Enter")
        expect(driver.words.first).to_be_visible()
        driver.wait()
        assert _width(driver.page) <= 320


def _width(page: Page) -> int:
    return page.evaluate("() => document.documentElement.scrollWidth")


def test_an_earlier_visit_does_not_hide_a_new_version(
    browser: Browser, new_site: NewSite, tiny_bundle: Path, scene_bundle: Path
) -> None:
    url = new_site(tiny_bundle)
    with opened(browser, url) as driver:
        driver.page.evaluate("() => navigator.serviceWorker.ready")
        new_site(scene_bundle, title="The second one")
        driver.page.reload()
        expect(driver.page.get_by_role("heading", level=1)).to_have_text("The second one")
        driver.generate()
        stored = driver.page.evaluate(STORED)
        assert len([name for name in stored if name.startswith("model-")]) == 1


STORED = """async () => {
  const stores = await Promise.all((await caches.keys()).map((name) => caches.open(name)));
  const requests = (await Promise.all(stores.map((store) => store.keys()))).flat();
  return requests.map(({ url }) => url.split("/").at(-1));
}"""


@pytest.mark.parametrize(
    ("locale", "button", "language"),
    [("de-AT", "Erzeugen", "de"), ("fr-FR", "Générer", "fr"), ("nl-NL", "Generate", "en")],
)
def test_it_speaks_the_language_of_its_visitor(
    browser: Browser, new_site: NewSite, tiny_bundle: Path, locale: str, button: str, language: str
) -> None:
    address = new_site(tiny_bundle)
    options: dict[str, Any] = {"viewport": {"width": 360, "height": 700}, "bypass_csp": True}
    with watched_context(browser, locale=locale, **options) as context:
        page = context.new_page()
        page.goto(address)
        expect(page.get_by_role("button", name=button)).to_be_visible()
        expect(page.locator("#loading")).to_have_count(0)
        page.locator("#surface").click()
        page.keyboard.type("The fox")
        page.get_by_role("button", name=button).click()
        expect(page.locator("#surface .word").first).to_be_visible()
        assert page.locator("html").get_attribute("lang") == language
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert violations(page) == []
        other = "English" if language != "en" else "Deutsch"
        page.get_by_role("link", name=other).click()
        word = "Generate" if other == "English" else "Erzeugen"
        expect(page.get_by_role("button", name=word)).to_be_visible()
        page.goto(address)  # the choice is remembered
        expect(page.get_by_role("button", name=word)).to_be_visible()


def test_english_can_be_chosen_where_nothing_is_remembered(
    browser: Browser, new_site: NewSite, tiny_bundle: Path
) -> None:
    with watched_context(browser, locale="de-AT") as context:
        page = context.new_page()
        page.add_init_script(
            "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })"
        )
        page.goto(new_site(tiny_bundle))
        page.get_by_role("link", name="English").click()
        expect(page.get_by_role("button", name="Generate")).to_be_visible()
        assert page.locator("html").get_attribute("lang") == "en"


def test_its_pages_are_languages_without_scripts_too(
    browser: Browser, new_site: NewSite, tiny_bundle: Path
) -> None:
    with browser.new_context(java_script_enabled=False, locale="fr-FR") as context:
        page = context.new_page()
        page.goto(new_site(tiny_bundle))
        page.get_by_role("link", name="Français").click()
        expect(page.get_by_text("Cette page a besoin de JavaScript")).to_be_visible()
