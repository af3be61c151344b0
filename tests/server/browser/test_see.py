"""Tints, alternatives, unknown words and copies."""

import math
import re

import pytest
from playwright.sync_api import Browser, expect
from tests.server.browser.page_driver import PageDriver

LEVELS = "elements => elements.map(element => element.className.match(/p([0-4])/)[1])"


def test_each_word_is_tinted_by_its_probability(driver: PageDriver, browser: Browser) -> None:
    driver.page.keyboard.type("The fox")
    driver.set(Temperature=3)
    driver.lengthen(20)
    driver.generate()
    lengths = {"min_len": 20, "max_len": 20}
    settings = {"temperature": 3, "seed": driver.seed, "num_alternatives": 0} | lengths
    reply = driver.ask("api/generate", prompt="The fox", **settings)
    tokens = reply["samples"][0]["tokens"]
    borders = (0.5, 0.2, 0.05, 0.01)
    expected = [
        str(sum(math.exp(token["log_probability"]) < border for border in borders))
        for token in tokens
        if token["text"].strip()
    ]
    assert driver.words.evaluate_all(LEVELS) == expected
    assert len(set(expected)) > 1
    tints = {
        level: driver.page.locator(f".legend .p{level}").first.evaluate(
            "element => getComputedStyle(element).backgroundColor"
        )
        for level in range(5)
    }
    assert len(set(tints.values())) == 5


