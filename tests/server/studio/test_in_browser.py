"""The studio as a person uses it: `lorelm studio` in Debian's Chromium."""

import re
import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.server.browser.page_driver import watched_context
from tests.server.browser.test_accessible import violations
from tests.server.studio.conftest import RunningStudio, wait_for
from tests.server.studio.test_texts import TALES

from lorelm.runs.queue import RunQueue

pytestmark = pytest.mark.system

StartStudio = Callable[..., RunningStudio]


@pytest.fixture
def tales_file(tmp_path: Path) -> Path:
    path = tmp_path / "tales.txt"
    path.write_text(TALES, encoding="utf-8")
    return path


def opened(context: BrowserContext, studio: RunningStudio) -> Page:
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(studio.link)
    expect(page.get_by_role("heading", name="Texts", exact=True)).to_be_visible()
    return page


def drop(page: Page, file: Path) -> None:
    """Drop a file on the page, as a file manager does."""
    transfer = page.evaluate_handle(
        "([name, text]) => { const transfer = new DataTransfer();"
        " transfer.items.add(new File([text], name)); return transfer; }",
        [file.name, file.read_text(encoding="utf-8")],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})


def begin_training(page: Page, **settings: str) -> None:
    """Train on the text whose page is open, with the smallest network there is."""
    page.get_by_role("link", name="Train a model of it").click()
    page.get_by_label("As the recipe says").check()
    page.get_by_text("All settings").click()
    tiny = {"Hidden size": "8", "Min frequency": "1", "Init": "none"}
    for label, value in (tiny | settings).items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Train", exact=True).click()


def wide_enough(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.slow
def test_from_a_dropped_file_to_a_model_that_writes(
    browser: Browser, start_studio: StartStudio, tales_file: Path
) -> None:
    studio = start_studio()
    with watched_context(browser) as context:
        page = opened(context, studio)
        drop(page, tales_file)
        expect(page.get_by_text("The fox ran in the wood.").first).to_be_visible()
        expect(page.locator("#text")).to_have_attribute("data-whole", "yes")
        begin_training(page, Epochs="100000")
        expect(page.locator("#learning svg polyline")).to_be_visible()
        expect(page.locator("#epoch-samples article").first).to_be_visible()
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("Paused.", exact=True)).to_be_visible()
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Stop and keep the best").click()
        # Two processes in turn, each of which imports PyTorch.
        page.get_by_role("link", name="Write with it").click(timeout=150_000)
        page.locator("#surface").click()
        page.keyboard.type("The fox")
        page.get_by_role("button", name="Generate").click()
        expect(page.get_by_role("status")).to_contain_text("seed")
        page.goto(studio.url + "models")
        card = page.locator("#tales")
        expect(card).to_contain_text("Perplexity")
        expect(card.locator("blockquote")).not_to_contain_text("Writing a sample")


@pytest.mark.slow
def test_a_training_outlives_the_studio_and_the_page(
    browser: Browser, start_studio: StartStudio, tales_file: Path
) -> None:
    first = start_studio()
    with browser.new_context() as context:  # it reports what fails while the studio is away
        page = opened(context, first)
        page.locator("#files").set_input_files(tales_file)
        begin_training(page, Epochs="100000")
        expect(page.get_by_role("button", name="Stop and keep the best")).to_be_visible()
        assert "continues to train" in first.end()
        queue = RunQueue(first.folder / "runs")
        assert [job.is_running for job in queue.jobs()] == [True]
        second = start_studio("--port", str(first.url.rsplit(":", 1)[1].strip("/")))
        # The page that was open finds the studio again, without another link.
        expect(page.locator("#learning svg polyline")).to_be_visible()
        assert second.url == first.url
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Continue")).to_be_visible()
        wait_for(lambda: not any(job.is_running for job in queue.jobs()))


def test_a_second_command_opens_the_studio_that_runs(
    browser: Browser, start_studio: StartStudio
) -> None:
    first, second = start_studio(), start_studio("--port", "1", "--share-links")
    assert second.process.wait(timeout=60) == 0
    assert "already running" in second.said
    assert "--port, --share-links, --history have no effect" in second.said
    assert second.url == first.url
    assert second.link != first.link
    with watched_context(browser) as context:
        opened(context, second)


