"""Take the pictures of the pages that examples/ makes, with the embedded model."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
SIZE: ViewportSize = {"width": 900, "height": 640}


@contextmanager
def running(*command: str | Path, pattern: str, **environment: str) -> Iterator[str]:
    """Run a program until its pictures are taken; what it printed where the pattern matches."""
    program = subprocess.Popen(
        [sys.executable, *command],
        env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert program.stdout
    try:
        found = (re.search(pattern, line) for line in program.stdout)
        yield next(match[1] for match in found if match)
    finally:
        program.terminate()
        program.wait()


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def opened(browser: Browser, url: str) -> Page:
    page = browser.new_page(viewport=SIZE)
    page.goto(url)
    return page


def save(page: Page, name: str) -> None:
    page.screenshot(path=HERE / f"{name}.png")
    page.close()


def take_static_site(browser: Browser, folder: Path) -> None:
    build = EXAMPLES / "static_site" / "build.py"
    title = ["--title", "Old tales, new words"]
    subprocess.run([sys.executable, build, "english", *title, "--out", folder], check=True)
    serve = ("-m", "http.server", "--bind", "127.0.0.1", "--directory", folder, "0")
    with running(*serve, pattern=r"(http://\S+/)") as url:
        page = opened(browser, url)
        frame = page.frame_locator("iframe")
        frame.locator("#surface").click()
        page.keyboard.type("The old woman opened the door, and")
        frame.get_by_role("button", name="Generate").click()
        expect(frame.locator("#surface .word").nth(20)).to_be_visible(timeout=60_000)
        expect(frame.get_by_role("button", name="Generate")).to_be_visible(timeout=60_000)
        page.evaluate("scrollTo(0, 0)")
        save(page, "example-static-site")


def take_gradio(browser: Browser) -> None:
    serve = ("-m", "lorelm", "serve", "--port", "0", "--no-history")
    with (
        running(*serve, pattern=r"(http://\S+/)") as url,
        running(
            EXAMPLES / "gradio_app" / "app.py",
            pattern=r"(http://127\S+)",
            LORELM_URL=url,
            GRADIO_SERVER_PORT=free_port(),
            GRADIO_ANALYTICS_ENABLED="False",
        ) as app,
    ):
        page = opened(browser, app)
        page.get_by_role("button", name="Go on").click()
        text = page.get_by_label("Text")
        expect(text).to_have_value(re.compile(r"hill.{60}", re.DOTALL), timeout=60_000)
        page.wait_for_timeout(3000)
        save(page, "example-gradio")


def take_lecture_hall(browser: Browser) -> None:
    hall = EXAMPLES / "lecture_hall" / "lecture_hall.py"
    options = ("--host", "127.0.0.1", "--port", free_port(), "--no-browser")
    with running(hall, *options, pattern=r"Projector: (\S+)") as projector:
        page = opened(browser, projector)
        save(page, "example-lecture-hall")


def main() -> None:
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        take_static_site(browser, Path(folder, "site"))
        take_gradio(browser)
        take_lecture_hall(browser)
        browser.close()


if __name__ == "__main__":
    main()
