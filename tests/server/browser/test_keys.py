"""The page of a server that requires a key, in a browser that was given one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.server.browser.page_driver import PageDriver, watched_context

from lorelm.server.keys.key import now
from lorelm.server.keys.key_file import KeyFile

pytestmark = pytest.mark.system


def test_the_page_works_with_a_named_key_until_it_is_used_up(
    browser: Browser, start_server: Callable[..., str], tiny_bundle: Path, tmp_path: Path
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key = keys.add("class-7b", tokens_per_day=5)
    url = start_server(
        *(str(tiny_bundle), "--keys", str(keys.path)),
        *("--history", f"sqlite:///{tmp_path}/history.db"),
    )
    credentials = {"username": "anything", "password": key}
    with watched_context(browser, http_credentials=credentials) as context:
        context.set_default_timeout(20_000)
        driver = PageDriver(context.new_page(), url)
        driver.lengthen(20)
        driver.page.keyboard.type("The fox")
        driver.generate()
        expect(driver.words.nth(10)).to_be_attached()
        driver.press("Generate")
        expect(driver.page.get_by_role("alert")).to_contain_text("used up its 5 tokens")
        keys.change("class-7b", tokens_per_day=None)
        driver.generate()
        expect(driver.words.nth(25)).to_be_attached()
        # Where a password is wrong, a browser asks for another; this one has none to offer.
        keys.change("class-7b", revoked_at=now())
    with watched_context(browser, http_credentials=credentials) as context:
        answer = context.request.get(url)
        assert answer.status == 401
        assert "is revoked" in answer.text()
