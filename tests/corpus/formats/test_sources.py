import io
import sys
from pathlib import Path

import pytest
from tests.corpus.formats.samples import docx, docx_paragraph, zipped
from tests.errors import raises_code
from tests.systems import IS_ROOT, IS_WINDOWS

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.sources import is_there, read_sources
from lorelm.corpus.readers import read_corpus, read_documents
from lorelm.errors import CorpusError

LINE = ReadingOptions(document="line")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "books"
    (folder / "more").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "chapter 10.txt").write_text("the tenth")
    (folder / "chapter 2.md").write_text("the second")
    (folder / "more" / "last.docx").write_bytes(docx(docx_paragraph("the last")))
    (folder / "picture.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "empty.txt").touch()
    (folder / ".hidden.txt").write_text("hidden")
    (folder / ".git" / "config.txt").write_text("hidden")
    return folder


def test_a_folder_is_read_in_the_order_of_its_numbers(folder: Path) -> None:
    documents = read_documents(folder, LINE)
    assert documents.texts == ["the second", "the tenth", "the last"]
    assert documents.source == "books"
    assert documents.notes[:3] == [
        "3 files are read.",
        "Files with other endings are left out: 1 (.jpg).",
        "Empty files are left out: 1.",
    ]


def test_each_file_is_a_work(folder: Path) -> None:
    assert len(read_sources([str(folder)], ReadingOptions()).works) == 3


def test_several_paths_and_patterns(folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    documents = read_documents(["chapter 10.txt", "chap*2.md"], LINE)
    assert documents.texts == ["the tenth", "the second"]
    assert documents.source == "chapter 10.txt and 1 more"
    assert read_documents("**/*.docx", LINE).texts == ["the last"]
    assert read_corpus([Path("chapter 10.txt")], LINE).texts == ["the tenth"]


def test_a_file_whose_name_is_a_pattern_is_read(tmp_path: Path) -> None:
    (tmp_path / "[play].txt").write_text("one word")
    assert read_documents(tmp_path / "[play].txt").texts == ["one word"]


def test_the_files_are_found_again_by_what_is_remembered(folder: Path) -> None:
    documents = read_documents([folder, folder / "chapter 10.txt"], LINE)
    assert documents.file is not None
    again = read_documents(documents.file.paths, documents.file.options)
    assert again.fingerprint == documents.fingerprint
    assert is_there(folder)
    assert is_there(folder / "*.txt")
    assert not is_there(folder / "*.csv")


def test_a_zip_archive_is_read_as_a_folder(read) -> None:
    content = zipped(
        {
            "a/10.txt": "the tenth",
            "a/2.docx": docx(docx_paragraph("the second")),
            "__MACOSX/a/._2.txt": "hidden",
            "a/photo.jpg": b"x",
            "inner.zip": zipped({"a.txt": "inner"}),
        }
    )
    documents = read("a.zip", content, document="line")
    assert documents.texts == ["the second", "the tenth"]
    assert documents.source == "a.zip"
    assert "Files with other endings are left out: 2 (.jpg, .zip)." in documents.notes


def test_an_error_names_the_file_in_the_archive(refusal, write) -> None:
    path = write("a.zip", zipped({"good.txt": "one", "sub/bad.json": "[1,"}))
    assert "a.zip/sub/bad.json is damaged in line 1" in refusal(path)


@pytest.mark.parametrize("content", [zipped({}), zipped({"a.jpg": b"x"})])
def test_an_archive_without_text_is_refused(read, content: bytes) -> None:
    with raises_code(CorpusError, "corpus.no_files"):
        read("a.zip", content)


def test_standard_input_is_read_and_cannot_be_read_again(monkeypatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(docx(docx_paragraph("some words"))), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stream)
    documents = read_documents("-", LINE)
    assert documents.texts == ["some words"]
    assert documents.source == "standard input"
    assert documents.file is None


def test_empty_standard_input_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    with raises_code(CorpusError, "corpus.empty"):
        read_documents("-")


def test_files_of_several_kinds_are_said(folder: Path) -> None:
    (folder / "a.json").write_text('[{"role": "user", "content": "Hello"}]')
    notes = " ".join(read_documents(folder).notes)
    assert "Not all files are of one kind" in notes


@pytest.mark.skipif(IS_ROOT or IS_WINDOWS, reason="root, and anyone on Windows, may read it")
def test_a_folder_that_may_not_be_read_is_refused(folder: Path) -> None:
    folder.chmod(0)
    with raises_code(CorpusError, "corpus.unreadable"):
        read_documents(folder)
    folder.chmod(0o700)
