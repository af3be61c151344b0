"""Scenes: who speaks next, lines of one's own, and all that the page can do with a text."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.server.browser.page_driver import NewDriver, PageDriver, watched_context
from tests.server.browser.test_accessible import violations

CUES = "() => [...CSS.highlights.get('cue') ?? []].map(range => range.toString()).reverse()"
QUESTION = "OWL: Who is at the mill?"


@pytest.fixture
def scene(new_driver: NewDriver, scene_url: str) -> PageDriver:
    return new_driver(scene_url)


def choice(page: Page) -> Locator:
    return page.get_by_label("Who speaks next", exact=True)


def lines(driver: PageDriver) -> list[str]:
    return driver.text.split("\n")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("language", ["de", "en", "fr"])
def test_the_choice_of_the_next_speaker_is_not_cut_off(
    browser: Browser, scene_url: str, language: str, width: int
) -> None:
    with watched_context(browser, viewport={"width": width, "height": 800}) as context:
        page = context.new_page()
        page.goto(f"{scene_url}?lang={language}")
        box = page.locator("#next_speaker")
        given = box.evaluate("each => each.getBoundingClientRect().width")
        box.evaluate("each => each.style.cssText = 'flex: none; max-width: none'")
        assert given >= box.evaluate("each => each.getBoundingClientRect().width") - 1


def test_one_writes_for_a_speaker_and_another_answers(scene: PageDriver) -> None:
    scene.page.keyboard.type(QUESTION)
    choice(scene.page).select_option("HARE")
    scene.set(Seed=3)
    scene.generate()
    asked, answer = lines(scene)
    assert asked == QUESTION
    assert re.match(r"HARE: \w", answer)
    assert scene.status.startswith("The line ends here: ")
    prompt = QUESTION + "\nHARE:"
    reply = scene.ask("api/generate", prompt=prompt, single_turn=True, seed=3)
    assert scene.text == prompt + reply["samples"][0]["text"]
    assert scene.words.count() == len(answer.split()) - 1 + len(re.findall(r"[,.!?]", answer))

    choice(scene.page).select_option("OWL")
    scene.press("Write the line myself")
    scene.page.keyboard.type("Where is the hill?")
    assert lines(scene)[2:] == ["OWL: Where is the hill?"]
    choice(scene.page).select_option("OLD MOLE")
    scene.surface.press("Control+Enter")
    scene.wait()
    assert re.match(r"OLD MOLE: \w", lines(scene)[3])
    assert len(lines(scene)) == 4
    assert scene.page.evaluate(CUES) == ["OWL:", "HARE:", "OWL:", "OLD MOLE:"]


def test_speakers_of_one_s_own_answer_each_other(scene: PageDriver) -> None:
    scene.page.keyboard.type("JOAN: Who is at the mill?\nBOB: The owl.")
    names = choice(scene.page).locator("option").all_inner_texts()
    assert names[1:4] == ["JOAN", "BOB", "OWL"]
    choice(scene.page).select_option("JOAN")
    scene.generate()
    assert re.match(r"JOAN: \w", lines(scene)[2])
    scene.page.reload()
    expect(choice(scene.page)).to_have_value("JOAN")
    scene.surface.press("Control+A")
    scene.page.keyboard.type("OWL: The mill.")
    assert choice(scene.page).locator("option").all_inner_texts()[1] == "OWL"
    assert choice(scene.page).input_value() == ""


def test_the_scene_runs_on_and_shows_who_speaks(scene: PageDriver) -> None:
    scene.page.keyboard.type(QUESTION)
    scene.lengthen(60)
    scene.set(Seed=1)
    scene.generate()
    cues = scene.surface.locator(".word.cue")
    assert cues.count() > 1
    spoken = [line for line in lines(scene)[1:] if line]  # the last line may have no cue yet
    assert [line.split(":")[0] + ":" for line in spoken] == cues.all_inner_texts()
    weight = "element => getComputedStyle(element).fontWeight"
    assert cues.first.evaluate(weight) == "700"
    assert scene.words.nth(1).evaluate(weight) == "400"
    assert scene.page.evaluate(CUES) == ["OWL:"]  # typed: a part of plain text


def test_the_beginning_of_a_line_is_continued(scene: PageDriver) -> None:
    scene.page.keyboard.type(QUESTION + "\nHARE: Nothing lies")
    choice(scene.page).select_option("HARE")
    scene.generate()
    assert len(lines(scene)) == 2
    assert lines(scene)[1].startswith("HARE: Nothing lies ")


def test_alternatives_to_a_speaker_are_other_speakers(scene: PageDriver) -> None:
    scene.page.keyboard.type(QUESTION)
    scene.lengthen(40)
    scene.set(Seed=3)
    scene.generate()
    cue = scene.surface.locator(".word.cue").first
    first, before = cue.inner_text(), scene.text
    cue.click()
    expect(scene.card).to_have_attribute("aria-label", f"The word {first}")
    other = next(name for name in ("HARE:", "OLD MOLE:") if name != first)
    choice(scene.page).select_option("OWL")  # does not count within a line
    cue.click()
    scene.card.get_by_role("button", name=other).click()
    scene.wait()
    assert re.match(rf"{other} \w", lines(scene)[1])
    scene.press("Undo")
    assert scene.text == before


def test_samples_side_by_side_are_lines_to_choose_from(scene: PageDriver) -> None:
    scene.page.keyboard.type(QUESTION)
    choice(scene.page).select_option("OLD MOLE")
    scene.set(Samples=2)
    scene.generate()
    samples = scene.page.locator("#samples .sample")
    expect(samples).to_have_count(2)
    assert scene.text == QUESTION
    texts = samples.all_inner_texts()
    assert all(re.match(r"OLD MOLE: \w", text) for text in texts)
    scene.page.get_by_role("button", name="Keep this one").nth(1).click()
    assert lines(scene) == [QUESTION, texts[1]]
    scene.press("Undo")
    assert scene.text == QUESTION


def test_again_and_undo_take_the_whole_line(scene: PageDriver) -> None:
    scene.page.keyboard.type(QUESTION)
    choice(scene.page).select_option("HARE")
    scene.generate()
    first = scene.text
    choice(scene.page).select_option("OLD MOLE")
    scene.press("Again")
    scene.wait()
    assert len(lines(scene)) == 2
    assert lines(scene)[1].startswith("OLD MOLE: ")
    scene.press("Undo")
    assert scene.text == first
    scene.press("Undo")
    assert scene.text == QUESTION
    expect(choice(scene.page)).to_have_value("OLD MOLE")


def test_an_empty_page_begins_with_the_speaker(scene: PageDriver) -> None:
    choice(scene.page).select_option("OWL")
    scene.generate()
    assert re.match(r"OWL: \w", scene.text)
    assert len(lines(scene)) == 1


def test_unknown_names_are_explained_and_near_speakers_offered(scene: PageDriver) -> None:
    scene.page.keyboard.type("HAER: The mill.\nOWL: Where is Zorpo?")
    listed = scene.page.locator("#unknown")
    expect(listed).to_contain_text("Zorpo")
    expect(listed).to_contain_text("may come back as you wrote it")
    expect(listed.get_by_role("button")).to_have_count(1)
    listed.get_by_role("button", name="Replace HAER: with HARE:").click()
    assert scene.text.startswith("HARE: The mill.")
    expect(listed).not_to_contain_text("HAER")
    assert scene.page.evaluate(CUES) == ["HARE:", "OWL:"]


def test_the_choice_is_kept_and_the_history_gives_it_back(scene: PageDriver) -> None:
    scene.page.keyboard.type(QUESTION)
    choice(scene.page).select_option("OLD MOLE")
    scene.generate()
    text = scene.text
    scene.page.reload()
    expect(choice(scene.page)).to_have_value("OLD MOLE")
    assert scene.text == text
    choice(scene.page).select_option("")
    scene.page.get_by_role("link", name="your history").click()
    scene.page.get_by_role("link", name="Use prompt and settings").click()
    assert scene.text == QUESTION + "\nOLD MOLE:"
    expect(choice(scene.page)).to_have_value("OLD MOLE")
    scene.generate()
    assert re.match(r"OLD MOLE: \w", lines(scene)[1])


def test_a_speaker_is_found_with_the_keyboard_alone(scene: PageDriver) -> None:
    keyboard = scene.page.keyboard
    keyboard.type(QUESTION)
    keyboard.press("Tab")
    expect(choice(scene.page)).to_be_focused()
    keyboard.type("old m")
    expect(choice(scene.page)).to_have_value("OLD MOLE")
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(scene.surface).to_be_focused()
    keyboard.type("The mill")
    assert lines(scene)[1] == "OLD MOLE: The mill"
    keyboard.press("Control+Enter")
    scene.wait()
    assert lines(scene)[1].startswith("OLD MOLE: The mill ")


def test_a_cue_comes_and_goes_as_it_is_typed(scene: PageDriver) -> None:
    scene.page.keyboard.type("They said\nOWL: no")
    assert scene.page.evaluate(CUES) == ["OWL:"]
    for _ in range(len(": no")):
        scene.page.keyboard.press("Backspace")
    assert scene.page.evaluate(CUES) == []


def test_the_tales_have_no_speakers(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox: a tale")
    expect(choice(driver.page)).to_have_count(0)
    assert driver.page.evaluate(CUES) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violations_in_a_scene(
    browser: Browser, scene_url: str, scheme: Literal["light", "dark"]
) -> None:
    size = {"width": 360, "height": 800}
    with watched_context(browser, bypass_csp=True, color_scheme=scheme, viewport=size) as context:
        driver = PageDriver(context.new_page(), scene_url)
        driver.page.keyboard.type("OWL: Where is Zorpo?")
        expect(driver.page.locator("#unknown small")).to_be_visible()
        choice(driver.page).select_option("HARE")
        driver.set(Samples=2)
        driver.generate()
        assert violations(driver.page) == []
        overflow = driver.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0


def test_without_scripts_the_speaker_is_a_field(browser: Browser, scene_url: str) -> None:
    with watched_context(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(scene_url)
        page.get_by_label("Your text").fill(QUESTION)
        choice(page).first.select_option("HARE")
        page.get_by_role("button", name="Generate").click()
        sample = page.locator(".sample")
        expect(sample).to_contain_text("HARE: ")
        page.wait_for_load_state()  # without its style, the page shows line breaks as spaces
        assert re.match(rf"{re.escape(QUESTION)}\nHARE: \S", sample.inner_text())
        text = sample.inner_text()
        assert page.get_by_role("button", name="Write the line myself").count() == 0
        page.locator("article select").select_option("OWL")
        page.get_by_role("button", name="Continue from here").click()
        expect(sample).not_to_have_text(text)
        page.wait_for_load_state()
        assert re.match(rf"{re.escape(text)}\s*OWL: \S", sample.inner_text())
