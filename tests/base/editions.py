"""Little invented editions, packed as GitHub packs them, and a server that sends them."""

import io
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">'
    "<head><title>Never read</title></head>"
)
BODY = "bodymatter z3998:fiction"


def page(content: str, kind: str = BODY) -> str:
    """A page of an edition; `kind` is what its body is."""
    return f'{HEAD}<body epub:type="{kind}">{content}</body></html>'


def archive(
    work: str, commit: str, pages: Mapping[str, str], *, spine: Sequence[str] | None = None
) -> bytes:
    """The zip archive of an edition, with its pages in the order of the spine."""
    items = "".join(
        f'<item href="text/{name}" id="{name}" media-type="application/xhtml+xml"/>'
        for name in sorted(pages)
    )
    order = "".join(f'<itemref idref="{name}"/>' for name in spine or pages)
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
        '<item href="css/core.css" id="core.css" media-type="text/css"/>'
        f"{items}</manifest><spine>{order}</spine></package>"
    )
    files = {
        "LICENSE.md": "CC0",
        "src/epub/content.opf": package,
        **{f"src/epub/text/{name}": text for name, text in pages.items()},
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.comment = commit.encode()
        for name, text in files.items():
            file.writestr(zipfile.ZipInfo(f"{work}-{commit}/{name}"), text)
    return packed.getvalue()


class Mirror:
    """What the server sends, and what it was asked for.

    Attributes:
        files: content by path.
        cut_after: bytes after which the connection ends, by path; used once.
        statuses: status codes to answer with instead, by path, each used once.
        sends_ranges: whether the server can send the rest of a file.
        requests: path and Range header of each request.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.cut_after: dict[str, int] = {}
        self.statuses: dict[str, list[int]] = {}
        self.sends_ranges = True
        self.requests: list[tuple[str, str | None]] = []
        self.url = ""


@contextmanager
def serve(mirror: Mirror) -> Iterator[Mirror]:
    """Serve the files of a mirror at `mirror.url` until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(mirror))
    mirror.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield mirror
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(mirror: Mirror) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            mirror.requests.append((self.path, asked))
            content = mirror.files.get(self.path)
            if statuses := mirror.statuses.get(self.path):
                self.send_error(statuses.pop(0))
                return
            if content is None:
                self.send_error(404)
                return
            start = 0
            if asked and mirror.sends_ranges:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : mirror.cut_after.pop(self.path, len(content))])

        def log_message(self, *_: object) -> None:
            pass

    return Handler
