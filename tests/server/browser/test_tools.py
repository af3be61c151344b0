"""The tools for the text as a whole: copy, download, drafts, links."""

import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.server.browser.page_driver import NewDriver, PageDriver, watched_context
from tests.server.browser.test_accessible import violations

from lorelm.corpus.readers import read_documents

SCENE = "OWL: Who is at the <mill>?\n\nStranger: I & my *friend*."
WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


@pytest.fixture(scope="module")
def sharing_url(
    start_server: Callable[..., str],
    tiny_bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """The address of a server with links, and a history of its own."""
    history = f"sqlite:///{tmp_path_factory.mktemp('sharing')}/history.db"
    return start_server(str(tiny_bundle), "--history", history, "--share-links")


def download(driver: PageDriver, kind: str, folder: Path) -> Path:
    with driver.page.expect_download() as event:
        driver.press(f"Download as {kind}")
    path = folder / event.value.suggested_filename
    event.value.save_as(path)
    return path


def type_text(driver: PageDriver, text: str) -> None:
    driver.surface.click()
    driver.page.keyboard.insert_text(text)


def keep_as(driver: PageDriver, name: str) -> None:
    driver.page.get_by_label("Name of the draft").fill(name)
    driver.press("Save as draft")
    expect(driver.page.locator(".draft small")).to_have_text("Saved.")


def open_list(driver: PageDriver) -> None:
    driver.press("Drafts…")
    expect(driver.page.get_by_role("dialog", name="Your drafts")).to_be_visible()


def names(page: Page) -> list[str]:
    return page.locator("#drafts li strong").all_inner_texts()


def test_a_text_is_downloaded_as_text_markdown_and_word(
    new_driver: NewDriver, scene_url: str, tmp_path: Path
) -> None:
    driver = new_driver(scene_url)
    type_text(driver, SCENE)
    text = download(driver, "Text", tmp_path)
    assert text.name == "OWL Who is at the mill Stranger I &.txt"
    assert text.read_text(encoding="utf-8") == SCENE
    markdown = download(driver, "Markdown", tmp_path).read_text(encoding="utf-8")
    assert markdown == (
        "**OWL:** Who is at the \\<mill\\>?\n\n**Stranger:** I \\& my \\*friend\\*.\n"
    )
    document = download(driver, "Word", tmp_path)
    with zipfile.ZipFile(document) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            ET.fromstring(archive.read(name))
        body = ET.fromstring(archive.read("word/document.xml"))
    paragraphs = list(body.iter(f"{WORD}p"))
    assert ["".join(each.itertext()) for each in paragraphs] == SCENE.split("\n")
    bold = [run for run in body.iter(f"{WORD}r") if run.find(f"{WORD}rPr/{WORD}b") is not None]
    assert ["".join(run.itertext()) for run in bold] == ["OWL:", "Stranger:"]
    read = "\n".join(read_documents(document).texts)
    assert "Who is at the <mill>?" in read
    assert "I & my *friend*." in read


def test_word_gets_only_characters_that_xml_has(driver: PageDriver, tmp_path: Path) -> None:
    driver.surface.evaluate("e => e.prepend('a\\u0001b\\ud800c\\tд🦊')")
    driver.page.keyboard.type("!")
    with zipfile.ZipFile(download(driver, "Word", tmp_path)) as archive:
        body = ET.fromstring(archive.read("word/document.xml"))
    texts = [each.text for each in body.iter(f"{WORD}t")]
    assert "".join(texts).startswith("a\ufffdb\ufffdcд🦊")
    assert body.find(f".//{WORD}tab") is not None


@pytest.mark.parametrize("has_clipboard", [True, False], ids=["clipboard", "plain HTTP"])
def test_the_text_is_copied(browser: Browser, url: str, has_clipboard: bool) -> None:
    with watched_context(browser) as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        driver = PageDriver(context.new_page(), url)
        if not has_clipboard:
            driver.page.evaluate(
                "() => { globalThis.read = navigator.clipboard.readText.bind(navigator.clipboard);"
                "Object.defineProperty(navigator, 'clipboard', { value: undefined }); }"
            )
        else:
            driver.page.evaluate(
                "globalThis.read = navigator.clipboard.readText.bind(navigator.clipboard)"
            )
        type_text(driver, "The fox\nsat")
        driver.press("Copy")
        expect(driver.page.get_by_role("status")).to_have_text("Copied.")
        assert driver.page.evaluate("read()") == "The fox\nsat"
        driver.page.keyboard.type("!")
        assert driver.text == "The fox\nsat!"  # the caret is where it was


def test_a_draft_is_saved_as_it_is_written_and_opened_again(
    new_driver: NewDriver, sharing_url: str
) -> None:
    driver = new_driver(sharing_url)
    type_text(driver, "The fox")
    driver.generate()
    keep_as(driver, "The mill")
    driver.page.keyboard.press("Control+End")
    driver.surface.click()
    with driver.page.expect_response("**/api/drafts/*") as saved:
        driver.page.keyboard.press("Control+End")
        driver.page.keyboard.type(" More.")
    assert saved.value.request.method == "PUT"
    text, classes = driver.text, driver.words.first.get_attribute("class")
    driver.press("Clear")
    expect(driver.page.get_by_label("Name of the draft")).to_have_value("")
    driver.page.keyboard.type("Another text")
    open_list(driver)
    driver.page.get_by_role("button", name=re.compile("^The mill")).click()
    expect(driver.page.get_by_role("dialog")).to_have_count(0)
    assert driver.text == text
    assert driver.words.first.get_attribute("class") == classes
    assert driver.status == "Your text is kept as the draft “Another text”."
    expect(driver.page.get_by_role("button", name="Undo")).to_be_disabled()
    driver.words.first.click()
    expect(driver.card).to_be_visible()
    driver.page.reload()
    expect(driver.page.get_by_label("Name of the draft")).to_have_value("The mill")
    assert driver.text == text


def test_a_text_of_the_history_does_not_take_the_place_of_a_draft(
    new_driver: NewDriver, sharing_url: str
) -> None:
    driver = new_driver(sharing_url)
    type_text(driver, "The fox")
    driver.generate()
    keep_as(driver, "The mill")
    text = driver.text
    driver.page.goto(f"{sharing_url}history")
    driver.page.get_by_role("link", name="Use prompt and settings").click()
    expect(driver.surface).to_have_text("The fox")
    expect(driver.page.get_by_label("Name of the draft")).to_have_value("")
    driver.page.reload()
    driver.surface.press("Control+End")
    driver.page.keyboard.type(" ran")
    open_list(driver)
    driver.page.get_by_role("button", name=re.compile("^The mill")).click()
    expect(driver.page.get_by_role("dialog")).to_have_count(0)
    assert driver.text == text


def test_drafts_are_found_starred_renamed_deleted_and_brought_back(
    new_driver: NewDriver, sharing_url: str
) -> None:
    driver = new_driver(sharing_url)
    page = driver.page
    for name in ("One", "Two", "Three"):
        type_text(driver, f"text {name}")
        keep_as(driver, name)
        driver.press("Clear")
    open_list(driver)
    expect(page.locator("#drafts li")).to_have_count(3)
    assert names(page) == ["Three", "Two", "One"]
    page.get_by_role("button", name="Star One").click()
    expect(page.get_by_role("button", name="Star One")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Rename Two").click()
    page.keyboard.type("Second <b>")
    page.keyboard.press("Enter")
    expect(page.locator("#drafts li strong", has_text="Second <b>")).to_be_visible()
    page.get_by_role("button", name="Delete Three").click()
    expect(page.get_by_role("button", name="Undo", exact=True).last).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#drafts li")).to_have_count(3)
    assert names(page) == ["One", "Three", "Second <b>"]
    page.get_by_label("Search names and texts").fill("TEXT two")
    expect(page.locator("#drafts li")).to_have_count(1)
    assert names(page) == ["Second <b>"]
    page.keyboard.press("Escape")  # empties the field for the search
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_two_tabs_lose_no_text(new_driver: NewDriver, sharing_url: str) -> None:
    one = new_driver(sharing_url)
    type_text(one, "Begun. ")
    keep_as(one, "The mill")
    other = new_driver(sharing_url)
    open_list(other)
    other.page.get_by_role("button", name=re.compile("^The mill")).first.click()
    expect(other.surface).to_have_text("Begun. ")
    with one.page.expect_response("**/api/drafts/*"):
        one.surface.press("Control+End")
        one.page.keyboard.type("By one.")
    with other.page.expect_response("**/api/drafts"):
        other.page.keyboard.type("By the other.")
    expect(other.page.locator(".draft small")).to_contain_text("was changed in another tab")
    expect(other.page.get_by_label("Name of the draft")).to_have_value("The mill (2)")
    open_list(one)
    expect(one.page.locator("#drafts li")).to_have_count(2)
    excerpts = one.page.locator("#drafts li .open span").all_inner_texts()
    assert sorted(excerpts) == ["Begun. By one.", "Begun. By the other."]


def test_without_a_history_drafts_are_kept_in_the_browser(
    new_driver: NewDriver, start_server: Callable[..., str], tiny_bundle: Path
) -> None:
    address = start_server(str(tiny_bundle), "--no-history")
    driver = new_driver(address)
    type_text(driver, "The fox")
    keep_as(driver, "")
    driver.press("Clear")
    again = new_driver(address)
    open_list(again)
    expect(again.page.get_by_text("Kept in this browser only")).to_be_visible()
    again.page.get_by_role("button", name=re.compile("^The fox")).click()
    expect(again.surface).to_have_text("The fox")
    assert again.page.get_by_role("button", name="Share…").count() == 0


def test_a_link_shows_the_text_to_others_until_it_is_revoked(
    browser: Browser, new_driver: NewDriver, sharing_url: str
) -> None:
    driver = new_driver(sharing_url)
    page = driver.page
    type_text(driver, "OWL: <b>Who</b>")
    driver.generate()
    text = driver.text
    driver.press("Share…")
    page.get_by_role("button", name="Make a link to this text").click()
    address = page.get_by_label("Link to").first.input_value()
    assert address.startswith(f"{sharing_url}shared/")
    with watched_context(browser) as context:
        reader = context.new_page()
        reader.goto(address)
        shown = reader.locator(".sample")
        assert shown.evaluate("element => element.textContent") == text
        assert shown.locator(".word").count() == driver.words.count()
        assert context.cookies() == []
    page.keyboard.press("Escape")
    driver.press("Clear")
    page.reload()  # the browser remembers the address, the server does not
    driver.press("Share…")
    assert page.get_by_label("Link to").first.input_value() == address
    page.get_by_role("button", name="Revoke").first.click()
    expect(page.get_by_text("no longer works")).to_be_visible()
    assert page.request.get(address).status == 404


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violations_in_the_tools(
    browser: Browser, sharing_url: str, scheme: str
) -> None:
    with watched_context(
        browser, bypass_csp=True, color_scheme=scheme, viewport={"width": 360, "height": 700}
    ) as context:
        driver = PageDriver(context.new_page(), sharing_url)
        page = driver.page
        type_text(driver, "The fox")
        keep_as(driver, "The mill")
        assert violations(page, "#tools") == []
        open_list(driver)
        expect(page.locator("#drafts li")).to_have_count(1)
        assert violations(page, "#drafts") == []
        page.get_by_role("button", name="Rename The mill").click()
        assert violations(page, "#drafts") == []
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Delete The mill").click()
        assert violations(page, "#drafts") == []
        page.get_by_role("button", name="Close").click()
        driver.press("Share…")
        page.get_by_role("button", name="Make a link to this text").click()
        address = page.get_by_label("Link to").first.input_value()
        assert violations(page, "#links") == []
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0
        page.goto(address)
        assert violations(page) == []
