import pytest
from tests.corpus.formats.samples import TABLE

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.sources import read_sources


def table(separator: str, quote: str = '"') -> str:
    return "".join(
        separator.join(f"{quote}{cell}{quote}" if quote else cell for cell in row) + "\n"
        for row in TABLE
    )


def turns_of(path) -> list[str]:
    content = read_sources([str(path)], ReadingOptions())
    return [str(turn) for work in content.works for scene in work for turn in scene]


SPOKEN = [f"{name}: {line}" for name, line in TABLE[1:]]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_the_separator_is_found(write, separator: str, name: str) -> None:
    path = write(name, table(separator))
    assert turns_of(path) == SPOKEN
    notes = " ".join(read_sources([str(path)], ReadingOptions()).notes)
    is_usual = separator == ("\t" if name == "a.tsv" else ",")
    assert ("are separated by" in notes) != is_usual


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_commas_of_the_text_are_no_separators(write, separator: str) -> None:
    assert turns_of(write("a.csv", table(separator, quote=""))) == SPOKEN


def test_single_quotes_are_found(write) -> None:
    assert turns_of(write("a.csv", table(",", quote="'"))) == SPOKEN


def test_quotes_behind_a_backslash_are_read(read) -> None:
    text = 'n,line\n1,"He said \\"no\\", twice."\n2,"And \\"yes\\", once."\n'
    documents = read("a.csv", text, text_column="line")
    assert documents.texts == ['He said "no", twice.', 'And "yes", once.']


def test_a_table_without_header_is_read_and_said(read) -> None:
    rows = "".join(f"{n},This is the line number {n}.\n" for n in range(3))
    documents = read("a.csv", rows)
    assert documents.texts == [f"This is the line number {n}." for n in range(3)]
    assert any("reads like text and not like names of columns" in note for note in documents.notes)


def test_a_column_that_is_named_makes_a_header(read) -> None:
    documents = read(
        "a.csv", "n,What did they say?\n1,one\n2,two\n", text_column="What did they say?"
    )
    assert documents.texts == ["one", "two"]


def test_one_column_of_prose_with_semicolons(read) -> None:
    documents = read("a.csv", 'line\n"one; two; three"\n"four"\n')
    assert documents.texts == ["one; two; three", "four"]
