"""Keeping what was written: a person's history, and one click to have a text again."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, expect
from tests.server.browser.desk import Desk, NewDesk, watched


def test_what_was_written_is_found_made_again_and_deleted(desk: Desk, tmp_path: Path) -> None:
    texts = []
    for prompt in ("The fox", "No owl"):
        desk.page.keyboard.type(prompt)
        desk.set(Temperature=2)
        desk.generate()
        texts.append(desk.text)
        desk.press("Clear")
    desk.page.get_by_role("link", name="your history").click()
    kept = desk.page.locator("article")
    expect(kept).to_have_count(2)
    for article, text in zip(kept.all(), reversed(texts), strict=True):
        assert article.locator(".sample").evaluate("element => element.textContent") == text

    desk.page.get_by_label("Search").fill("fox")
    desk.page.get_by_label("Search").press("Enter")
    desk.page.wait_for_url("**/history?q=fox")
    expect(kept.locator(".sample", has_text="fox")).to_have_count(kept.count())
    with desk.page.expect_download() as download:
        desk.page.get_by_role("link", name="JSON").click()
    download.value.save_as(tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert texts[0] in [record["prompt"] + record["text"] for record in found]
    with desk.page.expect_download() as download:
        desk.page.get_by_role("link", name="CSV").click()
    download.value.save_as(tmp_path / "found.csv")
    with (tmp_path / "found.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(found)

    kept.filter(has_text=texts[0]).get_by_role("button", name="Make it again").click()
    expect(desk.words.first).to_be_visible()
    assert desk.text == texts[0]
    assert desk.status == "Made again, word for word."
    desk.words.first.hover()
    expect(desk.card).to_be_visible()

    desk.page.goto(desk.url + "history")
    expect(kept).to_have_count(3)  # what was made again is a generation, too
    kept.first.get_by_role("button", name="Delete").click()
    expect(kept).to_have_count(2)
    desk.page.get_by_text("Delete all", exact=True).click()
    desk.page.get_by_role("button", name="Yes, delete all of it").click()
    expect(desk.page.get_by_text("There is nothing yet.")).to_be_visible()


def test_prompt_and_settings_are_used_again(desk: Desk) -> None:
    desk.page.keyboard.type("The wren")
    desk.set(Temperature=1.5, Top_k=7)
    desk.generate()
    seed = desk.seed
    desk.press("Clear")
    desk.page.get_by_text("More settings").click()
    desk.set(Temperature=0.5)
    desk.page.get_by_role("link", name="your history").click()
    desk.page.get_by_role("link", name="Use its prompt and settings").first.click()
    expect(desk.surface).to_have_text("The wren")
    expect(desk.page.get_by_label("Temperature", exact=True)).to_have_value("1.5")
    expect(desk.page.locator("#top_k")).to_have_value("7")
    expect(desk.page.locator("#seed")).to_have_value(str(seed))


def test_a_text_that_is_made_again_leaves_the_settings_alone(desk: Desk) -> None:
    desk.page.keyboard.type("The wren")
    desk.set(Temperature=1.5)
    desk.generate()
    desk.set(Temperature=0.7)
    desk.page.keyboard.press("Tab")
    desk.page.goto(desk.url + "history")
    desk.press("Make it again")
    expect(desk.page.get_by_role("status")).to_have_text("Made again, word for word.")
    for _ in range(2):
        expect(desk.page.get_by_label("Temperature", exact=True)).to_have_value("0.7")
        expect(desk.page.get_by_label("Seed")).to_have_value("")
        desk.page.reload()


def test_what_is_being_written_is_not_lost_to_what_is_looked_at_again(desk: Desk) -> None:
    desk.page.keyboard.type("The wren")
    desk.generate()
    desk.press("Clear")
    desk.page.keyboard.type("No owl")
    for role, act in (("link", "Use its prompt and settings"), ("button", "Make it again")):
        written = desk.text
        desk.page.get_by_role("link", name="your history").click()
        desk.page.get_by_role(role, name=act).last.click()  # type: ignore[arg-type]
        expect(desk.surface).to_contain_text("The wren")
        desk.page.keyboard.type("!")
        changed = desk.text
        desk.page.reload()
        assert desk.text == changed
        desk.page.go_back()
        desk.page.goto(desk.url + "history")
        desk.page.get_by_role(role, name=act).last.click()  # type: ignore[arg-type]
        desk.press("Undo")
        assert desk.text in (changed, written)


def test_without_a_script_the_history_works_too(browser: Browser, url: str) -> None:
    with watched(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(url)
        page.get_by_label("Your text").fill("The fox")
        page.get_by_role("button", name="Generate").click()
        text = page.locator(".sample").inner_text()
        page.get_by_role("link", name="your history").click()
        page.get_by_role("button", name="Make it again").click()
        expect(page.get_by_role("status")).to_have_text("Made again, word for word.")
        assert page.locator(".sample").inner_text() == text
        page.get_by_role("button", name="Continue from here").click()
        assert page.locator(".sample").inner_text().startswith(text)


def test_another_browser_sees_nothing_of_it(new_desk: NewDesk, browser: Browser, url: str) -> None:
    desk = new_desk()
    desk.page.keyboard.type("The mole")
    desk.generate()
    with watched(browser) as context:
        other = Desk(context.new_page(), url)
        other.page.get_by_role("link", name="your history").click()
        expect(other.page.get_by_text("There is nothing yet.")).to_be_visible()


def test_a_server_without_history_says_so(
    new_desk: NewDesk, start_server: Callable[..., str], tiny_bundle: Path
) -> None:
    desk = new_desk(start_server(str(tiny_bundle), "--no-history"))
    expect(desk.page.get_by_text("is not kept")).to_be_visible()
    assert desk.page.get_by_role("link", name="your history").count() == 0
