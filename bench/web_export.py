"""What an exported page costs: bytes over the wire, seconds to the first word, tokens a second.

    python bench/web_export.py [BUNDLE ...] [--runs 5]

Each bundle (by default english) is exported, sent by ``python -m http.server``, and opened in
Debian's Chromium in a browser that has seen nothing before. The first word is that of a click on
Generate as soon as the page takes it, so the time contains the loading of the model, on loopback;
add the bytes over your visitors' network. The second visit has the model in the browser's store.
"""

import argparse
import gzip
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lorelm.bundle import Bundle
from lorelm.export.site import SiteOptions, export_site

from playwright.sync_api import Browser, BrowserContext, sync_playwright

WATCH = """
addEventListener("DOMContentLoaded", () => {
  new MutationObserver((_, observer) => {
    if (!document.querySelector("#surface .word")) return;
    observer.disconnect();
    window.firstWordMilliseconds = performance.now(); // since the navigation
  }).observe(document.body, { childList: true, subtree: true });
});
const { postMessage } = Worker.prototype;
Worker.prototype.postMessage = function (message) {
  if (message.kind === "generate") Object.assign(message.body, { min_len: 400, max_len: 400 });
  return postMessage.call(this, message);
};
"""


def visit(context: BrowserContext, url: str) -> dict[str, float]:
    """Open the page, generate at once, and again when the model is warm."""
    page = context.new_page()
    bodies: list[int] = []
    page.on("requestfinished", lambda done: bodies.append(done.sizes()["responseBodySize"]))
    page.add_init_script(WATCH)
    page.goto(url, wait_until="commit")
    page.wait_for_selector("#surface")
    _generate(page)
    first_word = page.evaluate("() => window.firstWordMilliseconds")
    seconds = _generate(page)
    page.wait_for_load_state("networkidle")
    page.close()
    return {
        "bytes": sum(size for size in bodies if size > 0),
        "first word": first_word / 1000,
        "tokens/s": 400 / seconds,
    }


def _generate(page: Any) -> float:
    """Click on Generate; return the seconds until the text is finished."""
    page.evaluate("""() => {
      document.getElementById("status").textContent = "";
      window.clicked = performance.now();
      document.getElementById("generate").click();
    }""")
    ended = "() => /seed/.test(document.getElementById('status').textContent)"
    page.wait_for_function(ended, timeout=120_000)
    seconds: float = page.evaluate("() => (performance.now() - window.clicked) / 1000")
    return seconds


def measure(browser: Browser, url: str, runs: int) -> tuple[dict[str, float], dict[str, float]]:
    """The medians of first visits, and of second ones."""
    visits: list[list[dict[str, float]]] = [[], []]
    for _ in range(runs):
        context = browser.new_context()
        for number in (0, 1):
            visits[number].append(visit(context, url))
        context.close()
    first, second = (
        {name: statistics.median(each[name] for each in group) for name in group[0]}
        for group in visits
    )
    return first, second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="*", default=["english"])
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = subprocess.Popen(
            [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert server.stdout
        port = server.stdout.readline().partition("port ")[2].split()[0]
        try:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium")
            for number, name in enumerate(arguments.bundles):
                site = export_site(Bundle.load(name), Path(folder) / str(number), SiteOptions())
                url = f"http://127.0.0.1:{port}/{number}/"
                report(name, site.path, url, browser, arguments.runs)
            browser.close()
        finally:
            server.terminate()
            server.wait()


def report(name: str, site: Path, url: str, browser: Browser, runs: int) -> None:
    contents = {path.name: path.read_bytes() for path in site.iterdir()}
    data = {each: len(content) for each, content in contents.items() if each.endswith(".bin")}
    page = [content for each, content in contents.items() if each not in data]
    compressed = sum(len(gzip.compress(content)) for content in page)
    print(f"{name}: {', '.join(f'{each} {size:,}' for each, size in sorted(data.items()))}")
    print(f"  page {sum(map(len, page)):,} bytes, {compressed:,} where the host compresses")
    for label, found in zip(("first", "second"), measure(browser, url, runs), strict=True):
        print(
            f"  {label} visit: {found['bytes'] / 1e6:.2f} MB from this server, first word after "
            f"{found['first word']:.2f} s, {found['tokens/s']:,.0f} tokens/s",
            flush=True,
        )


if __name__ == "__main__":
    main()
