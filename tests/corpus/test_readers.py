import codecs
import csv
import json
from pathlib import Path

import polars as pl
import pytest
from tests.errors import raises_code

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.readers import read_documents
from lorelm.errors import CorpusError

TEXTS = ['He said "no," twice.', "Three Rings\tfor the Elves", "“Naïve”, 'tis – नमस्ते 🧙"]


def read(path: Path, **options):
    return read_documents(path, ReadingOptions(**options))


def write_csv(path: Path, separator: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(["number", "line"])
        writer.writerows(enumerate(TEXTS))


def write_in_format(path: Path) -> Path:
    if path.suffix in (".csv", ".tsv"):
        write_csv(path, "," if path.suffix == ".csv" else "\t")
    elif path.suffix in (".jsonl", ".ndjson"):
        rows = [json.dumps({"number": i, "line": text}) for i, text in enumerate(TEXTS)]
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    elif path.suffix == ".parquet":
        pl.DataFrame({"number": range(3), "line": TEXTS}).write_parquet(path)
    else:
        path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "ndjson", "parquet", "txt", "CSV", "md"])
def test_every_format_gives_the_same_texts(tmp_path, suffix):
    path = tmp_path / f"corpus.{suffix.lower()}"
    path = write_in_format(path).rename(tmp_path / f"corpus.{suffix}")
    is_text = suffix in ("txt", "md")
    documents = read(path, text_column=None if is_text else "line", document="line")
    assert documents.texts == TEXTS
    assert documents.source == path.name
    assert documents.notes == []
    assert documents.speakers == {}
    assert documents.parts == ()


def test_parquet_is_known_by_its_content(tmp_path):
    path = write_in_format(tmp_path / "corpus.parquet").rename(tmp_path / "corpus.bin")
    assert read(path, text_column="line").texts == TEXTS


@pytest.mark.parametrize(
    ("unit", "texts"),
    [
        ("line", ["First line", "second line  ", "Other paragraph"]),
        ("paragraph", ["First line\nsecond line", "Other paragraph"]),
    ],
)
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_a_document_is_a_line_or_a_paragraph(write, unit, texts, line_break):
    text = "First line\nsecond line  \n\n \n\nOther paragraph\n"
    path = write("corpus.txt", text.replace("\n", line_break))
    assert read(path, document=unit).texts == texts


def test_a_text_is_cut_into_passages_as_a_whole_file_was_in_bundles_of_before(write):
    path = write("corpus.txt", "First line\nsecond line\n\nOther paragraph\n\n" * 8)
    documents = read(path, document="text")
    lines = "\n".join(documents.texts).split("\n")
    assert lines == ["First line", "second line", "Other paragraph"] * 8
    assert set(documents.parts) == {0, 1, 2}
    assert read(path, document="file").texts == documents.texts


def test_a_line_of_white_space_ends_a_paragraph(write):
    documents = read(write("corpus.txt", "one\n \t\ntwo\n"), document="paragraph")
    assert documents.texts == ["one", "two"]
    assert documents.notes == []


def test_a_file_without_a_last_line_break_keeps_its_last_line(write):
    documents = read(write("corpus.txt", "one\ntwo"))
    assert documents.texts == ["one", "two"]
    assert documents.notes == []


def test_documents_without_a_word_are_left_out_and_counted(write):
    documents = read(write("corpus.txt", "one\n\n -- \ntwo\n...\n"), document="line")
    assert documents.texts == ["one", "two"]
    assert documents.notes == ["3 of 5 documents hold no word and are left out."]


def test_other_line_separators_do_not_cut_a_line(write):
    text = "one\u2028two\x0bthree\x85four"
    assert read(write("corpus.txt", text)).texts == [text]


def test_a_byte_order_mark_is_no_part_of_the_text(write):
    assert read(write("corpus.txt", codecs.BOM_UTF8 + b"one\ntwo")).texts == ["one", "two"]


@pytest.mark.parametrize("encoding", ["UTF-8", "utf8", "utf_8"])
def test_a_byte_order_mark_goes_whatever_utf_8_is_called(write, encoding):
    path = write("corpus.txt", codecs.BOM_UTF8 + b"one\ntwo")
    assert read(path, encoding=encoding).texts == ["one", "two"]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("name", ["corpus.txt", "corpus.csv"])
def test_text_is_read_in_the_encoding_that_is_named(write, name, encoding):
    path = write(name, "line\nnaïve café\ndéjà vu".encode(encoding))
    assert read(path, encoding=encoding).texts[-2:] == ["naïve café", "déjà vu"]


def test_a_path_may_be_a_string(write):
    assert read_documents(str(write("corpus.txt", "one"))).texts == ["one"]


def test_a_file_called_shakespeare_comes_before_the_corpus_of_that_name(write, monkeypatch):
    path = write("shakespeare", "my own text")
    monkeypatch.chdir(path.parent)
    assert read_documents("shakespeare").texts == ["my own text"]


def test_a_missing_file_is_refused(refusal, tmp_path):
    assert "there is no file" in refusal(tmp_path / "absent.csv")


def test_a_folder_without_text_is_refused(refusal, tmp_path):
    assert "holds no file with text" in refusal(tmp_path)


def test_a_path_that_the_system_refuses_is_refused(tmp_path):
    with pytest.raises(CorpusError):
        read_documents(tmp_path / ("x" * 5000))


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_an_empty_file_is_refused(refusal, write, name):
    assert "is empty" in refusal(write(name, b""))


@pytest.mark.parametrize("text", ["\n\n \n\t\n", " ", "\r\n\r\n", "--\n...\n"])
@pytest.mark.parametrize("unit", ["line", "paragraph", "file"])
def test_a_text_without_a_word_is_refused(refusal, write, text, unit):
    assert "no document with a word" in refusal(write("a.txt", text), document=unit)


def test_an_empty_utf_8_file_with_a_byte_order_mark_is_refused(refusal, write):
    assert "no document with a word" in refusal(write("a.txt", codecs.BOM_UTF8))


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.jsonl"])
def test_a_wrong_encoding_is_refused_with_its_line(refusal, write, name):
    path = write(name, "line\nfine\ncafé\n".encode("latin-1"))
    message = refusal(path, encoding="utf-8")
    assert "is not utf-8 text (see line 3)" in message
    assert "name its encoding (--encoding), for example cp1252" in message


def test_the_line_of_a_wrong_byte_is_right_after_a_byte_order_mark(refusal, write):
    assert "see line 2" in refusal(write("a.txt", codecs.BOM_UTF8 + b"a\n\xff"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_utf_16_is_named_as_such(refusal, write, name, encoding):
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    path = write(name, mark + "line\nhello".encode(encoding))
    assert "with the encoding utf-16 (--encoding)" in refusal(path, encoding="utf-8")


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.jsonl"])
def test_a_nul_character_is_refused_with_its_line(refusal, write, name):
    assert "NUL character in line 3" in refusal(write(name, "line\nfine\nda\0maged\n"))


@pytest.mark.parametrize(
    "encoding",
    [
        "hex",
        "no-such-encoding",
        "undefined",
    ],
)
def test_an_unknown_encoding_is_refused_by_name(write, encoding):
    with raises_code(CorpusError, "corpus.unknown_encoding"):
        read(write("a.txt", "hello"), encoding=encoding)


@pytest.mark.parametrize("option", ["text_column", "speaker_column"])
def test_a_column_of_plain_text_is_refused(refusal, write, option):
    message = refusal(write("a.txt", "hello"), **{option: "line"})
    assert f"leave out {option} (--{option.replace('_', '-')})" in message
    assert ".csv" in message