def test_hovering_over_a_word_shows_its_alternatives(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox")
    driver.generate()
    reply = driver.ask("api/generate", prompt="The fox", seed=driver.seed, num_alternatives=5)
    token = reply["samples"][0]["tokens"][1]
    driver.words.nth(1).hover()
    expect(driver.card).to_be_visible()
    shown = driver.card.inner_text()
    assert shown.startswith(token["text"].strip())
    for other in token["alternatives"]:
        if other["text"].strip() != token["text"].strip():
            assert (other["text"].strip() or "(the end)") in shown
    driver.page.mouse.move(5, 5)
    expect(driver.card).to_be_hidden()


def test_a_resting_mouse_opens_no_card(driver: PageDriver) -> None:
    """The text grows beneath the mouse; a card would cover the next words."""
    driver.page.keyboard.type("The fox")
    driver.lengthen(30)
    driver.set(Seed=1)
    driver.page.evaluate("scrollTo(0, 0)")
    driver.generate()
    box = driver.words.nth(10).bounding_box()
    assert box
    place = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    driver.press("Undo")
    driver.page.mouse.move(*place)  # where the word will be again
    driver.page.keyboard.press("Control+Enter")
    driver.wait()
    expect(driver.page.locator(".word:hover")).to_have_count(1)
    driver.page.wait_for_timeout(500)
    expect(driver.card).to_be_hidden()
    driver.page.mouse.move(place[0] + 1, place[1])
    expect(driver.card).to_be_visible()


@pytest.mark.slow
def test_no_card_opens_during_a_generation(driver: PageDriver) -> None:
    driver.lengthen(9_000)
    driver.slow_down()
    driver.press("Generate")
    # Not by a click of Playwright's, which waits until the text stands still.
    is_hidden = "word => { word.click(); return document.getElementById('card').hidden; }"
    assert driver.words.nth(3).evaluate(is_hidden)
    driver.press("Stop")
    expect(driver.page.get_by_role("button", name="Generate")).to_be_visible()
    assert not driver.words.nth(3).evaluate(is_hidden)


def test_the_card_of_a_removed_word_closes(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox")
    driver.generate()
    driver.words.nth(0).click()
    expect(driver.card).to_be_visible()
    driver.page.get_by_role("button", name="Clear").press("Enter")
    expect(driver.card).to_be_hidden()


def test_choosing_the_end_cuts_the_text_at_a_word(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox")
    driver.set(Seed=1, Temperature=2)
    driver.lengthen(30)
    driver.generate()
    the_end = driver.card.get_by_role("button", name="(the end)")
    for word in driver.words.all()[1:]:
        before = word.inner_text()
        word.click()
        expect(driver.card).to_contain_text(before)
        if the_end.count():
            break
    num_words = driver.words.count()
    the_end.press("Enter")
    expect(driver.card).to_be_hidden()
    expect(driver.surface).to_be_focused()
    assert 0 < driver.words.count() < num_words
    driver.press("Undo")
    assert driver.words.count() == num_words


def test_choosing_an_alternative_continues_after_it(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox")
    driver.generate()
    before = [driver.words.nth(i).inner_text() for i in range(2)]
    text = driver.text
    driver.words.nth(2).hover()
    choice = driver.card.locator("li button").first
    chosen = re.sub(r"\s+[\d.]+%$", "", choice.inner_text())
    choice.click()
    if chosen != "(the end)":
        driver.wait()
        assert driver.words.nth(2).inner_text() == chosen
    assert [driver.words.nth(i).inner_text() for i in range(2)] == before
    driver.press("Undo")
    assert driver.text == text


def test_the_caret_shows_the_card_and_the_keyboard_chooses(driver: PageDriver) -> None:
    page = driver.page
    page.keyboard.type("So")
    driver.set(Temperature=2, Seed=7)
    driver.surface.focus()
    page.keyboard.press("Control+Enter")
    driver.wait()
    page.keyboard.press("Control+Home")
    expect(driver.card).to_be_hidden()
    for _ in range(len("So ") + 1):
        page.keyboard.press("ArrowRight")
    expect(driver.card).to_be_visible()
    assert driver.card.get_attribute("aria-label") == f"The word {driver.words.first.inner_text()}"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    focused = page.locator("#card li button:focus")
    assert focused.count() == 1
    chosen = re.sub(r"\s+[\d.]+%$", "", focused.inner_text())
    page.keyboard.press("Enter")
    expect(driver.card).to_be_hidden()
    expect(page.get_by_role("button", name="Generate")).to_be_visible()
    assert driver.text.startswith("So" if chosen == "(the end)" else f"So {chosen}")
    expect(driver.surface).to_be_focused()


def test_escape_closes_the_card(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox")
    driver.generate()
    driver.words.nth(1).click()
    expect(driver.card).to_be_visible()
    driver.page.keyboard.press("Escape")
    expect(driver.card).to_be_hidden()
    expect(driver.surface).to_be_focused()


UNDERLINED = "() => [...CSS.highlights.get('unknown') ?? []].map(range => range.toString())"


def test_unknown_words_are_underlined_and_similar_ones_offered(driver: PageDriver) -> None:
    driver.page.keyboard.type("The foxe met a foxe by the millwheel")
    offered = driver.page.locator("#unknown")
    expect(offered).to_contain_text("foxe")
    assert sorted(driver.page.evaluate(UNDERLINED)) == ["a", "foxe", "foxe", "met", "millwheel"]
    offered.get_by_role("button", name="Replace foxe with fox").click()
    assert driver.text == "The fox met a fox by the millwheel"
    expect(offered).not_to_contain_text("foxe")
    driver.press("Undo")
    assert driver.text == "The foxe met a foxe by the millwheel"


def test_replacing_an_unknown_spelling_keeps_the_known_one(driver: PageDriver) -> None:
    driver.page.keyboard.type("The owl, thE owl")
    offered = driver.page.locator("#unknown")
    offered.get_by_role("button", name="Replace thE with the", exact=True).click()
    assert driver.text == "The owl, the owl"


def test_long_lists_of_unknown_words_are_shortened(driver: PageDriver) -> None:
    driver.page.keyboard.type(" ".join(f"zorp{letter}" for letter in "abcdefghijklmnop"))
    offered = driver.page.locator("#unknown")
    expect(offered).to_contain_text("and 8 more")
    assert len(driver.page.evaluate(UNDERLINED)) == 16


@pytest.mark.parametrize("is_novel", [False, True])
def test_copies_are_marked_and_can_be_avoided(driver: PageDriver, is_novel: bool) -> None:
    driver.set(Temperature=0.7)
    driver.page.get_by_label("Nothing copied").set_checked(is_novel)
    num_copied = 0
    for _ in range(4 if is_novel else 20):
        driver.page.keyboard.press("Control+Enter")
        driver.wait()
        num_copied += driver.surface.locator(".copied").count()
        if not is_novel and num_copied:
            break
        driver.press("Clear")
    assert (num_copied == 0) == is_novel
    if not is_novel:
        driver.surface.locator(".copied").first.hover()
        expect(driver.card).to_contain_text("copied from the training text")
        reply = driver.ask("api/generate", prompt="", seed=driver.seed, temperature=0.7)
        [sample] = reply["samples"]
        span = sample["copied_spans"][0]
        copied = sample["text"][span["start"] : span["end"]]
        shown = driver.surface.locator(".copied").all_inner_texts()
        assert "".join(shown).startswith(re.sub(r"\s", "", copied))
