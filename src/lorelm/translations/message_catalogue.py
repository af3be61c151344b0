"""One language: its texts, its direction, its numbers and dates (:class:`Catalogue`)."""

import gettext
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from jinja2 import Environment

SOURCE_LANGUAGE: Final = "en"
_FOLDER: Final = Path(__file__).parent
_RIGHT_TO_LEFT: Final = ("ar", "dv", "fa", "he", "ps", "ur", "yi")


def gettext_noop(message: str) -> str:
    """Mark a text for extraction where it is declared; it is translated where it is shown."""
    return message


class Catalogue:
    """The texts of a language.

    Each method takes the English text, with placeholders such as ``%(name)s``, and their values.
    Numbers and dates follow patterns that are entries of the catalogue themselves, so that a
    language is one file and serving needs no locale data.

    Args:
        code: of the language, as in ``<html lang>``: de, or with a region pt-BR.
        translations: English where a text has none.
    """

    def __init__(self, code: str, translations: gettext.NullTranslations) -> None:
        self.code: Final = code
        self.translations: Final = translations

    @property
    def direction(self) -> str:
        """The direction of writing, as in ``<html dir>``."""
        return "rtl" if self.code.partition("-")[0] in _RIGHT_TO_LEFT else "ltr"

    @property
    def own_name(self) -> str:
        """The name of the language in the language itself."""
        return self.pgettext("name of this language", "English")

    def gettext(self, message: str, **values: object) -> str:
        return self.translations.gettext(message) % values

    def plain(self, message: str) -> str:
        """Return the translation of a text without placeholders, in which a ``%`` is a ``%``."""
        return self.translations.gettext(message)

    def ngettext(self, one: str, many: str, n: int, **values: object) -> str:
        """Return the text for a number, which is its placeholder ``%(n)s``, formatted."""
        return self.translations.ngettext(one, many, n) % {"n": self.number(n), **values}

    def pgettext(self, context: str, message: str, **values: object) -> str:
        return self.translations.pgettext(context, message) % values

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with that many digits after the decimal sign."""
        signs = {
            ord(","): self.pgettext("thousands separator", ","),
            ord("."): self.pgettext("decimal sign", "."),
        }
        return f"{value:,.{digits}f}".translate(signs)

    def significant(self, value: float, digits: int = 6) -> str:
        """Return a number with at most that many significant digits, as short as it can be."""
        text = f"{value:.{digits}g}"
        if "e" in text:
            return self.number(value, 0 if abs(value) >= 1 else digits)
        return text.replace(".", self.pgettext("decimal sign", "."))

    def percent(self, share: float, digits: int = 0) -> str:
        """Return a share from 0 to 1 as a percentage."""
        return self.pgettext("percentage", "%(number)s%%", number=self.number(100 * share, digits))

    def date(self, time: datetime) -> str:
        """Return the day of a time in digits."""
        parts = {"YYYY": f"{time.year:04}", "MM": f"{time.month:02}", "DD": f"{time.day:02}"}
        text = self.pgettext("date", "YYYY-MM-DD")
        for name, digits in parts.items():
            text = text.replace(name, digits)
        return text

    def date_time(self, time: datetime) -> str:
        """Return a time of UTC to the minute."""
        return f"{self.date(time)} {time:%H:%M} UTC"

    def list(self, items: Iterable[str]) -> str:
        return self.pgettext("separator of a list", ", ").join(items)


class LanguageChoice(NamedTuple):
    """A language that a page can be read in."""

    code: str
    name: str
    address: str


def choices(address_of: Callable[[str], str]) -> Sequence[LanguageChoice]:
    """Return all languages, each with the address of the page in it."""
    return [
        LanguageChoice(code, catalogue(code).own_name, address_of(code)) for code in languages()
    ]


@cache
def catalogue(code: str) -> Catalogue:
    """Return the catalogue of a language.

    Raises:
        KeyError: there is none.
    """
    if code == SOURCE_LANGUAGE:
        return Catalogue(code, gettext.NullTranslations())
    if code not in languages():
        raise KeyError(code)
    with (_FOLDER / f"{code}.mo").open("rb") as file:
        return Catalogue(code, gettext.GNUTranslations(file))


@cache
def languages() -> Sequence[str]:
    """Return the codes of all languages, English first."""
    return [SOURCE_LANGUAGE, *sorted(path.stem for path in _FOLDER.glob("*.mo"))]


def matching_language(tags: Iterable[str]) -> str | None:
    """Return the language of the first tag that has one; None if none has.

    Args:
        tags: BCP 47, as browsers send them. "pt-BR" is answered with pt-BR, else with pt, else with
            Portuguese of another region; "pt" likewise.
    """
    codes = {code.lower(): code for code in languages()}
    for tag in tags:
        parts = tag.lower().split("-")
        lengths = range(len(parts), 0, -1)  # "lookup" of RFC 4647, section 3.4
        relatives = (code for code in codes if code.split("-")[0] == parts[0])
        for candidate in (*("-".join(parts[:length]) for length in lengths), *relatives):
            if candidate in codes:
                return codes[candidate]
    return None


def by_language(text_of: Callable[..., str]) -> Callable[..., str]:
    """Return a filter for templates whose text depends on the language of the page.

    Jinja computes a filter of a constant once, when it compiles the template, unless the filter
    takes the context: all readers would see it in the language of the first one.
    """
    from jinja2 import pass_context  # here, since commands start without templates

    @pass_context
    def text_in_page(_: object, *values: object) -> str:
        return text_of(*values)

    return text_in_page


def install(environment: "Environment", current: Callable[[], Catalogue]) -> None:
    """Let templates translate: ``{% trans %}``, ``gettext()``, and filters for numbers.

    Args:
        current: returns the language of the page that is rendered.
    """

    def translate(name: str) -> Callable[..., str]:
        def call(*texts: object) -> str:
            return str(getattr(current().translations, name)(*texts))

        return call

    def show(name: str) -> Callable[..., str]:
        def call(*values: object) -> str:
            return str(getattr(current(), name)(*values))

        return call

    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # of the extension
        translate("gettext"),
        translate("ngettext"),
        newstyle=True,
        pgettext=translate("pgettext"),
    )
    # Of a text without placeholders:
    environment.filters["translated"] = by_language(translate("gettext"))
    environment.filters["listed"] = by_language(show("list"))
    for name in ("number", "significant", "percent", "date", "date_time"):
        environment.filters[name] = by_language(show(name))
