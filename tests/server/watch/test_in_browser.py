"""`lorelm train --watch`, looked at in Debian's Chromium while it trains."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.server.browser.page_driver import watched_context
from tests.server.browser.test_accessible import violations

from lorelm.corpus.documents import Documents

SMALL = ("--min-frequency", "1", "--hidden-size", "8", "--tokenizer", "words")


class Training:
    """A training that is watched."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        """Start `lorelm train --watch` with these arguments, or another command that is one."""
        if arguments[0] != "runs":
            arguments = ("train", *arguments, "--watch")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lorelm", *arguments],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr
        for line in self.process.stderr:
            if found := re.search(r"Watch it at (http://127\.0\.0\.1:\d+/)", line):
                self.url = found[1]
                return
        pytest.fail("it says no address")

    def end(self, number: int) -> str:
        """Send a signal; return the rest of what the process says."""
        self.process.send_signal(number)
        return self.process.communicate(timeout=60)[1]


@pytest.fixture
def folder(tales: Documents, tmp_path: Path) -> Path:
    lines = "\n".join(text.replace("\n", " ") for text in tales.texts)
    (tmp_path / "my.txt").write_text(lines, encoding="utf-8")
    return tmp_path


@pytest.fixture
def endless(folder: Path) -> Iterator[Training]:
    """A run that ends when the test ends it."""
    training = Training(folder, "my.txt", "--out", "model", "--epochs", "100000", *SMALL)
    yield training
    if training.process.poll() is None:
        training.end(signal.SIGKILL)
    assert training.process.stderr
    training.process.stderr.close()


def opened(context: Any, training: Training) -> Page:
    page: Page = context.new_page()
    page.goto(training.url)
    expect(page.locator("#epoch-samples article").nth(2)).to_be_visible()
    expect(page.locator("#resident svg circle").first).to_be_visible()
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_the_run_and_is_accessible(
    browser: Browser, endless: Training, scheme: Literal["light", "dark"]
) -> None:
    # The policy would not let axe in.
    with watched_context(browser, bypass_csp=True, color_scheme=scheme) as context:
        page = opened(context, endless)
        expect(page.get_by_role("status")).to_have_text(re.compile(r"epoch \d+ of 100000"))
        expect(page.get_by_role("img", name="Loss by epoch")).to_be_visible()
        expect(
            page.get_by_text("162 documents").or_(page.get_by_text("documents,")).first
        ).to_be_visible()
        expect(page.locator("#settings")).to_contain_text("hidden size8")
        page.get_by_text("Every epoch as a table").click()
        expect(page.locator("#epochs tr").nth(2)).to_be_visible()
        page.get_by_text("Every epoch as a table").click()
        assert violations(page) == []
        chart = page.locator("#loss svg")
        chart.focus()
        page.keyboard.press("Home")
        expect(page.locator("#loss p")).to_contain_text("epoch 1:")


def test_a_phone_shows_it_without_scrolling_sideways(browser: Browser, endless: Training) -> None:
    with watched_context(browser, viewport={"width": 360, "height": 700}) as context:
        page = opened(context, endless)
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0


@pytest.mark.slow
def test_a_run_that_is_stopped_says_so_and_goes_on_in_a_new_page(
    browser: Browser, endless: Training, folder: Path
) -> None:
    with watched_context(browser) as context:
        page = opened(context, endless)
        said = endless.end(signal.SIGINT)
        assert "go on with lorelm train --resume model" in said
        # The server is gone; the page keeps what it had.
        expect(page.get_by_role("status")).to_have_text(re.compile(r"Stopped after \d+ of 100000"))
        expect(page.locator("#end")).to_contain_text("lorelm train --resume model")
        expect(page.locator("#left")).to_have_text("–")
        assert page.locator("#epoch-samples article").count() >= 3
        assert page.locator("#loss polyline").count() == 2
        resumed = Training(folder, "--resume", "model")
        other = opened(context, resumed)
        expect(other.locator("#loss polyline").first).to_be_visible()
        resumed.end(signal.SIGINT)


def test_a_run_that_is_killed_is_noticed(browser: Browser, endless: Training) -> None:
    # Not watched for messages: the browser itself says that it cannot connect again.
    with browser.new_context() as context:
        page = opened(context, endless)
        endless.end(signal.SIGKILL)
        expect(page.get_by_role("status")).to_contain_text("This page has lost its connection")
        expect(page.get_by_role("status")).to_contain_text(
            "continue with lorelm train --resume model"
        )
        assert page.locator("#loss polyline").count() == 2


def test_a_run_that_ends_shows_its_result(browser: Browser, folder: Path) -> None:
    training = Training(folder, "my.txt", "--out", "my model", "--epochs", "25", *SMALL)
    with watched_context(browser) as context:
        page = context.new_page()
        page.goto(training.url)
        assert training.process.communicate(timeout=120)
        expect(page.get_by_role("status")).to_have_text("Finished. The model is saved.")
        assert training.process.returncode == 0
        result = page.locator("#end")
        expect(result).to_contain_text("test perplexity")
        expect(result).to_contain_text("lorelm serve 'my model'")
        expect(page).to_have_title("finished – my.txt – LoreLM trains")
        assert page.locator("#share").evaluate("bar => bar.value") == 1


def test_a_run_that_was_begun_without_it_is_watched_from_its_folder(
    browser: Browser, endless: Training, folder: Path
) -> None:
    with watched_context(browser) as context:
        opened(context, endless).close()  # it has epochs now
        other = Training(folder, "runs", "watch", "model")
        page = context.new_page()
        page.goto(other.url)
        expect(page.get_by_role("status")).to_have_text(re.compile(r"epoch \d+ of 100000"))
        expect(page.locator("#loss polyline")).to_have_count(2)
        expect(page.locator("#settings")).to_contain_text("hidden size8")
        expect(page.get_by_role("heading", name="What it writes")).to_be_hidden()
        endless.end(signal.SIGINT)
        expect(page.get_by_role("status")).to_have_text(re.compile(r"Stopped after \d+ of"))
        other.end(signal.SIGINT)
        assert other.process.returncode == 0
