"""The studio in other languages: nothing untranslated, nothing cut off, mirrored."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.server.browser.pseudo import CODE, overflow, pseudo_language, running, untranslated
from tests.server.browser.test_accessible import violations
from tests.server.studio.conftest import Studio
from tests.server.studio.test_texts import TABLE, TALES, inspected, upload

from lorelm.bundle.layout import CHECKPOINT, MANIFEST
from lorelm.cli.studio import training_parameters
from lorelm.server.studio.app import create_studio
from lorelm.server.studio.settings import StudioSettings
from lorelm.training.recipe import describe_recipe

pytestmark = [pytest.mark.system, pytest.mark.slow]

KNOWN = ("Fox", "Hen", "Half", "tales", "talk", "english", "tiny_bundle", "my.txt")
PAGES = (
    *("texts", "texts/tales", "texts/talk", "train", "train/Fox", "train/Half", "models"),
    *("models/compare", "models/compare?model=Fox&model=Hen", "write", "write/Half/"),
)


@pytest.fixture(scope="module")
def studio_link(
    tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str, Callable[[BrowserContext], None]]]:
    """A studio with texts, models and a half-finished run: its address, and a token to enter."""
    folder = tmp_path_factory.mktemp("studio")
    settings = StudioSettings(
        folder=folder / "studio",
        history=f"sqlite:///{folder / 'history.db'}",
        training_parameters=training_parameters(),
        describe_recipe=describe_recipe,
    )
    app, state, links = create_studio(settings)
    client = app.test_client()
    client.get(f"/enter?token={links.new_token()}")
    studio = Studio(state, client)
    for name, content in (("tales.txt", TALES), ("talk.csv", TABLE), ("gone.txt", TALES)):
        upload(studio, (name, content.encode()))
        inspected(studio, name.partition(".")[0])
    client.post("/texts/gone/delete")
    models = settings.folder / "models"
    for name in ("Fox", "Hen", "Half"):
        shutil.copytree(tiny_bundle, models / name)
    (models / "Half" / MANIFEST).rename(models / "Half" / CHECKPOINT)
    with pseudo_language(folder) as serve_scripts, running(app) as url:
        yield url, links.new_token(), serve_scripts
    state.stop(0)
    state.close()


@pytest.fixture(scope="module")
def page(
    browser: Browser, studio_link: tuple[str, str, Callable[[BrowserContext], None]]
) -> Iterator[Page]:
    url, token, serve_scripts = studio_link
    size = {"width": 360, "height": 800}
    with browser.new_context(viewport=size, bypass_csp=True, base_url=url) as context:
        serve_scripts(context)
        page = context.new_page()
        page.goto(f"/enter?token={token}")
        yield page


@pytest.mark.parametrize("language", ["de", "fr", CODE])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_translated_and_fits_on_a_phone(page: Page, path: str, language: str) -> None:
    page.goto(f"/{path}{'&' if '?' in path else '?'}lang={language}")
    assert page.locator("html").get_attribute("lang") == language
    if path == "train/Fox":
        expect(page.locator("#end-content")).not_to_be_empty()
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert overflow(page) <= 0
    assert violations(page) == []
    if language == CODE:
        assert untranslated(page, *KNOWN) == []


@pytest.mark.parametrize("language", ["de", CODE])
def test_the_refusal_is_translated(
    browser: Browser,
    studio_link: tuple[str, str, Callable[[BrowserContext], None]],
    language: str,
) -> None:
    with browser.new_context(base_url=studio_link[0], bypass_csp=True) as context:
        page = context.new_page()
        answer = page.goto(f"/texts/tales?lang={language}")
        assert answer is not None
        assert answer.status == 401
        assert answer.headers["content-language"] == language
        assert "lorelm_language" in [each["name"] for each in context.cookies()]
        assert violations(page) == []
        if language == CODE:
            assert untranslated(page) == []
        else:
            expect(page.get_by_role("alert")).to_contain_text("noch keinen Zugang")
