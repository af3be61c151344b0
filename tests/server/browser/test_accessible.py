"""Accessibility: axe's rules, the keyboard alone, small screens, and no scripts."""

import re
from collections.abc import Callable
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from tests.server.browser.page_driver import PageDriver, watched_context

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def violations(page: Page, part: str = "html") -> list[Any]:
    """Return axe's violations in a part of the page, without minor ones."""
    found = Axe().run(page, part, options=RULES).response["violations"]
    return [
        (each["id"], [node["html"] for node in each["nodes"]])
        for each in found
        if each["impact"] != "minor"
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violations(
    browser: Browser, url: str, scheme: Literal["light", "dark"]
) -> None:
    # The policy would not let axe in.
    with watched_context(browser, bypass_csp=True, color_scheme=scheme) as context:
        driver = PageDriver(context.new_page(), url)
        driver.page.keyboard.type("The foxe")
        assert violations(driver.page) == []
        driver.set(Temperature=2, Samples=2)
        driver.page.get_by_label("Compare").check()
        expect(driver.page.locator("#unknown button").first).to_be_visible()
        driver.generate()
        driver.page.locator("#samples article").first.get_by_role("button").click()
        driver.page.get_by_label("Compare").uncheck()
        driver.set(Samples=1)
        driver.generate()
        assert violations(driver.page) == []
        driver.words.first.click()
        expect(driver.card).to_be_visible()
        assert violations(driver.page, "#card") == []  # it may cover half a button elsewhere
        for path in ("model", "docs", "history"):
            driver.page.goto(url + path)
            assert violations(driver.page) == []


def test_everything_works_with_the_keyboard_alone(driver: PageDriver) -> None:
    keyboard = driver.page.keyboard
    expect(driver.surface).to_be_focused()
    keyboard.type("The hare")
    keyboard.press("Tab")
    expect(driver.page.get_by_role("button", name="Generate")).to_be_focused()
    keyboard.press("Enter")
    driver.wait()
    expect(driver.page.get_by_role("button", name="Generate")).to_be_focused()
    first = driver.text
    keyboard.press("Tab")
    expect(driver.page.get_by_role("button", name="Again")).to_be_focused()
    keyboard.press("Space")
    driver.wait()
    keyboard.press("Tab")
    expect(driver.page.get_by_role("button", name="Undo")).to_be_focused()
    keyboard.press("Enter")
    assert driver.text == first
    keyboard.press("Enter")
    assert driver.text == "The hare"
    assert first.startswith("The hare ")
    reached = []
    for _ in range(20):
        keyboard.press("Tab")
        reached.append(
            driver.page.evaluate("document.activeElement.id || document.activeElement.tagName")
        )
    for control in ("max_len", "temperature", "num_samples", "novel_span", "SUMMARY"):
        assert control in reached


@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_has_no_horizontal_overflow(browser: Browser, url: str, width: int) -> None:
    with watched_context(browser, viewport={"width": width, "height": 700}) as context:
        driver = PageDriver(context.new_page(), url)
        driver.page.keyboard.type("The fox " + "x" * 200)
        driver.set(Samples=2)
        driver.generate()
        driver.page.locator("#samples .word").last.hover()
        expect(driver.card).to_be_visible()
        overflow = driver.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        smallest = driver.page.evaluate(
            "Math.min(...[...document.querySelectorAll('p, label, input, button, li')]"
            ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
        assert overflow <= 0
        assert smallest >= 13


def test_without_scripts_the_page_is_a_form(browser: Browser, url: str) -> None:
    with watched_context(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(url)
        page.get_by_label("Your text").fill("The fox")
        page.get_by_label("Length").fill("9")
        page.get_by_label("Temperature", exact=True).fill("2")
        page.get_by_role("button", name="Generate").click()
        sample = page.locator(".sample")
        assert re.match(r"The fox\W", sample.inner_text())
        assert page.get_by_label("Your text").input_value() == "The fox"
        assert page.get_by_label("Length").input_value() == "9"
        assert "%; or: " in (sample.locator(".word").first.get_attribute("title") or "")
        text = sample.inner_text()
        page.get_by_role("button", name="Continue from here").click()
        assert sample.inner_text().startswith(text)
        for name in ("Again", "Undo", "Stop"):
            assert page.get_by_role("button", name=name).count() == 0


@pytest.mark.parametrize("has_script", [True, False], ids=["with script", "without"])
def test_the_embedded_model_writes_in_the_browser(
    browser: Browser, start_server: Callable[..., str], has_script: bool
) -> None:
    with watched_context(browser, java_script_enabled=has_script) as context:
        page = context.new_page()
        page.goto(start_server())
        page.get_by_label("Your text").fill("My lord, the")
        page.get_by_role("button", name="Generate").click()
        expect(page.locator("#surface .word, .sample .word:not(:empty)").first).to_be_visible()
