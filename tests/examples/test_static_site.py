"""The static site: built as its README says, and read in Debian's Chromium."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.examples.folders import EXAMPLES

pytestmark = [pytest.mark.system, pytest.mark.slow]


def build(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLES / "static_site" / "build.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site_url(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a site that was built twice, under a path, on a server of plain files."""
    folder = tmp_path_factory.mktemp("host")
    for title in ("Old", "Foxes & <owls>"):
        built = build(tiny_bundle, "--title", title, "--out", folder / "tales")
        assert built.returncode == 0, built.stderr
        assert "everyone can read" in built.stdout
        assert built.stdout.count("http.server") == 1
        assert f"--directory {folder / 'tales'} 8000" in built.stdout
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/tales/"
        server.shutdown()
        thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def test_a_visitor_writes_in_the_frame(browser: Browser, site_url: str) -> None:
    page = browser.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(site_url)
    expect(page.get_by_role("heading", name="Foxes & <owls>")).to_be_visible()
    expect(page.get_by_text("has read tales.txt")).to_be_visible()
    frame = page.frame_locator("iframe")
    frame.locator("#surface").click()
    page.keyboard.type("The fox")
    frame.get_by_role("button", name="Generate").click()
    expect(frame.locator("#surface .word").first).to_be_visible()
    assert not problems
    page.close()


@pytest.mark.parametrize("width", [360, 1000])
def test_nothing_is_cut_off_at_the_side(browser: Browser, site_url: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 700})
    page.goto(site_url)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    refused = build(tmp_path / "none", "--out", tmp_path / "site")
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: ")
    assert str(tmp_path / "none") in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "site").exists()


def test_a_folder_of_other_things_is_left_alone(tiny_bundle: Path, tmp_path: Path) -> None:
    diary = tmp_path / "model" / "diary.txt"
    diary.parent.mkdir()
    diary.write_text("mine")
    refused = build(tiny_bundle, "--out", tmp_path)
    assert refused.returncode == 2
    assert diary.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
