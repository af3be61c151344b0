"""Languages with a region: how their files are named, and which browsers get them."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state
from lorelm.translations import languages, message_catalogue
from lorelm.translations.message_catalogue import catalogue, matching_language
from translations import update


@pytest.fixture
def with_languages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[..., None]]:
    """Return a function that makes this process speak other languages, all of them German."""

    def clear() -> None:
        catalogue.cache_clear()
        languages.cache_clear()

    def use(*codes: str) -> None:
        for code in codes:
            shutil.copy(update.COMPILED / "de.mo", tmp_path / f"{code}.mo")
        monkeypatch.setattr(message_catalogue, "_FOLDER", tmp_path)
        clear()

    yield use
    monkeypatch.undo()
    clear()


@pytest.mark.parametrize(
    ("codes", "tags", "expected"),
    [
        (["pt-BR"], ["pt-BR"], "pt-BR"),
        (["pt-BR"], ["pt-br"], "pt-BR"),
        (["pt-BR"], ["pt"], "pt-BR"),
        (["pt-BR"], ["pt-PT", "en"], "pt-BR"),
        (["pt", "pt-BR"], ["pt-PT"], "pt"),
        (["pt", "pt-BR"], ["pt-BR"], "pt-BR"),
        (["pt"], ["pt-BR"], "pt"),
        (["zh-Hans", "zh-Hant"], ["zh-Hant-TW"], "zh-Hant"),
        (["de", "pt-BR"], ["nl", "de-AT", "pt"], "de"),
        (["pt-BR"], ["en-GB", "pt-BR"], "en"),
        (["pt-BR"], ["p", "*", "", "ptx"], None),
    ],
)
def test_a_browser_gets_the_nearest_language(
    with_languages: Callable[..., None],
    codes: Sequence[str],
    tags: Sequence[str],
    expected: str | None,
) -> None:
    with_languages(*codes)
    assert matching_language(tags) == expected


@pytest.mark.system
def test_a_page_is_served_in_a_language_with_a_region(
    tiny_bundle: Path, tmp_path: Path, with_languages: Callable[..., None]
) -> None:
    with_languages("pt-BR")
    history = f"sqlite:///{tmp_path / 'history.db'}"
    app = create_app(ServerSettings(bundles=[tiny_bundle], history=history))
    visitor = app.test_client()
    page = visitor.get("/", headers={"Accept-Language": "pt;q=0.9, en;q=0.8"})
    assert page.headers["Content-Language"] == "pt-BR"
    assert '<html lang="pt-BR" dir="ltr">' in page.text
    assert 'src="static/messages-pt-BR.js"' in page.text
    assert 'href="?lang=pt-BR"' in page.text
    visitor.get("/?lang=pt-BR")
    assert '<html lang="pt-BR"' in visitor.get("/", headers={"Accept-Language": "en"}).text
    server_state(app).close()


@pytest.mark.parametrize("given", ["pt-BR", "pt_BR"])
def test_a_language_with_a_region_is_begun_and_compiled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str
) -> None:
    for name in ("FOLDER", "COMPILED", "STATIC"):
        monkeypatch.setattr(update, name, tmp_path)
    monkeypatch.setattr(update, "TEMPLATE", tmp_path / "lorelm.pot")
    monkeypatch.setattr(sys, "argv", ["update.py", given])
    update.main()
    assert {path.name for path in tmp_path.iterdir()} == {
        *("lorelm.pot", "pt_BR.po", "pt-BR.mo", "messages-pt-BR.js")
    }
    assert b'"Language: pt_BR\\n"' in (tmp_path / "pt_BR.po").read_bytes()
