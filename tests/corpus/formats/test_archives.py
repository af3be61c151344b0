import contextlib
import io
import zipfile
import zlib
from pathlib import Path

import pytest
from tests.corpus.formats.samples import docx, docx_paragraph, epub, odt, zipped
from tests.corpus.formats.test_spreadsheets import xlsx
from tests.errors import raises_code

from lorelm.corpus.formats import archives, pdf_streams
from lorelm.corpus.readers import read_documents
from lorelm.errors import CorpusError, LoreLMError

LAUGHS = "<!DOCTYPE a [<!ENTITY l 'lol'><!ENTITY m '&l;&l;&l;&l;'>]>"


@pytest.mark.parametrize("name", ["a.zip", "a.docx", "a.xlsx", "a.epub"])
def test_a_zip_bomb_is_refused_before_it_is_unpacked(refusal, write, name: str) -> None:
    part = {"a.docx": "word/document.xml", "a.xlsx": "xl/workbook.xml"}.get(name, "a.txt")
    path = write(name, zipped({part: b"\0" * (64 << 20)}))
    assert "would unpack" in refusal(path)


def test_many_large_parts_are_refused(monkeypatch, read) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 1000)
    with raises_code(CorpusError, "corpus.zip_bomb"):
        read("a.zip", zipped({f"{n}.txt": bytes(range(256)) for n in range(4)}))


def test_a_part_longer_than_declared_is_refused(read) -> None:
    text = b"word " * 1000
    content = bytearray(zipped({"a.txt": text}))
    declared = len(text).to_bytes(4, "little")
    smaller = (10).to_bytes(4, "little")
    with raises_code(CorpusError, "corpus.damaged"):
        read("a.zip", bytes(content.replace(declared, smaller)))
    with raises_code(CorpusError, "corpus.damaged"):
        sheet = xlsx([["line"], ["a word"]])
        size = len(zipfile.ZipFile(io.BytesIO(sheet)).read("xl/workbook.xml"))
        read("a.xlsx", sheet.replace(size.to_bytes(4, "little"), smaller))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.docx", zipped({"word/document.xml": f"{LAUGHS}<w:document>&m;</w:document>"})),
        ("a.odt", zipped({"mimetype": "application/vnd.oasis.opendocument.text",
                          "content.xml": f"{LAUGHS}<a>&m;</a>"})),
        ("a.epub", epub({"a": "x"}, package=f"{LAUGHS}<package>&m;</package>")),
        ("a.fdx", f"{LAUGHS}<FinalDraft>&m;</FinalDraft>"),
        ("b.fdx", f"{LAUGHS}<FinalDraft>&m;</FinalDraft>".encode("utf-16")),
    ],
)  # fmt: skip
def test_xml_with_entities_is_refused(read, name: str, content: str | bytes) -> None:
    with raises_code(CorpusError, "corpus.xml_entities"):
        read(name, content)


def test_a_page_with_entities_is_not_expanded(read) -> None:
    page = f"{LAUGHS.replace(' a ', ' html ')}<html><body><p>one &m; two</p></body></html>"
    assert "lollol" not in read("a.html", page, document="line").texts[0]


def test_external_entities_are_not_read(read, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("password")
    text = f"<!DOCTYPE a SYSTEM 'file://{tmp_path}/secret'><FinalDraft><Content><Paragraph "
    text += "Type='Action'><Text>Rain falls</Text></Paragraph></Content></FinalDraft>"
    assert read("a.fdx", text).texts == ["[Rain falls]"]


def test_a_locked_archive_is_refused(read) -> None:
    content = bytearray(zipped({"a.txt": b"some words"}))
    central = content.rindex(b"PK\x01\x02")
    content[6] |= 1
    content[central + 8] |= 1
    with raises_code(CorpusError, "corpus.locked"):
        read("a.zip", bytes(content))


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_pdf_that_unpacks_to_gigabytes_is_refused(monkeypatch, read, levels: int) -> None:
    monkeypatch.setattr(pdf_streams, "HARMLESS_BYTES", 1 << 16)
    stream = zlib.compress(b"\0" * (8 << 20))
    for _ in range(levels - 1):
        stream = zlib.compress(stream)
    filters = b"/FlateDecode" * levels
    content = b"%PDF-1.4\n1 0 obj<</Filter[" + filters + b"]>>stream\n" + stream + b"\nendstream"
    with raises_code(CorpusError, "corpus.zip_bomb"):
        read("a.pdf", content)


@pytest.mark.parametrize("make", [docx, odt])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_archives_that_end_too_early_are_refused(refusal, write, make, share: float) -> None:
    content = make(docx_paragraph("word " * 50))
    assert "is damaged" in refusal(write("a.docx", content[: int(share * len(content))]))


def test_every_damaged_byte_is_refused_or_read(write) -> None:
    content = docx(docx_paragraph("A few words"))
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        with contextlib.suppress(LoreLMError):
            read_documents(write("a.docx", bytes(damaged)))
