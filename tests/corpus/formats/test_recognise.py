import sys

import pytest
from tests.corpus.formats.samples import docx, docx_paragraph, zipped
from tests.errors import raises_code

from lorelm.corpus.readers import read_documents
from lorelm.errors import CorpusError, MissingExtraError


@pytest.mark.parametrize(
    ("name", "content", "module", "library"),
    [
        ("a.docx", docx(docx_paragraph("one")), "xml", "lxml"),
        ("a.pdf", b"%PDF-1.7", "pdf", "pypdfium2"),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nHi\n", "subtitles", "pysubs2"),
        ("a.xlsx", zipped({"xl/workbook.xml": "<a/>"}), "spreadsheets", "python_calamine"),
    ],
)
def test_a_missing_library_is_named_by_its_extra(
    monkeypatch, write, name: str, content: str | bytes, module: str, library: str
) -> None:
    for loaded in [each for each in sys.modules if each.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, loaded)
    for loaded in [each for each in sys.modules if each.startswith("lorelm.corpus.formats.")]:
        if loaded.rpartition(".")[2] in (module, "office", "html", "epub"):
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, library, None)
    path = write(name, content)
    with pytest.raises(MissingExtraError) as caught:
        read_documents(path)
    assert "lorelm[formats]" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "beginning", "remedy"),
    [
        ("a.rtf", b"{\\rtf1 words}", "save it as DOCX or ODT"),
        ("a.png", b"\x89PNG\r\n", "have a program recognise its text"),
        ("a.gz", b"\x1f\x8b\x08", "unpack it"),
        ("a.mobi", b"\0" * 60 + b"BOOKMOBI", "save it as EPUB"),
        ("a.db", b"SQLite format 3\0", "save its texts as CSV"),
    ],
)
def test_files_of_other_programs_are_named(read, name: str, beginning: bytes, remedy: str) -> None:
    with raises_code(CorpusError, "corpus.unknown_format") as caught:
        read(name, beginning + b"\0" * 64)
    assert f"which is not read: {remedy}" in str(caught.value)


def test_a_wrong_ending_does_not_matter(read) -> None:
    documents = read("a.csv", "1\n00:00:01,000 --> 00:00:02,000\nHello there.\n")
    assert documents.texts == ["Hello there."]
