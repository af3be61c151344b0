"""How fast the studio is, with many texts, models and drafts, and how heavy its pages are.

    python bench/studio.py

It starts `lorelm studio` on a folder with 30 models of the embedded model's size, 30 texts and a
history with 10,000 drafts, and prints the time to the first answer and, for each page, the median
and the slowest of 15 requests over HTTP, and the bytes of the page with all that it loads, as they
are and compressed.
"""

import gzip
import http.cookiejar
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

from lorelm.bundle import EMBEDDED_PATH
from lorelm.corpus.documents import ReadingOptions
from lorelm.server.studio.errands import SAMPLE
from lorelm.server.studio.library import Library

NUM_MODELS = 30
NUM_DRAFTS = 10_000
NUM_REQUESTS = 15
TEXT = "ROMEO: The fox ran.\nJULIET: The owl sat in the wood.\n" * 200


def fill(folder: Path) -> None:
    """Fill the studio's folder; nothing is left for it to find out."""
    library = Library(folder)
    library.open()
    report = {"options": vars(ReadingOptions()), "error": "", "report": _inspected(folder)}
    for number in range(NUM_MODELS):
        name = library.add_text(f"text {number}", [("a.txt", io.BytesIO(TEXT.encode()))])
        (folder / "texts" / name / "report.json").write_text(json.dumps(report))
        path = folder / "models" / f"model {number}"
        shutil.copytree(EMBEDDED_PATH, path)
        (path / SAMPLE).write_text("The fox ran, and the owl sat in the wood.\n" * 3)


def _inspected(folder: Path) -> dict[str, object]:
    (folder / "a.txt").write_text(TEXT)
    command = [sys.executable, "-m", "lorelm", "inspect", "--json", "--no-estimate", "a.txt"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout) | {"is_whole": True, "training": "about 3 min for 4 epochs"}


def start(folder: Path) -> tuple[subprocess.Popen[str], str, float]:
    """Start the studio; return it, its link, and the seconds until it answered."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "lorelm", "studio", "--no-browser", "--folder", str(folder)]
    studio = subprocess.Popen(
        [*command, "--history", f"sqlite:///{folder}.db"], stderr=subprocess.PIPE, text=True
    )
    assert studio.stderr
    for line in studio.stderr:
        if found := re.search(r"Open (http\S+)", line):
            return studio, found[1], time.perf_counter() - began
    raise SystemExit("the studio did not start")


class Browser:
    """Requests with the cookies of one browser."""

    def __init__(self, link: str) -> None:
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar)
        self.url = link.partition("enter?")[0]
        self._opener.open(link).read()

    def get(self, path: str) -> bytes:
        with self._opener.open(urljoin(self.url, path)) as response:
            return bytes(response.read())

    def post(self, path: str, body: object) -> None:
        request = urllib.request.Request(
            urljoin(self.url, path),
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"},
        )
        self._opener.open(request).read()

    def seconds(self, path: str) -> list[float]:
        times = []
        for _ in range(NUM_REQUESTS):
            began = time.perf_counter()
            self.get(path)
            times.append(time.perf_counter() - began)
        return sorted(times)

    def parts(self, path: str) -> dict[str, bytes]:
        """Return a page and the style sheets and scripts that it loads, by their addresses."""
        html = self.get(path)
        found = {path: html}
        page = urljoin(self.url, path)
        waiting = [
            urljoin(page, each)
            for each in re.findall(r'(?:href|src)="([^"]+\.(?:css|js))"', html.decode())
        ]
        while waiting:
            address = waiting.pop()
            if address not in found:
                found[address] = self.get(address)
                imports = re.findall(r'from "(\./[\w.]+)"', found[address].decode())
                waiting += [urljoin(address, each) for each in imports]
        return found


def main() -> None:
    print(f"load average {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "studio"
        fill(folder)
        studio, link, seconds = start(folder)
        try:
            print(f"start: {seconds:.2f} s until the link is printed")
            browser = Browser(link)
            browser.get("write/english/")
            for number in range(NUM_DRAFTS):
                browser.post(
                    "write/english/api/drafts",
                    {"name": f"draft {number}", "content": ["The fox ran."], "model": ""},
                )
            print(f"{'page':<28} {'median':>8} {'slowest':>8} {'kB':>7} {'gzip kB':>8}")
            for path in (
                *("texts", "texts/text%201", "train", "models", "write", "write/english/"),
                "write/english/api/drafts",
            ):
                times, parts = browser.seconds(path), browser.parts(path)
                size = sum(map(len, parts.values()))
                packed = sum(len(gzip.compress(content, 9)) for content in parts.values())
                median, slowest = 1e3 * statistics.median(times), 1e3 * times[-1]
                print(
                    f"{path:<28} {median:>5.0f} ms {slowest:>5.0f} ms {size / 1e3:>7.0f} "
                    f"{packed / 1e3:>8.0f}"
                )
        finally:
            studio.terminate()
            studio.wait()
            assert studio.stderr
            studio.stderr.close()


if __name__ == "__main__":
    main()
