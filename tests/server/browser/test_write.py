"""Writing with the model: 'Generate', 'Stop', 'Undo', 'Again', and going on from a word."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from tests.server.browser.desk import Desk, NewDesk


@pytest.mark.parametrize("how", ["button", "keys"])
def test_the_continuation_stands_behind_the_text_in_another_colour(desk: Desk, how: str) -> None:
    desk.page.keyboard.type("The fox")  # the text has the focus from the beginning
    if how == "button":
        desk.press("Generate")
    else:
        desk.page.keyboard.press("Control+Enter")
    desk.wait()
    assert desk.text.startswith("The fox ")
    assert desk.text.endswith("".join(desk.words.all_inner_texts())[-3:])
    colour = "element => getComputedStyle(element).color"
    assert desk.words.first.evaluate(colour) != desk.surface.evaluate(colour)


def test_what_the_page_shows_is_what_the_api_says(desk: Desk) -> None:
    desk.page.keyboard.type("The hare")
    desk.set(Temperature=1.3, Top_p=0.9, Length=7)
    desk.generate()
    settings = {"temperature": 1.3, "top_p": 0.9, "max_len": 7, "seed": desk.seed}
    reply = desk.ask("api/generate", prompt="The hare", **settings)
    assert desk.text == "The hare" + reply["samples"][0]["text"]


@pytest.mark.parametrize("how", ["button", "key"])
def test_words_come_one_by_one_until_stop(desk: Desk, how: str) -> None:
    desk.lengthen(10_000)
    desk.press("Generate")
    expect(desk.words.nth(20)).to_be_attached()
    expect(desk.surface).to_have_attribute("aria-busy", "true")
    desk.page.keyboard.type("x")  # must not get into the midst of what comes
    if how == "button":
        desk.press("Stop")
    else:
        desk.page.keyboard.press("Escape")
    expect(desk.page.get_by_role("button", name="Generate")).to_be_visible()
    num_words = desk.words.count()
    assert 20 < num_words < 10_000
    stopped = re.fullmatch(r"Stopped: (\d+) tokens, seed \d+\.", desk.status)
    assert stopped
    assert int(stopped[1]) >= num_words  # line breaks are tokens, and no words
    assert "x" not in desk.text.split()
    desk.page.wait_for_timeout(300)
    assert desk.words.count() == num_words


def test_undo_and_redo_go_through_all_that_was_done(desk: Desk) -> None:
    desk.page.keyboard.type("The owl")
    desk.generate()
    first = desk.text
    desk.page.keyboard.type(" Then")
    typed = desk.text
    assert typed == first + " Then"
    desk.press("Undo")
    assert desk.text == first
    assert desk.words.count() > 0
    desk.press("Undo")
    assert desk.text == "The owl"
    desk.press("Redo")
    assert desk.text == first
    desk.page.keyboard.press("Control+y")
    assert desk.text == typed
    for _ in range(3):
        desk.page.keyboard.press("Control+z")
    assert desk.text == ""
    expect(desk.page.get_by_role("button", name="Undo")).to_be_disabled()


def test_again_writes_another_text_from_the_same_place(desk: Desk) -> None:
    desk.page.keyboard.type("No")
    desk.set(Temperature=3, Seed=5)
    desk.generate()
    texts, seeds = {desk.text}, {desk.seed}
    for _ in range(3):
        desk.press("Again")
        desk.wait()
        texts.add(desk.text)
        seeds.add(desk.seed)
    assert len(texts) == len(seeds) == 4
    assert all(text.startswith("No") for text in texts)


def test_undo_takes_back_each_thing_at_once(desk: Desk) -> None:
    desk.page.keyboard.type("The owl")
    desk.set(Temperature=2)
    desk.lengthen(12)
    desk.generate()
    desk.surface.press("Control+End")  # the button has the focus, and a space would press it
    desk.page.keyboard.type(" and more")
    text = desk.text
    assert text.endswith(" and more")
    desk.press("Again")
    desk.wait()
    assert desk.text != text
    desk.press("Undo")
    assert desk.text == text
    for act in ("Continue from here", 0):
        desk.words.nth(1).click()
        buttons = desk.card.get_by_role("button")
        (buttons.nth(act) if act == 0 else desk.card.get_by_role("button", name=act)).click()
        expect(desk.page.get_by_role("button", name="Generate")).to_be_visible()
        expect(desk.page.get_by_role("button", name="Undo")).to_be_enabled()
        assert desk.text != text
        desk.press("Undo")
        assert desk.text == text


def test_the_second_click_of_a_double_one_stops_nothing(desk: Desk) -> None:
    desk.lengthen(2_000)
    desk.page.get_by_role("button", name="Generate").dblclick()
    expect(desk.words.nth(100)).to_be_attached()
    desk.page.keyboard.press("Escape")
    expect(desk.page.get_by_role("button", name="Generate")).to_be_visible()


def test_a_prompt_that_is_too_long_is_cut_between_characters(desk: Desk) -> None:
    desk.page.keyboard.insert_text("😀" * 10_000 + "a")
    desk.generate()
    assert desk.words.count() > 0
    assert desk.status.endswith("The model has read the last 20000 characters.")
    expect(desk.page.get_by_role("alert")).to_be_hidden()


def test_a_double_click_selects_a_word_of_the_models(desk: Desk) -> None:
    desk.page.keyboard.type("The owl")
    desk.generate()
    word = next(word for word in desk.words.all() if len(word.inner_text()) > 1)
    word.dblclick()
    name = word.inner_text()
    assert desk.page.evaluate("() => getSelection().toString().trim()") in name
    box = word.bounding_box()
    assert box
    desk.page.mouse.click(box["x"] + box["width"] - 1, box["y"] + box["height"] / 2)
    expect(desk.card).to_be_visible()
    desk.page.keyboard.type("zz")
    assert f"{name}zz" in desk.text


def test_a_click_on_a_word_goes_on_from_there(desk: Desk) -> None:
    desk.page.keyboard.type("So the owl")
    desk.set(Temperature=2)
    desk.lengthen(12)
    desk.generate()
    prompt = desk.words.nth(1).evaluate(
        """word => {
            const range = document.createRange();
            range.setStart(word.parentElement, 0);
            range.setEndAfter(word);
            return range.toString();
        }"""
    )
    desk.words.nth(1).click()
    desk.card.get_by_role("button", name="Continue from here").click()
    desk.wait()
    settings = {"temperature": 2, "seed": desk.seed, "min_len": 12, "max_len": 12}
    reply = desk.ask("api/generate", prompt=prompt, **settings)
    assert desk.text == prompt + reply["samples"][0]["text"]


def test_a_word_that_is_changed_by_hand_is_the_persons(desk: Desk) -> None:
    desk.page.keyboard.type("The fox")
    desk.generate()
    num_words = desk.words.count()
    text = desk.text
    desk.page.keyboard.press("End")
    desk.page.keyboard.type(" and")
    assert desk.words.count() == num_words  # typed behind the last one
    desk.page.keyboard.press("Control+Home")
    for _ in range(len("The fox ") + 1):
        desk.page.keyboard.press("ArrowRight")
    desk.page.keyboard.type("z")
    assert desk.words.count() == num_words - 1
    assert desk.text == text[:9] + "z" + text[9:] + " and"


def test_line_breaks_and_pasted_text_stay_plain(desk: Desk) -> None:
    desk.page.keyboard.type("one")
    desk.page.keyboard.press("Enter")
    desk.page.keyboard.press("Enter")
    desk.page.keyboard.type("two")
    assert desk.text == "one\n\ntwo"
    desk.surface.evaluate(
        """element => {
            const data = new DataTransfer();
            data.setData("text/plain", " <b>three</b>");
            data.setData("text/html", "<b onclick=alert(1)>three</b>");
            const options = {inputType: "insertFromPaste", dataTransfer: data, cancelable: true};
            element.dispatchEvent(new InputEvent("beforeinput", options));
        }"""
    )
    assert desk.text == "one\n\ntwo <b>three</b>"
    assert desk.surface.locator("b").count() == 0


def test_lines_that_a_program_types_stay_lines(desk: Desk) -> None:
    desk.page.keyboard.type("one ")
    desk.page.keyboard.insert_text("two\nthree\n\nfour")
    assert desk.text == "one two\nthree\n\nfour"
    desk.page.keyboard.type("!")
    assert desk.text == "one two\nthree\n\nfour!"


def test_settings_and_text_are_remembered(new_desk: NewDesk) -> None:
    desk = new_desk()
    desk.page.keyboard.type("The mole")
    desk.set(Temperature=1.7, Top_k=4)
    desk.page.get_by_label("Novel only").check()
    desk.generate()
    text, num_words = desk.text, desk.words.count()
    desk.page.reload()
    expect(desk.page.get_by_label("Temperature", exact=True)).to_have_value("1.7")
    expect(desk.page.get_by_label("Top k")).to_have_value("4")
    expect(desk.page.get_by_label("Novel only")).to_be_checked()
    assert (desk.text, desk.words.count()) == (text, num_words)
    other = new_desk()  # another tab: the same person, another text
    expect(other.page.get_by_label("Temperature", exact=True)).to_have_value("1.7")
    assert other.text == ""
    other.page.get_by_text("More settings").click()
    other.press("Default settings")
    expect(other.page.get_by_label("Temperature", exact=True)).to_have_value("0.8")
    expect(other.page.get_by_label("Novel only")).not_to_be_checked()


def test_each_setting_is_explained(desk: Desk) -> None:
    desk.page.get_by_text("More settings").click()
    fields = desk.page.locator("input[type=number]")
    assert fields.count() == 9
    for field in fields.all():
        explanation = desk.page.locator(f"#{field.get_attribute('aria-describedby')}")
        assert len(explanation.inner_text().split()) >= 3


def test_the_facts_of_the_model_stand_in_the_corner(desk: Desk) -> None:
    facts = desk.page.locator(".facts").inner_text()
    assert re.fullmatch(r"tales.txt\n\d+ words known\nperplexity \d+", facts)


def test_a_wrong_number_is_not_sent(desk: Desk) -> None:
    desk.set(Temperature=999)
    desk.press("Generate")
    assert desk.words.count() == 0
    assert desk.page.locator("input:invalid").count() == 1


def test_a_wrong_number_that_is_folded_away_is_shown(desk: Desk) -> None:
    desk.page.keyboard.type("The owl")
    desk.set(Top_p=0.9)
    desk.generate()
    text = desk.text
    details = desk.page.locator("details")

    def go_on() -> None:
        desk.words.first.click()
        desk.card.get_by_role("button", name="Continue from here").click()

    for act in (lambda: desk.press("Generate"), lambda: desk.press("Again"), go_on):
        desk.set(Top_p=7)
        details.evaluate("details => { details.open = false; }")
        act()
        expect(details).to_have_attribute("open", "")
        assert desk.text == text
    desk.page.reload()
    expect(desk.page.locator("#top_p")).to_have_value("0.9")  # nonsense is not remembered
    assert desk.text == text


def test_what_the_server_refuses_is_said_and_the_text_stays(desk: Desk) -> None:
    desk.page.keyboard.type("The fox")
    desk.set(Seed=2**53 - 1)  # the last one that there is, but not of two samples
    desk.set(Samples=2)
    desk.press("Generate")
    expect(desk.page.get_by_role("alert")).to_contain_text("Seed: must be at most")
    assert desk.text == "The fox"


def test_what_is_refused_takes_nothing_away(desk: Desk) -> None:
    desk.page.keyboard.type("The fox")
    desk.generate()
    text = desk.text
    undo, redo = (desk.page.get_by_role("button", name=name) for name in ("Undo", "Redo"))
    desk.press("Undo")
    desk.page.context.set_offline(True)
    desk.press("Generate")
    expect(desk.page.get_by_role("alert")).to_contain_text("The server does not answer")
    desk.press("Redo")
    assert desk.text == text
    expect(redo).to_be_disabled()
    for act in ("Again", "Continue from here"):
        if act != "Again":
            desk.words.nth(0).click()
        desk.press(act)
        expect(desk.page.get_by_role("alert")).to_contain_text("The server does not answer")
        assert desk.text == text
    undo.click()
    assert desk.text == "The fox"
    desk.page.context.set_offline(False)


def test_a_server_that_is_away_is_said_and_the_text_stays(
    new_desk: NewDesk, start_server: Callable[..., str], desk: Desk
) -> None:
    desk.page.keyboard.type("The fox")
    desk.page.wait_for_load_state("networkidle")  # the icon comes last
    desk.page.context.set_offline(True)
    desk.press("Generate")
    expect(desk.page.get_by_role("alert")).to_contain_text("The server does not answer")
    assert desk.text == "The fox"
    desk.page.context.set_offline(False)
    desk.generate()
    assert desk.words.count() > 0
    expect(desk.page.get_by_role("alert")).to_be_hidden()
