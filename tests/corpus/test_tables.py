from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import polars as pl
import pytest

from lorelm.corpus.documents import Documents, ReadingOptions
from lorelm.corpus.readers import read_documents
from lorelm.errors import CorpusError


def read(path: Path, **options) -> Documents:
    return read_documents(path, ReadingOptions(**options))


def texts_of(path: Path, column: str = "line") -> list[str]:
    return list(read(path, text_column=column).texts)


def test_the_only_column_of_prose_is_guessed_and_noted(write):
    path = write("a.csv", "id,who,line\n1,SAM,I made a promise\n2,SAM,Don't you leave him\n")
    documents = read(path, speaker_column="")
    assert documents.texts == ["I made a promise", "Don't you leave him"]
    assert ["'line'" in note for note in documents.notes] == [True]


def test_a_column_of_long_repeated_titles_is_no_prose(write):
    rows = "".join(f"The Return of the King,word{i} is a line\n" for i in range(20))
    assert read(write("a.csv", f"film,line\n{rows}")).texts[0] == "word0 is a line"


def test_the_only_column_is_taken_whatever_it_holds(write):
    assert read(write("a.csv", "word\nring\nelf\n")).texts == ["ring", "elf"]


def test_the_dialogue_of_the_films_is_guessed(corpus_file):
    documents = read(corpus_file("lotr_scripts.csv"), speaker_column="")
    assert documents.texts[0].startswith("Oh Smeagol Ive got one!")
    assert 2380 <= len(documents) <= 2390
    assert any("'dialog'" in note for note in documents.notes)
    assert any(note.startswith(f"{2390 - len(documents)} of 2,390") for note in documents.notes)


def test_the_films_are_scenes_whose_speakers_are_guessed(corpus_file):
    documents = read(corpus_file("lotr_scripts.csv"))
    assert any("'char'" in note for note in documents.notes)
    assert documents.unit == "scene"
    assert documents.texts[0].split("\n")[1].startswith("SMEAGOL: Pull it in!")
    assert [*documents.speakers][:3] == ["FRODO", "SAM", "GANDALF"]
    assert 150 <= len(documents) <= 200
    # Each film is split by position.
    assert [part for part, _ in groupby(documents.parts)] == [0, 1, 2] * 3


def test_a_speaker_stands_before_each_text(write):
    path = write("a.csv", "who,line\nFRODO ,  I will take it \n,Alone\nSAM,\n A  B,Yes\n")
    documents = read(path, text_column="line", speaker_column="who", document="line")
    assert documents.texts == ["FRODO: I will take it", "Alone", "A B: Yes"]
    assert documents.speakers == {"FRODO": 1, "A B": 1}
    assert documents.notes == ["1 of 4 documents hold no word and are left out."]


def test_a_quoted_cell_may_hold_line_breaks_quotes_and_commas(write):
    path = write("a.csv", 'line,n\n"one,\ntwo ""three""",1\nfour,2\n')
    assert texts_of(path) == ['one,\ntwo "three"', "four"]


def test_rows_may_end_in_crlf(write):
    assert texts_of(write("a.csv", "line,n\r\none,1\r\ntwo,2\r\n")) == ["one", "two"]
    assert texts_of(write("a.jsonl", '{"line":"one"}\r\n\r\n{"line":"two"}\r\n')) == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "line,n\none,1\n"),
        ("a.tsv", "line\tn\none\t1\n"),
        ("a.jsonl", '{"line": "one"}\n'),
    ],
)
def test_a_byte_order_mark_is_no_part_of_the_first_column(write, name, content):
    assert texts_of(write(name, "\ufeff" + content)) == ["one"]


@pytest.mark.parametrize("cells", [["007", "010"], ["1.50", "2.00"], ["TRUE", "FALSE"]])
def test_cells_stay_as_they_are_written(write, cells):
    rows = "".join(f"{cell},1\n" for cell in cells)
    assert texts_of(write("a.csv", f"line,n\n{rows}")) == cells


def test_missing_cells_are_blank_documents(write):
    csv = read(write("a.csv", "n,line\n1,one\n2\n3,\n"), text_column="line")
    jsonl = read(write("a.jsonl", '{"line":"one"}\n{"n":2}\n{"line":null}\n'), text_column="line")
    for documents in (csv, jsonl):
        assert documents.texts == ["one"]
        assert documents.notes == ["2 of 3 documents hold no word and are left out."]


def test_a_field_that_first_comes_late_is_read(write):
    rows = '{"n": 1}\n' * 2000 + '{"n": 2, "line": "late"}\n'
    assert texts_of(write("a.jsonl", rows)) == ["late"]


