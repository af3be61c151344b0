"""Several samples, two temperatures or two models beside each other."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.server.browser.desk import Desk, NewDesk


def test_two_temperatures_stand_side_by_side_with_one_seed(desk: Desk) -> None:
    desk.page.keyboard.type("The fox")
    desk.set(Temperature=0.5, Second_temperature=2)
    desk.page.get_by_label("Compare").check()
    desk.generate()
    columns = desk.page.locator("#samples article")
    assert columns.locator("h2").all_inner_texts() == ["temperature 0.5", "temperature 2"]
    boxes = [column.bounding_box() for column in columns.all()]
    assert boxes[0]
    assert boxes[1]
    assert boxes[0]["y"] == boxes[1]["y"]
    notes = columns.locator(".note").all_inner_texts()
    seeds = {note.split("seed ")[1] for note in notes}
    assert len(seeds) == 1
    seed = int(seeds.pop().rstrip("."))
    for column, temperature in zip(columns.all(), (0.5, 2), strict=True):
        reply = desk.ask("api/generate", prompt="The fox", temperature=temperature, seed=seed)
        text = column.locator(".sample").evaluate("element => element.textContent")
        assert text == reply["samples"][0]["text"]


def test_where_one_of_two_is_refused_the_other_ends(desk: Desk) -> None:
    desk.page.keyboard.type("The fox")
    desk.set(Second_temperature=0.0001)  # which the browser takes for a number like others
    desk.page.get_by_label("Compare").check()
    desk.press("Generate")
    alert = desk.page.get_by_role("alert")
    expect(alert).to_contain_text("emperature: must be a number from 0.001 to 100, or 0")
    expect(desk.page.get_by_role("button", name="Generate")).to_be_visible()
    num_words = desk.page.locator("#samples .word").count()
    desk.page.wait_for_timeout(300)
    assert desk.page.locator("#samples .word").count() == num_words
    assert desk.page.locator("#samples article").count() == (num_words > 0)


def test_the_keyboard_gets_into_the_card_of_a_sample_and_back(desk: Desk) -> None:
    desk.page.keyboard.type("The fox")
    desk.set(Samples=2)
    desk.generate()
    sample = desk.page.locator("#samples .sample").nth(1)
    sample.focus()
    desk.page.keyboard.press("ArrowRight")
    desk.page.keyboard.press("ArrowDown")
    expect(desk.card.get_by_role("button").first).to_be_focused()
    desk.page.keyboard.press("Escape")
    expect(desk.card).to_be_hidden()
    expect(sample).to_be_focused()


def test_one_of_several_samples_is_kept(desk: Desk) -> None:
    desk.page.keyboard.type("The fox")
    desk.set(Samples=3, Temperature=2)
    desk.generate()
    columns = desk.page.locator("#samples article")
    assert columns.count() == 3
    text = columns.nth(1).locator(".sample").evaluate("element => element.textContent")
    columns.nth(1).get_by_role("button", name="Keep this one").click()
    assert desk.text == "The fox" + text
    assert desk.words.count() > 0
    assert columns.count() == 0
    desk.press("Undo")
    assert desk.text == "The fox"


def test_a_sample_can_be_rewritten_in_the_middle(desk: Desk) -> None:
    desk.page.keyboard.type("The fox")
    desk.set(Samples=2)
    desk.generate()
    sample = desk.page.locator("#samples .sample").nth(1)
    first = sample.locator(".word").nth(0).inner_text()
    sample.focus()
    desk.page.keyboard.press("ArrowRight")
    desk.page.keyboard.press("ArrowRight")
    expect(desk.card).to_be_visible()
    desk.set(Samples=1)
    sample.locator(".word").nth(1).click()
    desk.card.get_by_role("button", name="Continue from here").click()
    desk.wait()
    assert desk.words.nth(0).inner_text() == first
    assert desk.page.locator("#samples article").count() == 0


@pytest.fixture(scope="module")
def url_of_two(
    start_server: Callable[..., str], tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> str:
    copy = Path(shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("models") / "other-tales"))
    return start_server(str(tiny_bundle), str(copy))


def test_two_models_are_chosen_and_compared(new_desk: NewDesk, url_of_two: str) -> None:
    desk = new_desk(url_of_two)
    expect(desk.page.locator(".facts li").nth(0)).to_be_visible()
    expect(desk.page.locator(".facts li").nth(1)).to_be_hidden()
    desk.page.keyboard.type("The gryphon")
    expect(desk.page.locator("#unknown")).to_contain_text("gryphon")
    with desk.page.expect_request("**/api/check") as check:  # it may know other words
        desk.page.get_by_label("Model", exact=True).select_option("other-tales")
    assert check.value.post_data_json == {"text": "The gryphon", "model": "other-tales"}
    expect(desk.page.locator(".facts li").nth(1)).to_be_visible()
    desk.page.get_by_text("More settings").click()
    desk.page.get_by_label("Second model").select_option("tales")
    desk.page.get_by_label("Compare").check()
    desk.generate()
    headings = desk.page.locator("#samples h2")
    first, second = "other-tales, temperature 0.8", "tales, temperature 1.2"
    assert headings.all_inner_texts() == [first, second]
    desk.set(Samples=2)
    desk.generate()
    beside = [f"{name} {number}" for number in (1, 2) for name in (first, second)]
    assert headings.all_inner_texts() == beside
