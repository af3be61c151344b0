"""Take the screenshots of the page, of the embedded model."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, expect, sync_playwright

HERE = Path(__file__).parent
SEEDS = (12, 5)

Picture = tuple[str, Literal["light", "dark"], tuple[int, int], Callable[[Page], None]]


def write(page: Page, text: str, *, seed: int) -> None:
    page.keyboard.type(text)
    page.evaluate("seed => { document.getElementById('seed').value = seed; }", seed)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#surface:not([aria-busy]) .word").nth(3)).to_be_visible()


def writing(page: Page) -> None:
    write(page, '"Come in," said Mrs. Quibble, and', seed=11)
    page.locator("#surface .word").nth(1).hover()
    expect(page.locator("#card")).to_be_visible()


def comparing(page: Page) -> None:
    page.get_by_text("More settings").click()
    page.get_by_label("Compare").check()
    page.keyboard.press("Tab")
    page.locator("#surface").click()
    page.keyboard.type("The old house on the hill")
    page.locator("#seed").fill("7")
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("article button").nth(1)).to_be_visible()
    expect(page.get_by_text("Choose one")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")


def speaking(page: Page) -> None:
    page.keyboard.type("LADY BRACKNELL: Good afternoon, dear Algernon, I hope you are well.")
    page.get_by_label("Who speaks next").select_option("ALGERNON")
    answer(page, seed=SEEDS[0])
    page.get_by_label("Who speaks next").select_option("LADY BRACKNELL")
    page.get_by_role("button", name="Write the line myself").click()
    page.keyboard.type("Then pray sit down, and have some tea.")
    page.get_by_label("Who speaks next").select_option("")
    answer(page, seed=SEEDS[1])
    page.get_by_label("Who speaks next").select_option("ALGERNON")


def answer(page: Page, *, seed: int) -> None:
    write(page, "", seed=seed)
    expect(page.get_by_role("button", name="Generate")).to_be_visible()


def take(*pictures: Picture) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "lorelm", "serve", "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr
    url = server.stderr.readline().split()[2]
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            for name, scheme, size, act in pictures:
                context = browser.new_context(
                    color_scheme=scheme, viewport={"width": size[0], "height": size[1]}
                )
                page = context.new_page()
                page.goto(url)
                act(page)
                page.wait_for_timeout(800)  # the unknown words are looked up after a pause
                page.screenshot(path=HERE / f"{name}.png")
                context.close()
            browser.close()
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    take(
        ("page-light", "light", (900, 680), writing),
        ("page-dark", "dark", (900, 680), comparing),
        ("page-phone", "light", (360, 720), writing),
        ("page-scene", "light", (900, 680), speaking),
    )


if __name__ == "__main__":
    main()
