"""The documentation site: built strictly, it works offline, by keyboard and on a phone."""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from tests.docs.markdown import ROOT

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built as `make docs` does."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--quiet"]
    subprocess.run([*command, str(ROOT / "docs"), str(out)], check=True)
    return out


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test if it asks for anything but files of the site."""
    context = browser.new_context()
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    yield context.new_page()
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


class Links(HTMLParser):
    """The addresses and the anchors of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.addresses.add(value)
            if value and name in ("id", "name"):
                self.anchors.add(value)


def test_every_link_leads_to_a_page_and_an_anchor_of_it(site: Path) -> None:
    links = {page: Links(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}
    assert len(links) > 100
    for page, found in links.items():
        for address in found.addresses:
            parts = urlsplit(address)
            if parts.scheme:
                assert parts.scheme in ("https", "http", "mailto", "data"), (page, address)
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target.exists(), (page.relative_to(site), address)
            if parts.fragment and target in links:
                anchors = links[target].anchors
                assert unquote(parts.fragment) in anchors, (page.relative_to(site), address)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_axe_finds_nothing_and_no_page_is_wider_than_the_screen(
    site: Path, browser: Browser, scheme: str, width: int
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    sources = sorted((site / "_source").rglob("*.html"))
    for file in [*sorted(set(site.rglob("*.html")) - set(sources)), *sources[:2]]:
        page.goto(file.as_uri())
        found = [
            (each["id"], each["nodes"][0]["html"])
            for each in Axe().run(page).response["violations"]
        ]
        assert found == [], file.relative_to(site)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, file
    context.close()


def test_the_search_works_without_a_server(site: Path, page: Page) -> None:
    page.goto((site / "index.html").as_uri())
    page.get_by_placeholder("Search").fill("Kneser-Ney")
    page.keyboard.press("Enter")
    expect(page.locator(".search-summary")).to_contain_text("Search finished")
    links = page.locator("#search-results li > a")
    addresses = links.evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert addresses[0].startswith("concepts/kneser-ney.html")
    pattern = re.compile(r"decisions/|project/(?!(english|model-card)\.html)")
    records = [pattern.match(address) is not None for address in addresses]
    assert any(records)
    assert records == sorted(records)  # guides first
    places = ["guides/python", "project/english", "project/model-card", "project/changelog"]
    scores = "places => places.map(each => Scorer.score([each, '', '', '', 10]))"
    assert page.evaluate(scores, places) == [10, 10, 10, 1]


def test_a_formula_is_shown_without_a_script(site: Path) -> None:
    formulas = re.findall(
        r"<math", "".join(page.read_text(encoding="utf-8") for page in site.rglob("*.html"))
    )
    assert formulas
    assert "MathJax" not in (site / "reference" / "bundle-format.html").read_text(encoding="utf-8")
