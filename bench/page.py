"""What the page costs: its weight, its first paint, and the first word after a click.

    python bench/page.py [--runs 20] [--bundle DIR]

A real server and a real browser (Debian's Chromium) on loopback, each run in a browser that has
seen nothing before.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

WATCH = """
addEventListener("click", (event) => {
  if (event.target.id !== "generate") return;
  const clicked = performance.now();
  new MutationObserver((_, observer) => {
    if (!document.querySelector("#surface .word")) return;
    observer.disconnect();
    // The frame after the next is when the next one is on the screen.
    requestAnimationFrame(() => requestAnimationFrame(() => {
      window.firstWordMilliseconds = performance.now() - clicked;
    }));
  }).observe(document.getElementById("surface"), { childList: true });
}, true);
"""


def measure(browser: Browser, url: str) -> dict[str, float]:
    """One visit."""
    context = browser.new_context()
    page = context.new_page()
    bodies: list[int] = []
    page.on("requestfinished", lambda done: bodies.append(sum(sizes(done))))
    page.add_init_script(WATCH)
    page.goto(url, wait_until="networkidle")
    weight = sum(bodies)
    [paint] = page.evaluate(
        "() => performance.getEntriesByName('first-contentful-paint').map(each => each.startTime)"
    )
    page.keyboard.type("My lord")
    page.locator("#generate").click()
    page.wait_for_function("() => window.firstWordMilliseconds")
    first_word = page.evaluate("() => window.firstWordMilliseconds")
    context.close()
    return {"weight": weight, "first paint": paint, "first word": first_word}


def sizes(request: Any) -> tuple[int, int]:
    """The bytes of the head and the body of an answer."""
    measured = request.sizes()
    return measured["responseHeadersSize"], measured["responseBodySize"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--bundle", type=Path)
    asked = parser.parse_args()
    bundles = [str(asked.bundle)] if asked.bundle else []
    server = subprocess.Popen(
        [sys.executable, "-m", "lorelm", "serve", *bundles, "--port", "0", "--no-history"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr
    try:
        url = server.stderr.readline().split()[2]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            visits = [measure(browser, url) for _ in range(asked.runs)]
            browser.close()
    finally:
        server.terminate()
        server.wait()
    print(f"{asked.runs} visits; median, longest")
    for name, unit, scale in (
        *(("weight", "KB", 1000), ("first paint", "ms", 1)),
        ("first word", "ms", 1),
    ):
        values = [visit[name] / scale for visit in visits]
        print(f"{name:12} {statistics.median(values):6.1f} {max(values):6.1f} {unit}")


if __name__ == "__main__":
    main()
