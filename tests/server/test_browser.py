"""The page in a real browser: Debian's Chromium, driven by Playwright."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect


@pytest.fixture(scope="module")
def url(start_server: Callable[..., str], tiny_bundle: Path) -> str:
    return start_server(str(tiny_bundle))


@pytest.fixture(params=[True, False], ids=["with script", "without script"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=request.param)
    page = context.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    yield page
    context.close()
    assert messages == []  # the security policy, for one, complains there


def test_a_person_gets_a_continuation_and_then_another(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_label("Your words").fill("The fox")
    page.get_by_label("Length").fill("9")
    page.get_by_label("Temperature").fill("2")  # the small model is sure of its five words
    page.get_by_role("button", name="Go on").click()
    continuation = page.locator("#continuation")
    assert continuation.inner_text().startswith("The fox")
    assert len(continuation.inner_text()) > len("The fox")
    assert page.get_by_label("Your words").input_value() == "The fox"
    assert page.get_by_label("Length").input_value() == "9"
    texts = set()
    for _ in range(5):
        with page.expect_navigation():
            page.get_by_role("button", name="Again").click()
        texts.add(continuation.inner_text())
    assert len(texts) > 1


def test_the_embedded_model_writes_in_the_browser(
    page: Page, start_server: Callable[..., str]
) -> None:
    page.goto(start_server())
    page.get_by_label("Your words").fill("My lord, the")
    page.get_by_role("button", name="Go on").click()
    assert len(page.locator("#continuation").inner_text()) > len("My lord, the ")


def test_a_wrong_number_is_stopped_before_it_is_sent(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_label("Temperature").fill("999")
    page.get_by_role("button", name="Go on").click()
    assert page.locator("#continuation").count() == 0
    assert page.locator("input:invalid").count() == 1


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_cut_off_at_the_side(browser: Browser, url: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 700})
    page.goto(url)
    page.get_by_label("Your words").fill("The fox " + "x" * 200)
    with page.expect_navigation():
        page.get_by_role("button", name="Go on").click()
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('p, label, input')]"
        ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    page.close()
    assert overflow <= 0
    assert smallest >= 13


def test_the_keyboard_is_enough(browser: Browser, url: str) -> None:
    page = browser.new_page()
    page.goto(url)
    expect(page.get_by_label("Your words")).to_be_focused()
    page.keyboard.type("The hare")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#continuation")
    assert page.locator("#continuation").inner_text().startswith("The hare")
    page.close()
