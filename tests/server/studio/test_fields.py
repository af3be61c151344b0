import re

import pytest
from tests.server.studio.conftest import Studio
from tests.test_messages import FILES, messages

from lorelm.corpus.documents import ReadingOptions
from lorelm.parameters import parameters_of
from lorelm.server.studio.fields import in_fields

OPTIONS = parameters_of(ReadingOptions)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("with text_column (--text-column), one", "with “Text column”, one"),
        ("name the right encoding (--encoding).", "name the right “Encoding”."),
        ("read it right (--encoding)", "read it right (“Encoding”)"),
        ("cut it finer (document, --document)", "cut it finer (“Document”)"),
        ("--document text joins them", "“Document: text” joins them"),
        ("speaker_column (--speaker-column) '' leaves", "“Speaker column: none” leaves"),
        (
            "in encoding.txt the --encoding-x of a document",
            "in encoding.txt the --encoding-x of a document",
        ),
    ],
)
def test_flags_become_fields(message: str, expected: str) -> None:
    assert in_fields(message, OPTIONS.values()) == expected


def test_no_message_of_a_reader_keeps_the_flag_of_a_field() -> None:
    flags = "|".join(["--valid", "--test", *(f"--{each.option}" for each in OPTIONS.values())])
    found = [m for path in FILES for m in messages(path) if re.search(rf"({flags})\b", m)]
    assert found
    for message in found:
        assert not re.search(rf"({flags})\b", in_fields(message, OPTIONS.values()))


def test_no_reader_sees_the_language_of_the_one_before(studio: Studio) -> None:
    """Jinja computes a filter of a constant once, unless the filter says not to."""
    app = studio.client.application
    template = app.jinja_env.from_string("{{ 2500000 | size }}, {{ \"x ''\" | in_fields }}")
    texts = {"de": "2,5\u00a0MB, x „keine“", "en": "2.5 MB, x “none”"}
    for language in ("de", "en", "de"):
        with app.test_request_context(f"/?lang={language}"):
            assert template.render() == texts[language]
