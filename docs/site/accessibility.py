"""What Furo's pages lack for the keyboard and for screen readers; axe finds it."""

import re
from pathlib import Path

from sphinx.application import Sphinx

MENDS = (
    (r'role="heading">', 'role="heading" aria-level="2">'),
    (r'<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="All pages">'),
    (r'<aside class="(toc-drawer[^"]*)">', r'<aside class="\1" aria-label="This page">'),
    # The keyboard scrolls what is wider than the screen.
    (r'(<div class="table-wrapper[^"]*")>', r'\1 tabindex="0">'),
    (r"<pre>", '<pre tabindex="0">'),
    (r'<th class="head"><p></p></th>', '<td class="head"></td>'),
    (r'(<div id="search-results"></div>)', r"<h1>Search</h1>\1"),
)


def mend(app: Sphinx, error: Exception | None) -> None:
    """Mend all pages that were built."""
    if error is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        html = mended = page.read_text(encoding="utf-8")
        for pattern, replacement in MENDS:
            mended = re.sub(pattern, replacement, mended)
        if mended != html:
            page.write_text(mended, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