def test_a_finished_run_leads_to_writing_and_not_to_a_terminal(
    browser: Browser, start_studio: StartStudio, tiny_bundle: Path
) -> None:
    studio = start_studio()
    shutil.copytree(tiny_bundle, studio.folder / "models" / "Fox")
    with watched_context(browser) as context:
        page = opened(context, studio)
        page.goto(studio.url + "train/Fox")
        expect(page.locator("#end")).to_contain_text("test perplexity")
        expect(page.get_by_role("main")).not_to_contain_text("lorelm ")
        page.get_by_role("link", name="Write with it").click()
        expect(page.locator("#surface")).to_be_visible()


def test_a_wrong_file_is_explained_beside_it(
    browser: Browser, start_studio: StartStudio, tmp_path: Path
) -> None:
    wrong = tmp_path / "novel.pdf"
    wrong.write_bytes(b"%PDF-1.7 and nothing else")
    with watched_context(browser) as context:
        page = opened(context, start_studio())
        page.locator("#files").set_input_files(wrong)
        expect(page.get_by_role("alert")).to_contain_text("novel.pdf")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.slow
def test_the_pages_are_accessible_and_fit_a_phone(
    browser: Browser,
    start_studio: StartStudio,
    tales_file: Path,
    tiny_bundle: Path,
    scheme: Literal["light", "dark"],
) -> None:
    studio = start_studio()
    for name in ("Fox", "Hare"):
        shutil.copytree(tiny_bundle, studio.folder / "models" / name)
    # The policy would not let axe in.
    options: dict[str, Any] = {"bypass_csp": True, "color_scheme": scheme}
    with watched_context(browser, **options, viewport={"width": 360, "height": 740}) as context:
        page = opened(context, studio)
        page.locator("#files").set_input_files(tales_file)
        expect(page.locator("#text")).to_have_attribute("data-whole", "yes")
        assert violations(page) == []
        assert wide_enough(page)
        for path in ("texts", "train", "models", "write", "train/Fox", "models/compare"):
            page.goto(studio.url + path)
            assert violations(page) == [], path
            assert wide_enough(page), path
            with_details = page.locator("summary:visible")
            for number in range(with_details.count()):
                with_details.nth(number).click()
            assert violations(page) == [], f"{path}, opened"


def test_without_scripts_it_is_plain_forms(
    browser: Browser, start_studio: StartStudio, tales_file: Path
) -> None:
    with watched_context(browser, java_script_enabled=False) as context:
        page = opened(context, start_studio())
        page.locator("#files").set_input_files(tales_file)
        page.get_by_role("button", name="Add").click()
        for _ in range(60):
            if page.get_by_role("link", name="Train a model of it").count():
                break
            page.wait_for_timeout(500)
            page.reload()
        page.get_by_role("link", name="Train a model of it").click()
        page.get_by_role("button", name="Train", exact=True).click()
        expect(page.get_by_role("heading", name="tales")).to_be_visible()
        page.get_by_role("button", name=re.compile("Pause|Remove from the queue")).click()


def test_it_works_under_a_path(
    browser: Browser,
    start_studio: StartStudio,
    start_nginx: Callable[[str], str],
    tales_file: Path,
) -> None:
    studio = start_studio("--password", "mellon")
    proxied = f"location /studio/ {{ proxy_pass {studio.url}; proxy_buffering off; }}"
    address = start_nginx(proxied) + "studio/"
    with browser.new_context() as context:  # it reports the refusal
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.goto(address + "texts")
        page.get_by_label("Password").fill("mellon")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Texts", exact=True)).to_be_visible()
        page.wait_for_load_state("networkidle")  # its script is there
        page.locator("#files").set_input_files(tales_file)
        expect(page.get_by_role("link", name="Train a model of it")).to_be_visible()
        assert page.url.startswith(address)
        page.get_by_role("link", name="Write", exact=True).click()
        page.get_by_role("link", name="english", exact=True).click()
        expect(page.locator("#surface")).to_be_visible()  # the script has begun
        page.get_by_role("button", name="Generate").click()
        expect(page.get_by_role("status")).to_contain_text("seed")


def test_a_host_that_others_reach_needs_a_password(tmp_path: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "lorelm", "studio", "--folder", str(tmp_path / "s")]
    ended = subprocess.run(
        [*command, "--host", "0.0.0.0"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "--password" in ended.stderr
    assert not (tmp_path / "s").exists()


def test_the_address_answers_at_once(start_studio: StartStudio) -> None:
    studio = start_studio()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(studio.url + "texts")
