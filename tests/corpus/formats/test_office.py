import pytest
from tests.corpus.formats.samples import docx, docx_paragraph, odt, zipped
from tests.errors import raises_code

from lorelm.errors import CorpusError


def test_a_word_file_gives_its_paragraphs_and_line_breaks(read) -> None:
    body = (
        docx_paragraph("A title", "Heading1")
        + "<w:p><w:r><w:t>One</w:t><w:br/><w:t>two,</w:t><w:tab/><w:t>three</w:t></w:r>"
        '<w:hyperlink><w:r><w:t xml:space="preserve"> and more</w:t></w:r></w:hyperlink></w:p>'
    )
    documents = read("a.docx", docx(body), document="paragraph")
    assert documents.texts == ["A title", "One\ntwo,    three and more"]


def test_deleted_and_hidden_parts_of_a_word_file_are_left_out(read) -> None:
    body = (
        "<w:p><w:ins><w:r><w:t>kept</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>"
        "<w:r><w:instrText>PAGE</w:instrText><w:t> too</w:t></w:r></w:p>"
        + docx_paragraph("Chapter 1 ... 7", "TOC1")
        + "<w:tbl><w:tr><w:tc>"
        + docx_paragraph("a cell")
        + "</w:tc></w:tr></w:tbl>"
    )
    assert read("a.docx", docx(body), document="line").texts == ["kept too", "a cell"]


def test_a_cue_stays_with_its_speech_by_its_style(read) -> None:
    body = "".join(
        docx_paragraph(name, "Character") + docx_paragraph(f"I say {n} more words.", "Dialogue")
        for n, name in enumerate(["ANNA", "BEN"] * 5)
    )
    documents = read("a.docx", docx(body))
    assert documents.kind == "script"
    assert documents.speakers == {"ANNA": 5, "BEN": 5}


def test_blank_paragraphs_that_were_typed_separate_stanzas(read) -> None:
    body = "".join(map(docx_paragraph, ["Roses are", "red", "", "Violets", "are not", ""] * 3))
    documents = read("a.docx", docx(body), document="paragraph")
    assert documents.texts == ["Roses are\nred", "Violets\nare not"] * 3


def test_an_opendocument_text(read) -> None:
    body = (
        "<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        "<text:h>A title</text:h>"
        "<text:p>One<text:line-break/>two<text:s text:c='2'/>three <text:span>and\n more"
        "</text:span><text:note><text:p>a note</text:p></text:note>.</text:p>"
    )
    documents = read("a.odt", odt(body), document="paragraph")
    assert documents.texts == ["A title", "One\ntwo  three and more."]


@pytest.mark.parametrize("name", ["a.docx", "a.txt", "a"])
def test_office_files_are_known_by_their_content(read, name: str) -> None:
    assert read(name, docx(docx_paragraph("A word")), document="line").texts == ["A word"]


def test_a_locked_opendocument_text_is_refused(read) -> None:
    manifest = "<manifest><file-entry><encryption-data/></file-entry></manifest>"
    content = odt("<text:p>?</text:p>", more={"META-INF/manifest.xml": manifest})
    with raises_code(CorpusError, "corpus.locked"):
        read("a.odt", content)


def test_a_word_file_of_before_2007_is_refused(read) -> None:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512
    with raises_code(CorpusError, "corpus.unknown_format"):
        read("a.doc", ole + "WordDocument".encode("utf-16-le"))
    with raises_code(CorpusError, "corpus.locked"):
        read("a.docx", ole + "EncryptedPackage".encode("utf-16-le"))


def test_damaged_word_files_are_refused_with_the_part(refusal, write) -> None:
    whole = docx(docx_paragraph("A word"))
    assert "is damaged" in refusal(write("a.docx", whole[:-30]))
    broken = zipped({"word/document.xml": "<w:document><w:p>"})
    assert "word/document.xml" in refusal(write("b.docx", broken))
