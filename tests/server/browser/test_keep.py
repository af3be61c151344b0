"""The history of a browser."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, expect
from tests.server.browser.page_driver import NewDriver, PageDriver, watched_context


def test_texts_are_found_generated_again_and_deleted(driver: PageDriver, tmp_path: Path) -> None:
    texts = []
    for prompt in ("The fox", "No owl"):
        driver.page.keyboard.type(prompt)
        driver.set(Temperature=2)
        driver.generate()
        texts.append(driver.text)
        driver.press("Clear")
    driver.page.get_by_role("link", name="your history").click()
    kept = driver.page.locator("article")
    expect(kept).to_have_count(2)
    for article, text in zip(kept.all(), reversed(texts), strict=True):
        assert article.locator(".sample").evaluate("element => element.textContent") == text

    driver.page.get_by_label("Search").fill("fox")
    driver.page.get_by_label("Search").press("Enter")
    driver.page.wait_for_url("**/history?q=fox")
    expect(kept.locator(".sample", has_text="fox")).to_have_count(kept.count())
    with driver.page.expect_download() as download:
        driver.page.get_by_role("link", name="JSON").click()
    download.value.save_as(tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert texts[0] in [record["prompt"] + record["text"] for record in found]
    with driver.page.expect_download() as download:
        driver.page.get_by_role("link", name="CSV").click()
    download.value.save_as(tmp_path / "found.csv")
    with (tmp_path / "found.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(found)

    kept.filter(has_text=texts[0]).get_by_role("button", name="Generate again").click()
    expect(driver.words.first).to_be_visible()
    assert driver.text == texts[0]
    assert driver.status == "Generated again: the same text."
    driver.words.first.hover()
    expect(driver.card).to_be_visible()

    driver.page.goto(driver.url + "history")
    expect(kept).to_have_count(3)  # a regenerated text is a record too
    kept.first.get_by_role("button", name="Delete").click()
    expect(kept).to_have_count(2)
    driver.page.get_by_text("Delete all", exact=True).click()
    driver.page.get_by_role("button", name="Yes, delete all").click()
    expect(driver.page.get_by_text("No texts yet.")).to_be_visible()


def test_prompt_and_settings_are_used_again(driver: PageDriver) -> None:
    driver.page.keyboard.type("The wren")
    driver.set(Temperature=1.5, Top_k=7)
    driver.generate()
    seed = driver.seed
    driver.press("Clear")
    driver.page.get_by_text("More settings").click()
    driver.set(Temperature=0.5)
    driver.page.get_by_role("link", name="your history").click()
    driver.page.get_by_role("link", name="Use prompt and settings").first.click()
    expect(driver.surface).to_have_text("The wren")
    expect(driver.page.get_by_label("Temperature", exact=True)).to_have_value("1.5")
    expect(driver.page.locator("#top_k")).to_have_value("7")
    expect(driver.page.locator("#seed")).to_have_value(str(seed))


def test_a_regenerated_text_leaves_the_settings_unchanged(driver: PageDriver) -> None:
    driver.page.keyboard.type("The wren")
    driver.set(Temperature=1.5)
    driver.generate()
    driver.set(Temperature=0.7)
    driver.page.keyboard.press("Tab")
    driver.page.goto(driver.url + "history")
    driver.press("Generate again")
    expect(driver.page.get_by_role("status")).to_have_text("Generated again: the same text.")
    for _ in range(2):
        expect(driver.page.get_by_label("Temperature", exact=True)).to_have_value("0.7")
        expect(driver.page.get_by_label("Seed")).to_have_value("")
        driver.page.reload()


def test_opening_a_text_of_the_history_keeps_the_present_text_in_undo(driver: PageDriver) -> None:
    driver.page.keyboard.type("The wren")
    driver.generate()
    driver.press("Clear")
    driver.page.keyboard.type("No owl")
    for role, act in (("link", "Use prompt and settings"), ("button", "Generate again")):
        written = driver.text
        driver.page.get_by_role("link", name="your history").click()
        driver.page.get_by_role(role, name=act).last.click()  # type: ignore[arg-type]
        expect(driver.surface).to_contain_text("The wren")
        if role == "button":
            driver.wait()
        driver.page.keyboard.type("!")
        changed = driver.text
        driver.page.reload()
        assert driver.text == changed
        driver.page.go_back()
        driver.page.goto(driver.url + "history")
        driver.page.get_by_role(role, name=act).last.click()  # type: ignore[arg-type]
        driver.press("Undo")
        assert driver.text in (changed, written)


def test_the_history_works_without_scripts(browser: Browser, url: str) -> None:
    with watched_context(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(url)
        page.get_by_label("Your text").fill("The fox")
        page.get_by_role("button", name="Generate").click()
        text = page.locator(".sample").inner_text()
        page.get_by_role("link", name="your history").click()
        page.get_by_role("button", name="Generate again").click()
        expect(page.get_by_role("status")).to_have_text("Generated again: the same text.")
        assert page.locator(".sample").inner_text() == text
        page.get_by_role("button", name="Continue from here").click()
        assert page.locator(".sample").inner_text().startswith(text)


def test_another_browser_has_an_empty_history(
    new_driver: NewDriver, browser: Browser, url: str
) -> None:
    driver = new_driver()
    driver.page.keyboard.type("The mole")
    driver.generate()
    with watched_context(browser) as context:
        other = PageDriver(context.new_page(), url)
        other.page.get_by_role("link", name="your history").click()
        expect(other.page.get_by_text("No texts yet.")).to_be_visible()


def test_a_server_without_history_says_so(
    new_driver: NewDriver, start_server: Callable[..., str], tiny_bundle: Path
) -> None:
    driver = new_driver(start_server(str(tiny_bundle), "--no-history"))
    expect(driver.page.get_by_text("are not kept")).to_be_visible()
    assert driver.page.get_by_role("link", name="your history").count() == 0
