"""Seeing what the model thinks: tints, alternatives, unknown words, copies."""

import math
import re

import pytest
from playwright.sync_api import Browser, expect
from tests.server.browser.desk import Desk

LEVELS = "elements => elements.map(element => element.className.match(/p([0-4])/)[1])"


def test_each_word_is_tinted_by_its_probability(desk: Desk, browser: Browser) -> None:
    desk.page.keyboard.type("The fox")
    desk.set(Temperature=3)
    desk.lengthen(20)
    desk.generate()
    lengths = {"min_len": 20, "max_len": 20}
    settings = {"temperature": 3, "seed": desk.seed, "num_alternatives": 0} | lengths
    reply = desk.ask("api/generate", prompt="The fox", **settings)
    tokens = reply["samples"][0]["tokens"]
    borders = (0.5, 0.2, 0.05, 0.01)
    expected = [
        str(sum(math.exp(token["log_probability"]) < border for border in borders))
        for token in tokens
        if token["text"].strip()
    ]
    assert desk.words.evaluate_all(LEVELS) == expected
    assert len(set(expected)) > 1
    tints = {
        level: desk.page.locator(f".legend .p{level}").first.evaluate(
            "element => getComputedStyle(element).backgroundColor"
        )
        for level in range(5)
    }
    assert len(set(tints.values())) == 5


def test_pointing_at_a_word_shows_what_else_was_likely(desk: Desk) -> None:
    desk.page.keyboard.type("The fox")
    desk.generate()
    reply = desk.ask("api/generate", prompt="The fox", seed=desk.seed, num_alternatives=5)
    token = reply["samples"][0]["tokens"][1]
    desk.words.nth(1).hover()
    expect(desk.card).to_be_visible()
    shown = desk.card.inner_text()
    assert shown.startswith(token["text"].strip())
    for other in token["alternatives"]:
        if other["text"].strip() != token["text"].strip():
            assert (other["text"].strip() or "(the end)") in shown
    desk.page.mouse.move(5, 5)
    expect(desk.card).to_be_hidden()


def test_a_mouse_that_rests_opens_nothing(desk: Desk) -> None:
    """The text grows beneath it; a card would lie over what comes next."""
    desk.page.keyboard.type("The fox")
    desk.lengthen(30)
    desk.set(Seed=1)
    desk.generate()
    box = desk.words.nth(10).bounding_box()
    assert box
    place = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    desk.press("Undo")
    desk.page.mouse.move(*place)  # where the word will be again
    desk.page.keyboard.press("Control+Enter")
    desk.wait()
    expect(desk.page.locator(".word:hover")).to_have_count(1)
    desk.page.wait_for_timeout(500)
    expect(desk.card).to_be_hidden()
    desk.page.mouse.move(place[0] + 1, place[1])
    expect(desk.card).to_be_visible()


def test_while_it_is_written_no_card_opens(desk: Desk) -> None:
    desk.lengthen(9_000)
    desk.press("Generate")
    # Not by a click of Playwright's, which waits until the text stands still.
    is_hidden = "word => { word.click(); return document.getElementById('card').hidden; }"
    assert desk.words.nth(3).evaluate(is_hidden)
    desk.press("Stop")
    expect(desk.page.get_by_role("button", name="Generate")).to_be_visible()
    assert not desk.words.nth(3).evaluate(is_hidden)


def test_the_card_of_a_word_that_is_gone_goes_too(desk: Desk) -> None:
    desk.page.keyboard.type("The fox")
    desk.generate()
    desk.words.nth(0).click()
    expect(desk.card).to_be_visible()
    desk.page.get_by_role("button", name="Clear").press("Enter")
    expect(desk.card).to_be_hidden()


def test_a_text_can_be_ended_at_any_word(desk: Desk) -> None:
    desk.page.keyboard.type("The fox")
    desk.set(Seed=1, Temperature=2)
    desk.lengthen(30)
    desk.generate()
    the_end = desk.card.get_by_role("button", name="(the end)")
    for word in desk.words.all()[1:]:
        before = word.inner_text()
        word.click()
        expect(desk.card).to_contain_text(before)
        if the_end.count():
            break
    num_words = desk.words.count()
    the_end.press("Enter")
    expect(desk.card).to_be_hidden()
    expect(desk.surface).to_be_focused()
    assert 0 < desk.words.count() < num_words
    desk.press("Undo")
    assert desk.words.count() == num_words


