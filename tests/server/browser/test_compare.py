"""Several samples, two temperatures or two models side by side."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.server.browser.page_driver import NewDriver, PageDriver


def test_two_temperatures_stand_side_by_side_with_one_seed(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox")
    driver.set(Temperature=0.5, Second_temperature=2)
    driver.page.get_by_label("Compare").check()
    driver.generate()
    columns = driver.page.locator("#samples article")
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
        reply = driver.ask("api/generate", prompt="The fox", temperature=temperature, seed=seed)
        text = column.locator(".sample").evaluate("element => element.textContent")
        assert text == reply["samples"][0]["text"]


def test_if_one_of_two_requests_fails_the_other_stops(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox")
    driver.set(Second_temperature=0.0001)  # valid for the browser, not for the server
    driver.page.get_by_label("Compare").check()
    driver.press("Generate")
    alert = driver.page.get_by_role("alert")
    expect(alert).to_contain_text("emperature: must be a number from 0.001 to 100, or 0")
    expect(driver.page.get_by_role("button", name="Generate")).to_be_visible()
    num_words = driver.page.locator("#samples .word").count()
    driver.page.wait_for_timeout(300)
    assert driver.page.locator("#samples .word").count() == num_words
    assert driver.page.locator("#samples article").count() == (num_words > 0)


def test_the_keyboard_enters_and_leaves_the_card_of_a_sample(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox")
    driver.set(Samples=2)
    driver.generate()
    sample = driver.page.locator("#samples .sample").nth(1)
    sample.focus()
    driver.page.keyboard.press("ArrowRight")
    driver.page.keyboard.press("ArrowDown")
    expect(driver.card.get_by_role("button").first).to_be_focused()
    driver.page.keyboard.press("Escape")
    expect(driver.card).to_be_hidden()
    expect(sample).to_be_focused()


def test_one_of_several_samples_is_kept(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox")
    driver.set(Samples=3, Temperature=2)
    driver.generate()
    columns = driver.page.locator("#samples article")
    assert columns.count() == 3
    text = columns.nth(1).locator(".sample").evaluate("element => element.textContent")
    columns.nth(1).get_by_role("button", name="Keep this one").click()
    assert driver.text == "The fox" + text
    assert driver.words.count() > 0
    assert columns.count() == 0
    driver.press("Undo")
    assert driver.text == "The fox"


def test_continuing_inside_a_sample_keeps_its_beginning(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox")
    driver.set(Samples=2)
    driver.generate()
    sample = driver.page.locator("#samples .sample").nth(1)
    first = sample.locator(".word").nth(0).inner_text()
    sample.focus()
    driver.page.keyboard.press("ArrowRight")
    driver.page.keyboard.press("ArrowRight")
    expect(driver.card).to_be_visible()
    driver.set(Samples=1)
    sample.locator(".word").nth(1).click()
    driver.card.get_by_role("button", name="Continue from here").click()
    driver.wait()
    assert driver.words.nth(0).inner_text() == first
    assert driver.page.locator("#samples article").count() == 0


@pytest.fixture(scope="module")
def url_of_two(
    start_server: Callable[..., str], tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> str:
    copy = Path(shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("models") / "other-tales"))
    return start_server(str(tiny_bundle), str(copy))


def test_two_models_are_chosen_and_compared(new_driver: NewDriver, url_of_two: str) -> None:
    driver = new_driver(url_of_two)
    expect(driver.page.locator(".facts li").nth(0)).to_be_visible()
    expect(driver.page.locator(".facts li").nth(1)).to_be_hidden()
    driver.page.keyboard.type("The gryphon")
    expect(driver.page.locator("#unknown")).to_contain_text("gryphon")
    with driver.page.expect_request(
        "**/api/check"
    ) as check:  # the other model may know other words
        driver.page.get_by_label("Model", exact=True).select_option("other-tales")
    assert check.value.post_data_json == {"text": "The gryphon", "model": "other-tales"}
    expect(driver.page.locator(".facts li").nth(1)).to_be_visible()
    driver.page.get_by_text("More settings").click()
    driver.page.get_by_label("Second model").select_option("tales")
    driver.page.get_by_label("Compare").check()
    driver.generate()
    headings = driver.page.locator("#samples h2")
    first, second = "other-tales, temperature 1", "tales, temperature 1.5"
    assert headings.all_inner_texts() == [first, second]
    driver.set(Samples=2)
    driver.generate()
    beside = [f"{name} {number}" for number in (1, 2) for name in (first, second)]
    assert headings.all_inner_texts() == beside
