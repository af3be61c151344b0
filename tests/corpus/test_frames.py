"""Data frames as corpora: polars, pandas, and what only speaks a protocol."""

from typing import Any

import polars as pl
import pytest

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.readers import read_frame
from lorelm.errors import CorpusError

COLUMNS = {
    "who": ["FRODO", "SAM", None, "SAM"],
    "line": ["I will take it", "  ", "Speak, friend, and enter", "Don't you leave him, Sam"],
    "scene": [1, 1, 2, 3],
}
TEXTS = [COLUMNS["line"][i] for i in (0, 2, 3)]


class ArrowOnly:
    def __init__(self, frame: pl.DataFrame) -> None:
        self.__arrow_c_stream__ = frame.__arrow_c_stream__


class InterchangeOnly:
    def __init__(self, frame: Any) -> None:
        self.__dataframe__ = frame.__dataframe__


def pandas_frame(columns: dict[str, list[Any]], **options: Any) -> Any:
    return pytest.importorskip("pandas").DataFrame(columns, **options)


def arrow_table(columns: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("pyarrow").table(columns)


FRAMES = {
    "polars": pl.DataFrame,
    "lazy": pl.LazyFrame,
    "arrow stream": lambda columns: ArrowOnly(pl.DataFrame(columns)),
    "interchange": lambda columns: InterchangeOnly(arrow_table(columns)),
    "pandas": pandas_frame,
    "pandas, objects": lambda columns: pandas_frame(columns, dtype=object),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_the_column_of_prose_is_the_text(kind: str) -> None:
    documents = read_frame(FRAMES[kind](COLUMNS), ReadingOptions(speaker_column=""))
    assert documents.texts == TEXTS
    assert documents.source == "the data frame"
    assert documents.file is None
    assert ["'line'" in note for note in documents.notes] == [True, False]
    assert "1 of 4 documents" in documents.notes[1]


@pytest.mark.parametrize("kind", FRAMES)
def test_a_named_speaker_column_starts_each_text(kind: str) -> None:
    options = ReadingOptions(text_column="line", speaker_column="who", document="line")
    documents = read_frame(FRAMES[kind](COLUMNS), options, source="the films")
    assert documents.texts == [f"FRODO: {TEXTS[0]}", TEXTS[1], f"SAM: {TEXTS[2]}"]
    assert documents.source == "the films"


def test_a_single_column_is_the_text() -> None:
    assert read_frame(pl.Series("line", TEXTS)).texts == TEXTS
    pandas = pytest.importorskip("pandas")
    assert read_frame(pandas.Series(TEXTS)).texts == TEXTS


def test_a_mixed_column_of_pandas_is_read_as_text() -> None:
    assert read_frame(pandas_frame({"line": ["ring", 9, None]})).texts == ["ring", "9"]


@pytest.mark.parametrize(
    ("frame", "options", "code"),
    [
        (["a text"], {}, "corpus.not_a_frame"),
        (pl.DataFrame({"line": []}), {}, "corpus.empty"),
        (pl.DataFrame({"line": [" "]}), {}, "corpus.no_words"),
        (pl.DataFrame(COLUMNS), {"text_column": "dialog"}, "corpus.no_such_column"),
        (pl.DataFrame({"a": [1], "b": [2]}), {}, "corpus.ambiguous_column"),
        (pl.DataFrame({"a": [[1]]}), {}, "corpus.not_text"),
        (pl.DataFrame({"a": ["x\0"]}), {}, "corpus.nul"),
    ],
)
def test_what_is_no_corpus_is_refused(frame: Any, options: dict[str, str], code: str) -> None:
    with pytest.raises(CorpusError) as caught:
        read_frame(frame, ReadingOptions(**options))
    assert caught.value.code == code
    assert "--" not in str(caught.value), "flags of the command line mean nothing in Python"
