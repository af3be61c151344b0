"""Take the screenshots of the page, of the embedded model, and of the studio."""

import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, expect, sync_playwright

HERE = Path(__file__).parent
PLAY = HERE.parent / "tutorials" / "texts" / "night-ferry.csv"
STORY = (
    "The lighthouse had been dark for eleven years. On the night of the great storm "
    "Miriam climbed the stairs."
)
SEEDS = (12, 5)
PLAY_SEED = 3

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


def asking_for_a_word(page: Page) -> None:
    page.get_by_text("More settings").click()
    page.get_by_label("Keep in mind").fill(
        "Miriam keeps the lighthouse. Her brother Anselm is a sailor."
    )
    page.get_by_label("The next sentence contains").fill("lantern")
    page.locator("#temperature").fill("0.8")
    page.locator("#surface").click()
    page.keyboard.type(STORY)
    page.locator("#seed").fill("4")
    page.get_by_role("button", name="Generate").click()
    expect(page.locator("#surface:not([aria-busy]) .word").nth(3)).to_be_visible()
    page.evaluate("scrollTo(0, 0)")


def keeping(page: Page) -> None:
    for text, name in (
        ("ANSELM: Is it you, Miriam?", "The two of them, a scene"),
        (STORY, "The lighthouse"),
    ):
        page.locator("#surface").click()
        write(page, text, seed=2)
        page.get_by_label("Name of the draft").fill(name)
        page.get_by_role("button", name="Save as draft").click()
        expect(page.locator(".draft small")).to_have_text("Saved.")
        if name != "The lighthouse":
            page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Drafts…").click()
    expect(page.get_by_role("dialog", name="Your drafts")).to_be_visible()


def sharing(page: Page) -> None:
    page.locator("#surface").click()
    write(page, STORY, seed=2)
    page.get_by_role("button", name="Share…").click()
    page.get_by_role("button", name="Make a link to this text").click()
    expect(page.locator("dialog li input")).to_be_visible()


def acting(page: Page) -> None:
    page.locator("#temperature").fill("0.7")
    page.locator("#surface").click()
    page.keyboard.type(
        "IDA: There is somebody on the landing. I think it is the man with the case."
    )
    page.get_by_label("Who speaks next").select_option("")
    answer(page, seed=PLAY_SEED)
    page.get_by_label("Who speaks next").select_option("MAREN")


def take_studio(text: Path) -> None:
    """Take the picture of a run of the studio, half a minute after its training began."""
    with tempfile.TemporaryDirectory() as folder:
        studio = subprocess.Popen(
            [sys.executable, "-m", "lorelm", "studio", "--no-browser", "--folder", folder],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert studio.stderr
        link = next(line.split()[1] for line in studio.stderr if line.startswith("Open "))
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
                )
                page = browser.new_page(viewport={"width": 900, "height": 760})
                page.goto(link)
                page.locator("#files").set_input_files(text)
                page.get_by_role("link", name="Train a model of it").click(timeout=120_000)
                page.get_by_label("Good").check()
                page.get_by_role("button", name="Train", exact=True).click()
                expect(page.locator("#learning svg polyline")).to_be_visible(timeout=120_000)
                page.wait_for_timeout(30_000)
                page.evaluate("document.getElementById('message-box').hidden = true")
                page.screenshot(path=HERE / "studio.png")
                page.get_by_role("button", name="Pause").click()
                expect(page.get_by_role("button", name="Continue")).to_be_visible(timeout=60_000)
                browser.close()
        finally:
            studio.terminate()
            studio.wait()


def take_site(model: Path, site: Path) -> None:
    """Take the picture of a model's web site, at the width of a phone."""
    export = [sys.executable, "-m", "lorelm", "export", model, "--web", site]
    subprocess.run([*export, "--title", "The night ferry"], check=True)
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=site)
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        photograph(
            f"http://127.0.0.1:{server.server_port}/",
            [("site-phone", "light", (360, 720), acting)],
        )
        server.shutdown()


def photograph(url: str, pictures: Iterable[Picture]) -> None:
    expect.set_options(timeout=60_000)  # of a busy machine
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


def take(*pictures: Picture, arguments: Sequence[str] = ()) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "lorelm", "serve", *arguments, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr
    url = server.stderr.readline().split()[2]
    try:
        photograph(url, pictures)
    finally:
        server.terminate()
        server.wait()


def take_tutorials() -> None:
    """Take the pictures of the tutorials, one of them with a model of their play."""
    with tempfile.TemporaryDirectory() as folder:
        history = ("--history", f"sqlite:///{folder}/history.db", "--share-links")
        take(
            ("required-word", "light", (900, 1030), asking_for_a_word),
            ("drafts", "light", (900, 620), keeping),
            ("share-link", "light", (900, 620), sharing),
            arguments=history,
        )
        model = Path(folder) / "ferry"
        train = [sys.executable, "-m", "lorelm", "train", PLAY, "--out", model]
        subprocess.run(train, check=True)
        take(("film-scene", "light", (900, 680), acting), arguments=(str(model), *history))
        take_site(model, Path(folder) / "site")


def main() -> None:
    take(
        ("page-light", "light", (900, 680), writing),
        ("page-dark", "dark", (900, 680), comparing),
        ("page-phone", "light", (360, 720), writing),
        ("page-scene", "light", (900, 680), speaking),
    )
    take_tutorials()
    take_studio(HERE.parent / "tutorials" / "texts" / "night-ferry.csv")


if __name__ == "__main__":
    main()
