"""The message catalogues: complete, in step with the source, and typographically right."""

import re
from datetime import UTC, datetime

import pytest
from babel.dates import format_skeleton
from babel.messages import Catalog, Message
from babel.numbers import format_decimal, format_percent
from translations.update import (
    COMPILED,
    FOLDER,
    SOURCE,
    STATIC,
    TEMPLATE,
    code_of,
    extracted,
    mo_bytes,
    po_bytes,
    po_path,
    read,
    script_bytes,
)

from lorelm.translations import catalogue, languages

CODES = sorted(map(code_of, FOLDER.glob("*.po")))
MARKUP = re.compile(r"%\(\w+\)s|%%|</?\w+[^>]*>")
CALL = re.compile(r"""\b(?:n?gettext\(|pgettext\("[^"]*",)\s*["'`]([^"'`]+)""")


@pytest.fixture(scope="module")
def template() -> Catalog:
    return extracted()


@pytest.fixture(params=CODES)
def translated(request: pytest.FixtureRequest) -> Catalog:
    return read(po_path(request.param))


def messages(catalog: Catalog) -> list[Message]:
    return [each for each in catalog if each.id]


def sources(message: Message) -> list[str]:
    return [message.id] if isinstance(message.id, str) else [*message.id]


def strings(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else [*message.string]


def name(message: Message) -> tuple[str | None, str]:
    return message.context, sources(message)[0]


def test_german_and_french_are_there() -> None:
    assert {"de", "fr"} <= {*CODES}
    assert languages() == ["en", *CODES]


def test_the_template_is_what_the_source_has(template: Catalog) -> None:
    assert TEMPLATE.read_bytes() == po_bytes(template), "run python translations/update.py"


def test_every_text_of_a_script_is_found(template: Catalog) -> None:
    found = {sources(each)[0] for each in messages(template)}
    files = [path for path in SOURCE.rglob("*.js") if path.name != "translate.js"]
    called = {text for path in files for text in CALL.findall(path.read_text(encoding="utf-8"))}
    assert len(called) > 100
    assert not called - found


def test_a_catalogue_has_every_text(translated: Catalog, template: Catalog) -> None:
    assert {name(each) for each in messages(translated)} == {
        name(each) for each in messages(template)
    }
    assert not translated.obsolete
    assert not [each.id for each in messages(translated) if each.fuzzy]
    assert not [each.id for each in messages(translated) if not all(strings(each))]
    numbers = [each for each in messages(translated) if not isinstance(each.id, str)]
    assert {len(strings(each)) for each in numbers} == {translated.num_plurals}


def test_placeholders_and_tags_are_those_of_the_source(translated: Catalog) -> None:
    for each in messages(translated):
        assert not [*each.check(translated)], each.id
        expected = sorted(MARKUP.findall(sources(each)[-1]))
        for string in strings(each):
            assert sorted(MARKUP.findall(string)) == expected, string


def test_compiled_files_are_made_of_the_catalogue(translated: Catalog) -> None:
    code = str(translated.locale).replace("_", "-")
    assert (COMPILED / f"{code}.mo").read_bytes() == mo_bytes(translated)
    assert (STATIC / f"messages-{code}.js").read_bytes() == script_bytes(translated)


def test_quotation_marks_are_those_of_the_language(translated: Catalog) -> None:
    wrong = {"de": "»«”\"'", "fr": "„“”\"'"}
    for each in messages(translated):
        for string in strings(each):
            text = MARKUP.sub("", string).replace("''", "")
            found = {*text} & {*wrong.get(str(translated.locale), '"')}
            assert not found - ({"'"} if "pip install" in text else set()), string


def test_french_has_narrow_spaces_before_high_punctuation() -> None:
    texts = [string for each in messages(read(FOLDER / "fr.po")) for string in strings(each)]
    plain = [MARKUP.sub("x", text) for text in texts]
    assert not [text for text in plain if re.search(r"(?<!\u202f)[;!?»]", text)]
    assert not [text for text in plain if re.search(r"\w:(?!//)(?!\d)|[ \u00a0]:", text)]
    assert not [text for text in plain if re.search(r"«(?!\u202f)", text)]


@pytest.mark.parametrize("code", ["en", *CODES])
def test_numbers_are_written_as_cldr_says(code: str) -> None:
    texts, locale = catalogue(code), code.replace("-", "_")
    for value in (0, 7, 1234, 1234567):
        assert texts.number(value) == format_decimal(value, locale=locale)
    assert texts.number(1234.5, 1) == format_decimal(1234.5, "#,##0.0", locale=locale)
    for share in (0.0, 0.42, 1.0):
        assert texts.percent(share) == format_percent(share, locale=locale)
    assert texts.significant(0.8) == format_decimal(0.8, locale=locale)


@pytest.mark.parametrize("code", CODES)
def test_dates_are_written_as_cldr_says(code: str) -> None:
    time = datetime(2026, 3, 9, 8, 5, tzinfo=UTC)
    locale = code.replace("-", "_")
    assert catalogue(code).date(time) == format_skeleton("yMMdd", time, locale=locale)
    assert catalogue(code).date_time(time).endswith(" 08:05 UTC")


def test_a_number_chooses_the_form() -> None:
    forms = ("%(n)s token.", "%(n)s tokens.")
    assert [catalogue("en").ngettext(*forms, n) for n in (0, 1, 2)] == [
        "0 tokens.", "1 token.", "2 tokens."
    ]  # fmt: skip
    assert [catalogue("fr").ngettext(*forms, n) for n in (0, 1, 2)] == [
        "0 token.", "1 token.", "2 tokens."
    ]  # fmt: skip
    assert catalogue("de").ngettext(*forms, 1200) == "1.200 Tokens."


def test_a_language_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        catalogue("tlh")