@pytest.mark.parametrize("option", ["text_column", "speaker_column"])
def test_a_missing_column_is_refused_with_those_there_are(refusal, write, option):
    options = {"text_column": "line", option: "dialogue"}
    message = refusal(write("a.csv", "who,line\nSAM,one\n"), **options)
    assert "no column 'dialogue'" in message
    assert f"{option} (--{option.replace('_', '-')}) from 'who', 'line'" in message


def test_several_columns_of_prose_are_refused_with_their_names(refusal, write):
    path = write("a.csv", "n,en,de\n1,one ring of power,ein Ring der Macht\n")
    message = refusal(path)
    assert "several columns are prose ('en', 'de')" in message
    assert "text_column (--text-column), one of 'n', 'en', 'de'" in message


def test_a_table_without_prose_is_refused_with_its_columns(refusal, write):
    message = refusal(write("a.csv", "n,who\n1,SAM\n2,FRODO\n"))
    assert "no column is prose" in message
    assert "text_column (--text-column), one of 'n', 'who'" in message


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", "line,n\n"), ("a.csv", "line,n"), ("a.tsv", "line\tn\n")]
)
def test_a_header_without_rows_is_refused(refusal, write, name, content):
    assert "has a header but no rows" in refusal(write(name, content))


def test_a_parquet_file_without_rows_is_refused(refusal, tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"line": []}, schema={"line": pl.String}).write_parquet(path)
    assert "no rows" in refusal(path)


def test_rows_without_a_word_are_refused(refusal, write):
    path = write("a.csv", "line,n\n,1\n  ,2\n...,3\n")
    assert "no document with a word" in refusal(path, text_column="line")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "\n\n\n"),
        ("a.csv", 'line,n\none,1\n"never closed,2\nthree,3\n'),
        ("a.csv", "line,n\none,1\ntwo,2,surplus\n"),
        ("a.tsv", 'line\tn\n"never closed\t1\ntwo\t2\n'),
        ("a.jsonl", '{"line": "one"}\nnot json\n'),
        ("a.jsonl", '{"line": "one"\n'),
        ("a.jsonl", '{"line": "one"} {"line": "two"}\n'),
        ("a.jsonl", '["one", "two"]\n'),
        ("a.jsonl", '"one"\n'),
        ("a.jsonl", '[{"line": "one"}]'),
        ("a.jsonl", '{\n"line": "one"\n}\n'),
        ("a.jsonl", "\n\n"),
        ("a.parquet", b"PAR1"),
        ("a.parquet", b"PAR1 and then no more than this PAR1"),
    ],
)
def test_a_malformed_table_is_refused(refusal, write, name, content):
    assert "cannot be read as a table" in refusal(write(name, content), text_column="line")


@pytest.mark.parametrize("line", ["not json", '{"line": "one', '["one"]', '{"a": 1} {"a": 2}'])
def test_the_first_bad_line_of_a_jsonl_file_is_named(refusal, write, line):
    content = f'{{"line": "one"}}\n\n{line}\nnot json\n'
    message = refusal(write("a.jsonl", content), text_column="line")
    assert f"line 3 is no JSON object, and each line must be one: {line!r}" in message


def test_a_parquet_file_cut_short_is_refused(refusal, tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"line": ["one", "two"]}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-8])
    assert "cannot be read as a table" in refusal(path)


def test_what_only_claims_to_be_parquet_is_refused(refusal, write):
    assert "no Parquet file" in refusal(write("a.parquet", "line\none\n"))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.jsonl", lambda path: path.write_text('{"line": "fine"}\n{"line": "no\\u0000"}\n')),
        ("a.parquet", lambda path: pl.DataFrame({"line": ["fine", "no\0"]}).write_parquet(path)),
    ],
)
def test_a_nul_character_in_a_cell_is_refused_with_its_row(
    refusal, tmp_path, name, make: Callable[[Path], object]
):
    path = tmp_path / name
    make(path)
    message = refusal(path, text_column="line")
    assert "column 'line'" in message
    assert "NUL character in row 2" in message


@pytest.mark.parametrize("content", ['{"line": {"text": "one"}}', '{"line": ["one"]}'])
def test_a_column_of_records_or_lists_is_refused(refusal, write, content):
    message = refusal(write("a.jsonl", content), text_column="line")
    assert "column 'line'" in message
    assert "holds no text" in message


def test_a_column_of_bytes_is_refused(refusal, tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"line": [b"one"], "n": [1]}).write_parquet(path)
    assert "holds no text" in refusal(path, text_column="line")


def test_a_column_of_durations_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pl.select(line=pl.duration(days=1), n=1).write_parquet(path)
    with pytest.raises(CorpusError):
        read(path, text_column="line")
