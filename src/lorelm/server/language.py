"""The language of a page: chosen by its reader, else by the browser.

``?lang=de`` chooses a language and is remembered in a cookie; without one, ``Accept-Language``
decides. Responses of the API are English.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from flask import Flask, Response, after_this_request, g, request

from lorelm.server.cookies import set_cookie
from lorelm.translations import Catalogue, catalogue, languages
from lorelm.translations.message_catalogue import (
    SOURCE_LANGUAGE,
    LanguageChoice,
    choices,
    install,
    matching_language,
)

_COOKIE: Final = "lorelm_language"
_PARAMETER: Final = "lang"
_REMEMBERED_SECONDS: Final = 365 * 24 * 60 * 60


def use_languages(app: Flask) -> None:
    """Let the templates of an application translate."""
    install(app.jinja_env, page_catalogue)
    app.context_processor(_context)


def page_catalogue() -> Catalogue:
    """Return the texts in the language of the page that answers the current request."""
    if "catalogue" not in g:
        _use(catalogue(_language()))
    found: Catalogue = g.catalogue
    return found


def use_english() -> None:
    """Answer the current request in English: its page is for programmers, or not translated."""
    _use(catalogue(SOURCE_LANGUAGE))


def _use(texts: Catalogue) -> None:
    g.catalogue = texts
    after_this_request(_add_headers)  # not of the API, which has no language


def explicit_language() -> str:
    """Return the language that the address of the page names, in any case; empty if none."""
    given = request.args.get(_PARAMETER, "").lower()
    return next((code for code in languages() if code.lower() == given), "")


def _language() -> str:
    remembered = request.cookies.get(_COOKIE, "")
    if chosen := explicit_language() or (remembered if remembered in languages() else ""):
        return chosen
    # Not best_match() of werkzeug: to it, "en-GB, de;q=0.5" means German.
    accepted = (tag for tag, quality in request.accept_languages if quality)
    return matching_language(accepted) or SOURCE_LANGUAGE


def _context() -> dict[str, object]:
    return {"language": page_catalogue(), "language_choices": language_choices}


def language_choices() -> Sequence[LanguageChoice]:
    """Return the languages of the current page, each with the address that chooses it.

    The answer to a form has none: its address may not open without the form, and would not show
    what was typed or generated.
    """
    if request.method == "POST":
        return []
    kept = [(name, value) for name, value in request.args.items(multi=True) if name != _PARAMETER]
    return choices(lambda code: f"?{urlencode([*kept, (_PARAMETER, code)])}")


def _add_headers(response: Response) -> Response:
    if response.mimetype != "text/html":
        return response
    response.headers["Content-Language"] = page_catalogue().code
    response.vary.update(("Accept-Language", "Cookie"))
    if chosen := explicit_language():
        set_cookie(request, response, _COOKIE, chosen, seconds=_REMEMBERED_SECONDS)
    return response
