"""Links from the site to files of the repository that lie outside `docs/`.

A page of the site whose only content is `{include-page} PATH` shows a Markdown file of the
repository. Links to such files lead to these pages; links to any other file lead to a page that
shows its source.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.application import Sphinx
from sphinx.util import logging

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
INCLUDE = re.compile(r"^\{include-page\} (\S+)$", re.MULTILINE)
LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")
SOURCES = "_source/"
DOWNLOADS = {".ipynb"}
MAX_LENGTH = 200_000

logger = logging.getLogger(__name__)


def included_pages() -> dict[Path, str]:
    """Return the Markdown files outside `docs/` that a page shows, each with the page's name."""
    pages = {}
    for page in DOCS.rglob("*.md"):
        for name in INCLUDE.findall(page.read_text(encoding="utf-8")):
            pages[(page.parent / name).resolve()] = page.relative_to(DOCS).as_posix()
    return pages


class RepositoryLinks:
    """Rewrites links before Markdown is parsed, and makes the pages of sources."""

    def __init__(self) -> None:
        self._pages = included_pages()
        self._sources: set[Path] = set()

    def read(self, _: Sphinx, docname: str, source: list[str]) -> None:
        """Put the text of an included file in place of the page, and rewrite all links."""
        page = DOCS / f"{docname}.md"
        folder = page.parent
        if found := INCLUDE.search(source[0]):
            file = (folder / found[1]).resolve()
            source[0] = file.read_text(encoding="utf-8")
            folder = file.parent
        source[0] = LINK.sub(lambda link: self._rewrite(link, folder, page), source[0])

    def _rewrite(self, link: re.Match[str], folder: Path, page: Path) -> str:
        before, path, anchor, after = link.groups(default="")
        target = (folder / unquote(path)).resolve()
        if not target.exists():
            logger.warning("%s links to %s, which does not exist", page.relative_to(ROOT), path)
            return link[0]
        if target in self._pages:
            target = DOCS / self._pages[target]
        elif not target.is_relative_to(DOCS) and target.suffix not in DOWNLOADS:
            self._sources |= {target, *(listed(target) if target.is_dir() else ())}
            up = "../" * len(page.relative_to(DOCS).parent.parts)
            return f"{before}site:{up}{quote(address(target))}{after}"
        return f"{before}{quote(os.path.relpath(target, page.parent))}{anchor}{after}"

    def pages(self, _: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Yield a page for each source and folder that is linked to."""
        for source in sorted(self._sources):
            name = source.relative_to(ROOT).as_posix()
            body = f"<h1>{name}</h1>" + (listing(source) if source.is_dir() else shown(source))
            yield address(source).removesuffix(".html"), {"title": name, "body": body}, "page.html"


def address(source: Path) -> str:
    """Return where the page of a source is, from the root of the site."""
    name = source.relative_to(ROOT).as_posix()
    return f"{SOURCES}{name}/index.html" if source.is_dir() else f"{SOURCES}{name}.html"


def listed(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def listing(folder: Path) -> str:
    """Return a list of links to the pages of a folder's files."""
    names = [file.relative_to(folder).as_posix() for file in listed(folder)]
    return "".join(
        ["<ul>", *(f'<li><a href="{name}.html">{name}</a></li>' for name in names), "</ul>"]
    )


def shown(source: Path) -> str:
    """Return a text as highlighted HTML."""
    text = source.read_text(encoding="utf-8")[:MAX_LENGTH]
    try:
        lexer = get_lexer_for_filename(source.name)
    except ClassNotFound:
        lexer = TextLexer()
    return str(highlight(text, lexer, HtmlFormatter()))


def setup(app: Sphinx) -> dict[str, bool]:
    links = RepositoryLinks()
    app.connect("source-read", links.read)
    app.connect("html-collect-pages", links.pages)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
