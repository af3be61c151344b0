"""The pages in other languages: nothing untranslated, nothing cut off, mirrored."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.export.browser.test_site_page import FileServer
from tests.server.browser.page_driver import watched_context
from tests.server.browser.pseudo import (
    CODE,
    overflow,
    pseudo,
    pseudo_language,
    running,
    untranslated,
)
from tests.server.browser.test_accessible import violations

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.export.site import SiteOptions, export_site
from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.train import train

pytestmark = pytest.mark.system

NewContext = Callable[..., BrowserContext]
KNOWN = ("script.txt", "wolves.txt", "scenes", "wolves", "My title", "OWL", "dragon")


@pytest.fixture(scope="module")
def languages_url(
    scene_bundle: Path, wolves_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Callable[[BrowserContext], None]]]:
    """A server of two models, with history and links, that also speaks the pseudo-language."""
    folder = tmp_path_factory.mktemp("languages")
    settings = ServerSettings(
        bundles=[scene_bundle, wolves_bundle],
        history=f"sqlite:///{folder / 'history.db'}",
        share_links=True,
        allow_origin=["https://a.example"],
    )
    with pseudo_language(folder) as serve_scripts:
        app = create_app(settings)
        with running(app) as url:
            yield url, serve_scripts
        server_state(app).stop(1)
        server_state(app).close()


@pytest.fixture
def page(
    browser: Browser, languages_url: tuple[str, Callable[[BrowserContext], None]]
) -> Iterator[Page]:
    url, serve_scripts = languages_url
    size = {"width": 360, "height": 800}
    with watched_context(browser, viewport=size, bypass_csp=True, base_url=url) as context:
        serve_scripts(context)
        yield context.new_page()


def test_a_page_without_translations_would_be_found(page: Page) -> None:
    page.goto("/?lang=en")
    assert "Generate" in untranslated(page)
    assert "placeholder: Leave this empty to let the model begin" in untranslated(page) or (
        "Your text" in untranslated(page)
    )


def check(page: Page) -> None:
    assert untranslated(page, *KNOWN) == []
    assert overflow(page) <= 0
    assert violations(page) == []


def write(page: Page, text: str) -> None:
    page.locator("#surface").click()
    page.keyboard.type(text)
    page.locator("#generate").click()
    expect(page.locator("#surface:not([aria-busy]) .word").first).to_be_visible()
    expect(page.locator("#generate")).to_be_visible()


def test_the_writing_page_is_translated_and_mirrored(page: Page) -> None:
    page.goto(f"/?lang={CODE}")
    expect(page.get_by_role("button", name=pseudo("Generate"), exact=True)).to_be_visible()
    check(page)
    write(page, "OWL: The dragon sat. HARE: And ")
    expect(page.locator("#unknown button, #unknown u").first).to_be_visible()
    page.locator("summary").first.click()
    check(page)
    page.locator("#surface .word").first.click()
    expect(page.locator("#card")).to_be_visible()
    assert untranslated(page, *KNOWN) == []
    page.keyboard.press("Escape")
    page.locator("#compare").check()
    page.locator("#num_samples").fill("2")
    page.locator("#generate").click()
    expect(page.locator("#samples article button").first).to_be_visible()
    expect(page.locator("#generate")).to_be_visible()
    check(page)
    box = {each: page.locator(each).bounding_box() for each in ("#generate", "#again", "h1 svg")}
    assert all(box.values())
    assert box["#generate"]["x"] > box["#again"]["x"]  # type: ignore[index]
    assert box["h1 svg"]["x"] > 100  # type: ignore[index]


def test_dialogs_are_translated(page: Page) -> None:
    page.goto(f"/?lang={CODE}")
    write(page, "OWL: The fox ")
    page.locator(".draft button").last.click()
    expect(page.locator("#drafts")).to_be_visible()
    expect(page.locator("#drafts [role=status]")).not_to_be_empty()
    check(page)
    page.keyboard.press("Escape")
    page.locator("#draft_name").fill("My title")
    page.locator(".draft button").first.click()
    expect(page.locator(".draft small")).not_to_be_empty()
    page.locator(".draft button").last.click()
    expect(page.locator("#drafts li")).to_have_count(1)
    check(page)
    page.locator("#drafts li button").last.click()
    expect(page.locator("#drafts [role=status] button")).to_be_visible()
    check(page)
    page.keyboard.press("Escape")
    page.locator("#tools > button").last.click()
    expect(page.locator("#links")).to_be_visible()
    page.locator("#links > button").click()
    expect(page.locator("#links li input")).to_be_visible()
    check(page)
    shared = page.locator("#links li input").input_value()
    page.goto(f"{shared}?lang={CODE}")
    expect(page.locator(".shared .sample")).to_be_visible()
    assert untranslated(page, page.title()) == []  # which is the text's
    assert overflow(page) <= 0
    assert violations(page) == []


@pytest.mark.parametrize("path", ["model", "model?name=wolves", "embed", "history"])
def test_other_pages_are_translated(page: Page, path: str) -> None:
    if path == "history":
        page.goto("/")
        write(page, "The fox")
    page.goto(f"/{path}{'&' if '?' in path else '?'}lang={CODE}")
    assert page.locator("html").get_attribute("dir") == "rtl"
    check(page)


@pytest.mark.parametrize("language", ["de", "fr", CODE])
def test_an_error_is_translated_but_for_its_sentence(
    browser: Browser, languages_url: tuple[str, Callable[[BrowserContext], None]], language: str
) -> None:
    url, serve_scripts = languages_url
    size = {"width": 360, "height": 800}
    with browser.new_context(viewport=size, bypass_csp=True, base_url=url) as context:
        serve_scripts(context)
        page = context.new_page()
        page.goto(f"/nothing?lang={language}")
        assert overflow(page) <= 0
        assert violations(page) == []
        if language == CODE:
            assert untranslated(page) == []


def test_a_result_without_scripts_is_translated(
    browser: Browser, languages_url: tuple[str, Callable[[BrowserContext], None]]
) -> None:
    with browser.new_context(java_script_enabled=False, base_url=languages_url[0]) as context:
        page = context.new_page()
        page.goto(f"/?lang={CODE}")
        page.locator("#prompt").fill("The dragon and the fox")
        page.locator("#generate").click()
        page.locator(".sample").first.wait_for()
        assert untranslated(page, *KNOWN) == []
        assert pseudo("%(n)s tokens.").split("%")[0] in page.locator("article .note").inner_text()


def check_refusal(page: Page) -> None:
    """Ask for what is refused: the sentence is English, and says so behind the translated label."""
    page.locator("summary").first.click()
    page.locator("#num_samples").fill("2")
    page.locator("#seed").fill(str(2**53 - 1))
    page.locator("#generate").click()
    refusal = page.locator("#error > span[lang=en]")
    expect(refusal).to_contain_text("must be at most")
    label = page.locator("label[for=seed]").inner_text()
    assert page.locator("#error").inner_text() == f"{label}: {refusal.inner_text()}"
    check(page)


def test_a_refusal_is_translated_but_for_its_sentence(page: Page) -> None:
    page.goto(f"/?lang={CODE}")
    check_refusal(page)


def delete_drafts(page: Page) -> None:
    """Delete them as another window would."""
    page.evaluate("""async () => {
        const request = { headers: { "Lorelm-Page": "1" } };
        const { drafts } = await (await fetch("api/drafts", request)).json();
        for (const { id } of drafts)
            await fetch(`api/drafts/${id}`, { method: "DELETE", ...request });
    }""")


def test_refusals_of_drafts_say_that_they_are_english(page: Page) -> None:
    page.goto(f"/?lang={CODE}")
    write(page, "OWL: The fox ")
    page.locator("#draft_name").fill("My title")
    page.locator(".draft button").first.click()
    expect(page.locator(".draft small")).to_have_text(pseudo("Saved."))
    page.locator(".draft button").last.click()
    expect(page.locator("#drafts li")).to_have_count(1)
    delete_drafts(page)
    page.locator("#drafts li button").first.click()
    in_dialog = page.locator("#drafts [role=status] > span[lang=en]")
    expect(in_dialog).to_contain_text("draft")
    check(page)
    page.keyboard.press("Escape")
    page.locator("#draft_name").fill("My other title")
    page.keyboard.press("Enter")
    beside = page.locator(".draft small > span[lang=en]")
    expect(beside).to_have_text(in_dialog.inner_text())
    before, after = pseudo("Not saved: %(reason)s").split("%(reason)s")
    assert page.locator(".draft small").inner_text() == f"{before}{beside.inner_text()}{after}"
    check(page)


@pytest.fixture
def exported(scene_bundle: Path, tmp_path: Path) -> Iterator[tuple[str, Callable[..., None]]]:
    """An exported site that also speaks the pseudo-language."""
    site = tmp_path / "site"
    with pseudo_language(tmp_path) as serve_scripts, pytest.MonkeyPatch.context() as patch:
        patch.setattr("lorelm.export.site._messages", list)  # serve_scripts has them
        export_site(Bundle.load(scene_bundle), site, SiteOptions())
    server = FileServer(site)
    yield f"{server.url}{CODE}.html", serve_scripts
    server.stop()


def test_an_exported_site_is_translated(
    browser: Browser, exported: tuple[str, Callable[[BrowserContext], None]]
) -> None:
    url, serve_scripts = exported
    size = {"width": 360, "height": 800}
    with watched_context(browser, viewport=size, bypass_csp=True) as context:
        serve_scripts(context)
        page = context.new_page()
        page.goto(url)
        expect(page.locator("#loading")).to_have_count(0)
        assert page.locator("html").get_attribute("dir") == "rtl"
        write(page, "OWL: The dragon sat. HARE: And ")
        expect(page.locator("#unknown button, #unknown u").first).to_be_visible()
        page.locator("#surface .word").first.click()
        expect(page.locator("#card")).to_be_visible()
        assert untranslated(page, *KNOWN) == []
        page.keyboard.press("Escape")
        check_refusal(page)


def test_a_model_that_does_not_load_is_told_in_the_language_of_the_page(
    browser: Browser, exported: tuple[str, Callable[[BrowserContext], None]]
) -> None:
    url, serve_scripts = exported
    with browser.new_context() as context:
        serve_scripts(context)
        page = context.new_page()
        page.route("**/model-*.bin", lambda route: route.abort())
        page.goto(url)
        expect(page.locator("#loading > span[lang=en]")).not_to_be_empty()
        assert untranslated(page, *KNOWN) == []


@pytest.mark.parametrize("language", ["de", "fr"])
@pytest.mark.parametrize("path", ["", "model", "history", "embed"])
def test_german_and_french_fit_on_a_phone(page: Page, language: str, path: str) -> None:
    page.goto(f"/{path}?lang={language}")
    assert page.locator("html").get_attribute("lang") == language
    if path == "":
        write(page, "OWL: The dragon ")
        page.locator("summary").first.click()
        expect(page.locator("#unknown u").first).to_be_visible()
    assert overflow(page) <= 0
    assert violations(page) == []


def test_the_control_changes_the_language_and_it_stays(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Deutsch").click()
    expect(page.get_by_role("button", name="Erzeugen")).to_be_visible()
    page.goto("/model")
    expect(page.get_by_role("heading", name="Wie gut ist dieses Modell?")).to_be_visible()
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", name="How good is this model?")).to_be_visible()


HEBREW = [
    f"{who} {did} {where}, {who} {did} {where}, {who} {did} {where}."
    for who in ("השועל", "הינשוף", "הארנבת", "החתול")
    for did in ("הלך אל", "רץ אל", "ישב ליד", "ישן ליד")
    for where in ("הנהר הגדול", "היער הישן", "הגשר", "הבית", "הגבעה")
]


@pytest.fixture(scope="module")
def hebrew_bundle(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "hebrew"
    train(
        Documents(texts=HEBREW * 3, source="hebrew.txt"),
        tiny_recipe,
        out=path,
        options=TrainingOptions(device="cpu"),
    )
    return path


def is_right_to_left(page: Page, block: str) -> bool:
    """Return whether the first part of a text is right of the second, near the right edge."""
    return bool(
        page.evaluate(
            """(selector) => {
              const blocks = [...document.querySelectorAll(selector)];
              const found = blocks.find((each) => each.querySelectorAll("span").length > 1);
              const [first, second] = found.querySelectorAll("span");
              const [one, other] = [first, second].map((each) => each.getBoundingClientRect());
              const block = found.getBoundingClientRect();
              const rest = block.right - one.right;
              return one.left > other.left && rest < block.width / 2;
            }""",
            block,
        )
    )


def test_a_text_in_hebrew_is_read_from_the_right_on_an_english_page(
    browser: Browser, hebrew_bundle: Path, tmp_path: Path
) -> None:
    app = create_app(
        ServerSettings(bundles=[hebrew_bundle], history=f"sqlite:///{tmp_path / 'h.db'}")
    )
    with running(app) as url, watched_context(browser, base_url=url) as context:
        page = context.new_page()
        page.goto("/")
        page.locator("#seed").evaluate("field => { field.value = 3; }")
        write(page, "השועל")
        assert page.locator("html").get_attribute("dir") == "ltr"
        assert is_right_to_left(page, "#surface")
        page.locator("summary").first.click()
        page.locator("#num_samples").fill("2")
        page.locator("#generate").click()
        expect(page.locator("#generate")).to_be_visible()
        assert is_right_to_left(page, "#samples .sample")
        page.goto("/history")
        assert is_right_to_left(page, ".sample")
    server_state(app).stop(1)
    server_state(app).close()


def test_a_report_and_a_site_in_hebrew_are_read_from_the_right(
    browser: Browser, hebrew_bundle: Path, tmp_path: Path
) -> None:
    text, report, site = (tmp_path / name for name in ("text.txt", "report.html", "site"))
    text.write_text("\n".join(HEBREW[::7]), encoding="utf-8")
    for arguments in (
        ["evaluate", str(hebrew_bundle), str(text), "--report", str(report)],
        ["export", str(hebrew_bundle), "--web", str(site)],
    ):
        subprocess.run([sys.executable, "-m", "lorelm", *arguments], check=True)
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(report.as_uri())
        assert is_right_to_left(page, "#documents .text")
    server = FileServer(site)
    with watched_context(browser) as context:
        page = context.new_page()
        page.goto(server.url)
        expect(page.locator("#loading")).to_have_count(0)
        write(page, "השועל")
        assert is_right_to_left(page, "#surface")
    server.stop()
