"""Generate, Stop, Undo, Again, and continuing from a word."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from tests.server.browser.page_driver import NewDriver, PageDriver


@pytest.mark.parametrize("how", ["button", "keys"])
def test_the_continuation_follows_the_text_in_another_colour(driver: PageDriver, how: str) -> None:
    driver.page.keyboard.type("The fox")  # the editor has the focus at the start
    if how == "button":
        driver.press("Generate")
    else:
        driver.page.keyboard.press("Control+Enter")
    driver.wait()
    assert driver.text.startswith("The fox ")
    assert driver.text.endswith("".join(driver.words.all_inner_texts())[-3:])
    colour = "element => getComputedStyle(element).color"
    assert driver.words.first.evaluate(colour) != driver.surface.evaluate(colour)


def test_the_page_shows_the_text_of_the_api(driver: PageDriver) -> None:
    driver.page.keyboard.type("The hare")
    driver.set(Temperature=1.3, Top_p=0.9, Length=7)
    driver.generate()
    settings = {"temperature": 1.3, "top_p": 0.9, "max_len": 7, "seed": driver.seed}
    reply = driver.ask("api/generate", prompt="The hare", **settings)
    assert driver.text == "The hare" + reply["samples"][0]["text"]


@pytest.mark.parametrize("how", [pytest.param("button", marks=pytest.mark.slow), "key"])
def test_words_stream_until_stop(driver: PageDriver, how: str) -> None:
    driver.lengthen(10_000)
    driver.slow_down()
    driver.press("Generate")
    expect(driver.words.nth(20)).to_be_attached()
    expect(driver.surface).to_have_attribute("aria-busy", "true")
    driver.page.keyboard.type("x")  # is ignored during a generation
    if how == "button":
        driver.press("Stop")
    else:
        driver.page.keyboard.press("Escape")
    expect(driver.page.get_by_role("button", name="Generate")).to_be_visible()
    num_words = driver.words.count()
    assert 20 < num_words < 10_000
    stopped = re.fullmatch(r"Stopped: (\d+) tokens, seed \d+\.", driver.status)
    assert stopped
    assert int(stopped[1]) >= num_words  # line breaks are tokens without words
    assert "x" not in driver.text.split()
    driver.page.wait_for_timeout(300)
    assert driver.words.count() == num_words


def test_undo_and_redo_cover_typing_and_generations(driver: PageDriver) -> None:
    driver.page.keyboard.type("The owl")
    driver.generate()
    first = driver.text
    driver.page.keyboard.type(" Then")
    typed = driver.text
    assert typed == first + " Then"
    driver.press("Undo")
    assert driver.text == first
    assert driver.words.count() > 0
    driver.press("Undo")
    assert driver.text == "The owl"
    driver.press("Redo")
    assert driver.text == first
    driver.page.keyboard.press("Control+y")
    assert driver.text == typed
    for _ in range(3):
        driver.page.keyboard.press("Control+z")
    assert driver.text == ""
    expect(driver.page.get_by_role("button", name="Undo")).to_be_disabled()


def test_again_generates_another_text_from_the_same_prompt(driver: PageDriver) -> None:
    driver.page.keyboard.type("No")
    driver.set(Temperature=3, Seed=5)
    driver.generate()
    texts, seeds = {driver.text}, {driver.seed}
    for _ in range(3):
        driver.press("Again")
        driver.wait()
        texts.add(driver.text)
        seeds.add(driver.seed)
    assert len(texts) == len(seeds) == 4
    assert all(text.startswith("No") for text in texts)


def test_undo_reverts_each_action_in_one_step(driver: PageDriver) -> None:
    driver.page.keyboard.type("The owl")
    driver.set(Temperature=2)
    driver.lengthen(12)
    driver.generate()
    driver.surface.press("Control+End")  # the button has the focus, and a space would press it
    driver.page.keyboard.type(" and more")
    text = driver.text
    assert text.endswith(" and more")
    driver.press("Again")
    driver.wait()
    assert driver.text != text
    driver.press("Undo")
    assert driver.text == text
    for act in ("Continue from here", 0):
        driver.words.nth(1).click()
        buttons = driver.card.get_by_role("button")
        (buttons.nth(act) if act == 0 else driver.card.get_by_role("button", name=act)).click()
        expect(driver.page.get_by_role("button", name="Generate")).to_be_visible()
        expect(driver.page.get_by_role("button", name="Undo")).to_be_enabled()
        assert driver.text != text
        driver.press("Undo")
        assert driver.text == text


def test_a_double_click_on_generate_does_not_stop_it(driver: PageDriver) -> None:
    driver.lengthen(2_000)
    driver.page.get_by_role("button", name="Generate").dblclick()
    expect(driver.words.nth(100)).to_be_attached()
    driver.page.keyboard.press("Escape")
    expect(driver.page.get_by_role("button", name="Generate")).to_be_visible()


def test_a_long_prompt_is_cut_between_characters(driver: PageDriver) -> None:
    driver.page.keyboard.insert_text("😀" * 10_000 + "a")
    driver.generate()
    assert driver.words.count() > 0
    assert driver.status.endswith("The model has read the last 20,000 characters.")
    expect(driver.page.get_by_role("alert")).to_be_hidden()


def test_a_double_click_selects_a_generated_word(driver: PageDriver) -> None:
    driver.page.keyboard.type("The owl")
    driver.generate()
    word = next(word for word in driver.words.all() if len(word.inner_text()) > 1)
    word.dblclick()
    name = word.inner_text()
    assert driver.page.evaluate("() => getSelection().toString().trim()") in name
    box = word.bounding_box()
    assert box
    driver.page.mouse.click(box["x"] + box["width"] - 1, box["y"] + box["height"] / 2)
    expect(driver.card).to_be_visible()
    driver.page.keyboard.type("zz")
    assert f"{name}zz" in driver.text


def test_a_click_on_a_word_continues_from_there(driver: PageDriver) -> None:
    driver.page.keyboard.type("So the owl")
    driver.set(Temperature=2)
    driver.lengthen(12)
    driver.generate()
    prompt = driver.words.nth(1).evaluate(
        """word => {
            const range = document.createRange();
            range.setStart(word.parentElement, 0);
            range.setEndAfter(word);
            return range.toString();
        }"""
    )
    driver.words.nth(1).click()
    driver.card.get_by_role("button", name="Continue from here").click()
    driver.wait()
    settings = {"temperature": 2, "seed": driver.seed, "min_len": 12, "max_len": 12}
    reply = driver.ask("api/generate", prompt=prompt, **settings)
    assert driver.text == prompt + reply["samples"][0]["text"]


def test_an_edited_word_becomes_plain_text(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox")
    driver.generate()
    num_words = driver.words.count()
    text = driver.text
    driver.page.keyboard.press("End")
    driver.page.keyboard.type(" and")
    assert driver.words.count() == num_words  # typed after the last word
    driver.page.keyboard.press("Control+Home")
    for _ in range(len("The fox ") + 1):
        driver.page.keyboard.press("ArrowRight")
    driver.page.keyboard.type("z")
    assert driver.words.count() == num_words - 1
    assert driver.text == text[:9] + "z" + text[9:] + " and"


def test_line_breaks_and_pasted_text_stay_plain(driver: PageDriver) -> None:
    driver.page.keyboard.type("one")
    driver.page.keyboard.press("Enter")
    driver.page.keyboard.press("Enter")
    driver.page.keyboard.type("two")
    assert driver.text == "one\n\ntwo"
    driver.surface.evaluate(
        """element => {
            const data = new DataTransfer();
            data.setData("text/plain", " <b>three</b>");
            data.setData("text/html", "<b onclick=alert(1)>three</b>");
            const options = {inputType: "insertFromPaste", dataTransfer: data, cancelable: true};
            element.dispatchEvent(new InputEvent("beforeinput", options));
        }"""
    )
    assert driver.text == "one\n\ntwo <b>three</b>"
    assert driver.surface.locator("b").count() == 0


def test_line_breaks_typed_by_a_program_stay(driver: PageDriver) -> None:
    driver.page.keyboard.type("one ")
    driver.page.keyboard.insert_text("two\nthree\n\nfour")
    assert driver.text == "one two\nthree\n\nfour"
    driver.page.keyboard.type("!")
    assert driver.text == "one two\nthree\n\nfour!"


def test_settings_and_text_are_remembered(new_driver: NewDriver) -> None:
    driver = new_driver()
    driver.page.keyboard.type("The mole")
    driver.set(Temperature=1.7, Top_k=4)
    driver.page.get_by_label("Nothing copied").check()
    driver.generate()
    text, num_words = driver.text, driver.words.count()
    driver.page.reload()
    expect(driver.page.get_by_label("Temperature", exact=True)).to_have_value("1.7")
    expect(driver.page.get_by_label("Top k")).to_have_value("4")
    expect(driver.page.get_by_label("Nothing copied")).to_be_checked()
    assert (driver.text, driver.words.count()) == (text, num_words)
    other = new_driver()  # another tab: the same settings, another text
    expect(other.page.get_by_label("Temperature", exact=True)).to_have_value("1.7")
    assert other.text == ""
    other.page.get_by_text("More settings").click()
    other.press("Default settings")
    expect(other.page.get_by_label("Temperature", exact=True)).to_have_value("1")
    expect(other.page.get_by_label("Nothing copied")).not_to_be_checked()


def test_each_setting_is_explained(driver: PageDriver) -> None:
    driver.page.get_by_text("More settings").click()
    fields = driver.page.locator("input[type=number]")
    assert fields.count() == 9
    for field in fields.all():
        explanation = driver.page.locator(f"#{field.get_attribute('aria-describedby')}")
        assert len(explanation.inner_text().split()) >= 3


def test_the_page_shows_facts_about_the_model(driver: PageDriver) -> None:
    facts = driver.page.locator(".facts").inner_text()
    assert re.fullmatch(r"tales.txt\n\d+ known words\nperplexity \d+", facts)


def test_an_invalid_number_is_not_sent(driver: PageDriver) -> None:
    driver.set(Temperature=999)
    driver.press("Generate")
    assert driver.words.count() == 0
    assert driver.page.locator("input:invalid").count() == 1


def test_an_invalid_number_in_closed_settings_is_shown(driver: PageDriver) -> None:
    driver.page.keyboard.type("The owl")
    driver.set(Top_p=0.9)
    driver.generate()
    text = driver.text
    details = driver.page.locator("details")

    def go_on() -> None:
        driver.words.first.click()
        driver.card.get_by_role("button", name="Continue from here").click()

    for act in (lambda: driver.press("Generate"), lambda: driver.press("Again"), go_on):
        driver.set(Top_p=7)
        details.evaluate("details => { details.open = false; }")
        act()
        expect(details).to_have_attribute("open", "")
        assert driver.text == text
    driver.page.reload()
    expect(driver.page.locator("#top_p")).to_have_value("0.9")  # invalid values are not saved
    assert driver.text == text


def test_a_server_error_is_shown_and_the_text_stays(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox")
    driver.set(Seed=2**53 - 1)  # the greatest seed; the second sample would exceed it
    driver.set(Samples=2)
    driver.press("Generate")
    expect(driver.page.get_by_role("alert")).to_contain_text("Seed: must be at most")
    assert driver.text == "The fox"


def test_a_failed_request_leaves_the_text_and_its_undo_steps(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox")
    driver.generate()
    text = driver.text
    undo, redo = (driver.page.get_by_role("button", name=name) for name in ("Undo", "Redo"))
    driver.press("Undo")
    driver.page.context.set_offline(True)
    driver.press("Generate")
    expect(driver.page.get_by_role("alert")).to_contain_text("The server does not answer")
    driver.press("Redo")
    assert driver.text == text
    expect(redo).to_be_disabled()
    for act in ("Again", "Continue from here"):
        if act != "Again":
            driver.words.nth(0).click()
        driver.press(act)
        expect(driver.page.get_by_role("alert")).to_contain_text("The server does not answer")
        assert driver.text == text
    undo.click()
    assert driver.text == "The fox"
    driver.page.context.set_offline(False)


def test_an_unreachable_server_is_reported_and_the_text_stays(
    new_driver: NewDriver, start_server: Callable[..., str], driver: PageDriver
) -> None:
    driver.page.keyboard.type("The fox")
    driver.page.wait_for_load_state("networkidle")  # the icon comes last
    driver.page.context.set_offline(True)
    driver.press("Generate")
    expect(driver.page.get_by_role("alert")).to_contain_text("The server does not answer")
    assert driver.text == "The fox"
    driver.page.context.set_offline(False)
    driver.generate()
    assert driver.words.count() > 0
    expect(driver.page.get_by_role("alert")).to_be_hidden()