def test_choosing_an_alternative_rewrites_from_there(desk: Desk) -> None:
    desk.page.keyboard.type("The fox")
    desk.generate()
    before = [desk.words.nth(i).inner_text() for i in range(2)]
    text = desk.text
    desk.words.nth(2).hover()
    choice = desk.card.locator("li button").first
    chosen = re.sub(r"\s+[\d.]+ %$", "", choice.inner_text())
    choice.click()
    if chosen != "(the end)":
        desk.wait()
        assert desk.words.nth(2).inner_text() == chosen
    assert [desk.words.nth(i).inner_text() for i in range(2)] == before
    desk.press("Undo")
    assert desk.text == text


def test_the_caret_shows_the_alternatives_too_and_the_keyboard_chooses(desk: Desk) -> None:
    page = desk.page
    page.keyboard.type("So")
    desk.set(Temperature=2)
    desk.surface.focus()
    page.keyboard.press("Control+Enter")
    desk.wait()
    page.keyboard.press("Control+Home")
    expect(desk.card).to_be_hidden()
    for _ in range(len("So ") + 1):
        page.keyboard.press("ArrowRight")
    expect(desk.card).to_be_visible()
    assert desk.card.get_attribute("aria-label") == f"The word {desk.words.first.inner_text()}"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    focused = page.locator("#card li button:focus")
    assert focused.count() == 1
    chosen = re.sub(r"\s+[\d.]+ %$", "", focused.inner_text())
    page.keyboard.press("Enter")
    expect(desk.card).to_be_hidden()
    expect(page.get_by_role("button", name="Generate")).to_be_visible()
    assert desk.text.startswith("So" if chosen == "(the end)" else f"So {chosen}")
    expect(desk.surface).to_be_focused()


def test_escape_closes_the_card(desk: Desk) -> None:
    desk.page.keyboard.type("The fox")
    desk.generate()
    desk.words.nth(1).click()
    expect(desk.card).to_be_visible()
    desk.page.keyboard.press("Escape")
    expect(desk.card).to_be_hidden()
    expect(desk.surface).to_be_focused()


UNDERLINED = "() => [...CSS.highlights.get('unknown') ?? []].map(range => range.toString())"


def test_unknown_words_are_underlined_and_the_nearest_are_offered(desk: Desk) -> None:
    desk.page.keyboard.type("The foxe met a foxe by the millwheel")
    offered = desk.page.locator("#unknown")
    expect(offered).to_contain_text("foxe")
    assert sorted(desk.page.evaluate(UNDERLINED)) == ["a", "foxe", "foxe", "met", "millwheel"]
    offered.get_by_role("button", name="Replace foxe with fox").click()
    assert desk.text == "The fox met a fox by the millwheel"
    expect(offered).not_to_contain_text("foxe")
    desk.press("Undo")
    assert desk.text == "The foxe met a foxe by the millwheel"


def test_a_known_word_stays_where_another_spelling_of_it_is_unknown(desk: Desk) -> None:
    desk.page.keyboard.type("The owl, thE owl")
    offered = desk.page.locator("#unknown")
    offered.get_by_role("button", name="Replace thE with the", exact=True).click()
    assert desk.text == "The owl, the owl"


def test_of_many_unknown_words_a_few_are_named(desk: Desk) -> None:
    desk.page.keyboard.type(" ".join(f"zorp{letter}" for letter in "abcdefghijklmnop"))
    offered = desk.page.locator("#unknown")
    expect(offered).to_contain_text("and 8 more")
    assert len(desk.page.evaluate(UNDERLINED)) == 16


@pytest.mark.parametrize("is_novel", [False, True])
def test_copies_are_marked_and_can_be_avoided(desk: Desk, is_novel: bool) -> None:
    desk.set(Temperature=0.3)
    desk.page.get_by_label("Novel only").set_checked(is_novel)
    num_copied = 0
    for _ in range(4):
        desk.page.keyboard.press("Control+Enter")
        desk.wait()
        num_copied += desk.surface.locator(".copied").count()
        if not is_novel and num_copied:
            break
        desk.press("Clear")
    assert (num_copied == 0) == is_novel
    if not is_novel:
        desk.surface.locator(".copied").first.hover()
        expect(desk.card).to_contain_text("copied from the training text")
        reply = desk.ask("api/generate", prompt="", seed=desk.seed, temperature=0.3)
        [sample] = reply["samples"]
        span = sample["copied_spans"][0]
        copied = sample["text"][span["start"] : span["end"]]
        shown = desk.surface.locator(".copied").all_inner_texts()
        assert "".join(shown).startswith(re.sub(r"\s", "", copied))
