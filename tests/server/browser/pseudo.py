"""A language that nobody speaks: every text of the catalogues in other letters, and longer.

What a page shows in plain letters does not come from the catalogue. The language is written from
right to left, and has six forms for numbers, as Arabic has.
"""

import re
import shutil
import string
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages import Catalog
from playwright.sync_api import BrowserContext, Page
from translations.update import extracted, mo_bytes, script_bytes
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

CODE = "ar"
_KEPT = re.compile(r"(%\(\w+\)s|%%|</?a\b[^>]*>)")
_LETTERS = str.maketrans(
    string.ascii_letters, "ȧƀƈḓḗƒɠħīĵķŀḿƞǿƥɋřşŧŭṽẇẋẏẑȦƁƇḒḖƑƓĦĪĴĶĿḾȠǾƤɊŘŞŦŬṼẆẊẎẐ"
)
_FORMATS = {"decimal sign", "thousands separator", "percentage", "date", "separator of a list"}

UNTRANSLATED = """
(known) => {
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true });
  // The text of a user, or of a command in English, says so.
  const isOther = (element) => element.closest(
    'bdi, code, #surface, .sample, script, style, noscript, [dir="auto"],' +
    '[lang]:not(html):not([lang="ar"])');
  const rest = (text) => known.reduce((left, each) => left.replaceAll(each, ""), text);
  const isPlain = (text) => /[A-Za-z]{2,}/.test(rest(text));
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement: parent, data } = walker.currentNode;
    if (parent && isPlain(data) && isShown(parent) && !isOther(parent)) found.push(data.trim());
  }
  for (const element of document.querySelectorAll("*"))
    for (const name of ["title", "aria-label", "placeholder", "alt"]) {
      const value = element.getAttribute(name);
      if (value && isPlain(value) && !element.closest('svg, [lang="en"]'))
        found.push(`${name}: ${value}`);
    }
  if (isPlain(document.title)) found.push(`the window: ${document.title}`);
  return found;
}
"""


def pseudo(text: str) -> str:
    """Return a text in other letters, a third longer; placeholders and tags stay."""
    parts = [
        part if _KEPT.fullmatch(part) else part.translate(_LETTERS) for part in _KEPT.split(text)
    ]
    return "".join(parts) + " ~" * (len(text) // 6)


def pseudo_catalogue() -> Catalog:
    made = Catalog(locale=CODE)
    for message in extracted():
        if not message.id:
            continue
        each = made.add(message.id, None, message.locations, context=message.context)
        if message.context in _FORMATS:
            each.string = message.id
        elif isinstance(message.id, str):
            each.string = pseudo(message.id)
        else:
            each.string = (pseudo(message.id[-1]),) * made.num_plurals
    return made


@contextmanager
def pseudo_language(folder: Path) -> Iterator[Callable[[BrowserContext], None]]:
    """Add the language to this process; yield what lets a browser read its scripts' texts."""
    import lorelm.translations.message_catalogue as module

    for path in module._FOLDER.glob("*.mo"):
        shutil.copy(path, folder)
    made = pseudo_catalogue()
    (folder / f"{CODE}.mo").write_bytes(mo_bytes(made))
    script = script_bytes(made)

    def serve(context: BrowserContext) -> None:
        context.route(
            f"**/messages-{CODE}.js",
            lambda route: route.fulfill(body=script, content_type="text/javascript"),
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_FOLDER", folder)
        module.catalogue.cache_clear()
        module.languages.cache_clear()
        yield serve
    module.catalogue.cache_clear()
    module.languages.cache_clear()


@contextmanager
def running(app: "WSGIApplication") -> Iterator[str]:
    """Serve an application from a thread; yield its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def untranslated(page: Page, *known: str) -> list[str]:
    """Return what a page shows that is not from the catalogue.

    Args:
        known: names of texts and models, which attributes may have.
    """
    found: list[str] = page.evaluate(UNTRANSLATED, ["LoreLM", "UTC", "JSON", "CSV", *known])
    return [each for each in found if not _is_filled_in(each)]


@cache
def _patterns() -> list[re.Pattern[str]]:
    """Return what attributes look like that name something of the user's in a translated text."""
    texts = [each.id for each in extracted() if isinstance(each.id, str) and "%(" in each.id]
    escaped = [re.escape(pseudo(text)) for text in texts]
    return [re.compile(re.sub(r"%\\\(\w+\\\)s", ".*", each), re.DOTALL) for each in escaped]


def _is_filled_in(found: str) -> bool:
    _, colon, text = found.partition(": ")
    return bool(colon) and any(pattern.fullmatch(text) for pattern in _patterns())


def overflow(page: Page) -> int:
    """Return by how many pixels a page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))
