"""A sentence with a given word, a memory, and a blend of two models."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Request, expect
from tests.server.browser.page_driver import NewDriver, PageDriver


@pytest.fixture(scope="module")
def url_of_two(start_server: Callable[..., str], tiny_bundle: Path, wolves_bundle: Path) -> str:
    return start_server(str(tiny_bundle), str(wolves_bundle), "--no-history")


def sent(driver: PageDriver) -> dict[str, object]:
    """Generate, and return what the page asked the server for."""
    with driver.page.expect_request("**/api/generate") as asked:
        driver.press("Generate")
    driver.wait()
    request: Request = asked.value
    return dict(request.post_data_json)


def test_the_next_sentence_has_a_word_and_the_page_says_if_not(driver: PageDriver) -> None:
    driver.page.keyboard.type("The fox")
    driver.page.get_by_label("The next sentence contains").fill("hill, owl")
    assert sent(driver)["must_contain"] == "hill, owl"
    assert "hill" in driver.text
    assert "owl" in driver.text
    assert "No place" not in driver.status
    driver.set(Length=1)
    driver.generate()
    assert "These words found no place: " in driver.status
    driver.page.get_by_label("The next sentence contains").fill("hil")
    driver.press("Generate")
    error = driver.page.get_by_role("alert")
    expect(error).to_contain_text(
        "The next sentence contains: the model does not know 'hil'; is it 'hill'?"
    )


def test_a_memory_is_kept_in_sight(driver: PageDriver) -> None:
    driver.page.get_by_text("More settings").click()
    field = driver.page.get_by_label("Keep in mind")
    field.fill("true\nThe owl sings.")
    assert sent(driver)["memory"] == "true\nThe owl sings."
    driver.page.reload()
    expect(field).to_be_visible()  # it counts, so it is not hidden in a closed part of the page
    expect(field).to_have_value("true\nThe owl sings.")
    driver.press("Default settings")
    expect(field).to_have_value("")
    assert "memory" not in sent(driver)


def test_two_models_are_blended_by_a_slider(new_driver: NewDriver, url_of_two: str) -> None:
    driver = new_driver(url_of_two)
    driver.page.get_by_text("More settings").click()
    assert "blend" not in sent(driver)
    slider = driver.page.get_by_label("Blend of both models")
    slider.focus()
    for _ in range(6):
        driver.page.keyboard.press("ArrowRight")
    expect(driver.page.locator("#shown_share")).to_have_text("30%")
    driver.page.get_by_label("Seed").fill("3")
    asked = sent(driver)
    assert (asked["model"], asked["blend"]) == ("tales", {"wolves": 0.3})
    assert "blend_share" not in asked
    driver.page.get_by_label("Model", exact=True).select_option("wolves")
    assert "blend" not in sent(driver)  # the second model is the first one
    driver.page.reload()
    expect(driver.page.locator("#shown_share")).to_have_text("30%")
