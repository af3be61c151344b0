"""The main way of the studio in Debian's Firefox, where it is installed."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.export.browser.test_site_page import FileServer
from tests.firefox import Firefox
from tests.server.studio.conftest import RunningStudio
from tests.server.studio.test_texts import TALES

import lorelm
from lorelm.bundle import Bundle
from lorelm.export.site import SiteOptions, site_files

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture
def firefox(tmp_path: Path) -> Iterator[Firefox]:
    program = shutil.which("firefox-esr")
    if program is None:
        pytest.skip("no Firefox: apt-get install firefox-esr")
    with Firefox(program, tmp_path) as browser:
        yield browser


@pytest.fixture
def host(tmp_path: Path) -> Iterator[FileServer]:
    server = FileServer(tmp_path)
    yield server
    server.stop()


def test_from_a_file_to_a_model_and_a_site(
    firefox: Firefox, start_studio: Callable[..., RunningStudio], host: FileServer, tmp_path: Path
) -> None:
    studio = start_studio()
    (tmp_path / "tales.txt").write_text(TALES, encoding="utf-8")
    firefox.open(studio.link)
    firefox.set_files("#files", tmp_path / "tales.txt")
    firefox.click("a.button[href*='train']")
    firefox.click("#length_recipe")
    for name, value in (("hidden_size", "8"), ("min_frequency", "1"), ("epochs", "100000")):
        firefox.evaluate(f"document.querySelector('#setting_{name}').value = '{value}'")
    firefox.evaluate("document.querySelector('#setting_init').value = 'none'")
    firefox.click("form .actions button[type=submit]")
    firefox.wait_for("!!document.querySelector('#learning svg polyline')")
    firefox.wait_for("!document.querySelector('#keep').hidden")
    firefox.click("#keep button")
    firefox.click("a.button[href*='write']")
    text = firefox.write("The fox")
    path = studio.folder / "models" / "tales"
    assert text == "The fox" + lorelm.load(path).generate("The fox", temperature=0).text
    # The site that the studio would send.
    site = host.folder / "some" / "place"
    site.mkdir(parents=True)
    for name, content in site_files(Bundle.load(path), SiteOptions()).items():
        (site / name).write_bytes(content)
    firefox.open(f"{host.url}some/place/")
    firefox.wait_for("!document.querySelector('#loading')")
    assert firefox.write("The fox") == text
