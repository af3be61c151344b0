import codecs

import pytest
from tests.errors import raises_code

from lorelm.errors import CorpusError

TEXT = "Zwölf Mühlen\nstanden leer\n“Wer wartet?”\n"


@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("cp1252", b""),
    ],
)
def test_the_encoding_is_found_and_said(read, name: str, encoding: str, mark: bytes) -> None:
    text = TEXT if name == "a.txt" else f"line\n{TEXT}"
    documents = read(name, mark + text.encode(encoding))
    assert documents.texts == TEXT.split("\n")[:3]
    said = any(f"{name} is read as {encoding[:6]}" in note for note in documents.notes)
    assert said == (encoding != "utf-8")


def test_an_encoding_that_is_named_decides(read) -> None:
    documents = read("a.txt", "Двенадцать мельниц\n".encode("koi8-r"), encoding="koi8-r")
    assert documents.texts == ["Двенадцать мельниц"]
    assert not any("is read as koi8" in note for note in documents.notes)


def test_utf_8_with_a_wrong_byte_is_not_taken_for_another_encoding(refusal, write) -> None:
    path = write("a.txt", TEXT.encode() + b"and\xff\n")
    assert "see line 4" in refusal(path)


def test_text_of_no_known_encoding_is_refused(read) -> None:
    with raises_code(CorpusError, "corpus.encoding"):
        read("a.txt", b"some text \x81\x8d here")
