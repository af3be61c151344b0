"""Tables to documents: CSV, TSV, JSONL and Parquet files, and data frames, read by Polars."""

import contextlib
import importlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lorelm.corpus.documents import Documents, ReadingOptions
from lorelm.corpus.text_files import decode, has_word
from lorelm.errors import CorpusError, MissingExtraError

try:
    import polars as pl
except ImportError as error:
    raise MissingExtraError(
        "reading a table (CSV, TSV, JSONL, Parquet, data frame)", "train"
    ) from error

_PARQUET = b"PAR1"
_HEADER_WORDS = 5

# A column is prose when its cells are mostly different and hold several words: names, titles and
# numbers are not. On lotr_scripts.csv the dialogue has 11 words a cell, the next column 4.
_PROSE_WORDS_PER_CELL = 3.0
_PROSE_DISTINCT_SHARE = 0.2


def read_table(path: Path, content: bytes, options: ReadingOptions) -> Documents:
    """Read one text a row. See :func:`lorelm.corpus.readers.read_documents` for the errors."""
    frame = _parse(path, content, options.encoding)
    if frame.is_empty():
        raise CorpusError(
            f"{path} has a header but no rows: a corpus needs text in it", code="corpus.empty"
        )
    table = _Table(str(path), frame, "{0}_column (--{0}-column)")
    return replace(table.documents(options), source=path.name)


def frame_documents(frame: Any, options: ReadingOptions, *, source: str) -> Documents:
    """Read one text a row. See :func:`lorelm.corpus.readers.read_frame` for the errors."""
    with _parse_errors(source, "give a polars or pandas frame"):
        columns = _to_polars(frame)
    if columns is None:
        raise CorpusError(
            f"{source} is a {type(frame).__name__}, which is no data frame: give a polars or "
            "pandas frame, or an object with __arrow_c_stream__ or __dataframe__",
            code="corpus.not_a_frame",
        )
    if columns.is_empty():
        raise CorpusError(f"{source} has no rows: a corpus needs text in it", code="corpus.empty")
    return _Table(source, columns, "{}_column").documents(options)


def _to_polars(frame: Any) -> pl.DataFrame | None:
    """The same frame, or the same column as a frame; None if it is something else."""
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if hasattr(frame, "to_frame"):  # a column of polars or pandas
        frame = frame.to_frame()
    if isinstance(frame, pl.DataFrame):
        return frame
    if type(frame).__module__.split(".")[0] == "pandas":
        # By Python's values: a user of pandas need not have pyarrow, and a column may be mixed.
        values = frame.astype(object).where(frame.notna(), None).to_dict("list")
        return pl.DataFrame({str(name): pl.Series(v, strict=False) for name, v in values.items()})
    if hasattr(frame, "__arrow_c_stream__"):
        return pl.DataFrame(frame)
    return _interchanged(frame) if hasattr(frame, "__dataframe__") else None


def _interchanged(frame: Any) -> pl.DataFrame:
    """Read a frame that knows the interchange protocol alone, which Polars 2 no longer reads."""
    try:
        interchange: Any = importlib.import_module("pyarrow.interchange")
    except ImportError as error:
        raise CorpusError(
            f"a {type(frame).__name__} without __arrow_c_stream__ is read by pyarrow: pip install "
            "pyarrow, or give a polars or pandas frame",
            code="corpus.no_pyarrow",
        ) from error
    return pl.DataFrame(interchange.from_dataframe(frame))


def _parse(path: Path, content: bytes, encoding: str) -> pl.DataFrame:
    suffix = path.suffix.lower()
    if content.startswith(_PARQUET) or suffix == ".parquet":
        with _parse_errors(path, "it is damaged or no Parquet file; write it again"):
            return pl.read_parquet(io.BytesIO(content))
    text = decode(path, content, encoding)
    if suffix in (".jsonl", ".ndjson"):
        with _parse_errors(path, "each line must be a JSON object"):
            return pl.read_ndjson(io.StringIO(text), infer_schema_length=None)
    if "\n" not in text:
        text = text.replace("\r", "\n")  # the line ends of old Macs, which Polars does not know
    advice = "check its quotes and separators, or read its lines as text (ending .txt)"
    separator = "\t" if suffix == ".tsv" else ","
    with _parse_errors(path, advice):
        return pl.read_csv(io.StringIO(text), separator=separator, infer_schema=False)


@contextlib.contextmanager
def _parse_errors(source: str | Path, advice: str) -> Iterator[None]:
    """Raise one line for any error of Polars, panics of its Rust code included."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = (str(error).strip() or "it is damaged").splitlines()[0].rstrip(".")
        raise CorpusError(
            f"{source} cannot be read as a table ({reason}): {advice}", code="corpus.damaged_table"
        ) from error


@dataclass(frozen=True)
class _Table:
    """A table, its name for messages, and what they call an option ("{}_column")."""

    name: str
    frame: pl.DataFrame
    option: str

    def documents(self, options: ReadingOptions) -> Documents:
        notes = []
        text_column = options.text_column
        if text_column is None:
            text_column = self._guess_text_column()
            why = "the only one" if self.frame.width == 1 else "the only one that is prose"
            notes.append(f"Taking the text from column {text_column!r}, {why}.")
            if len(text_column.split()) > _HEADER_WORDS:
                notes.append("The first row is taken for the names of the columns: is it one?")
        texts = self._column(text_column, self.option.format("text"))
        speakers: list[str] = []
        if options.speaker_column is not None:
            names = self._column(options.speaker_column, self.option.format("speaker"))
            speakers = [" ".join(name.split()) for name in names]
            texts = [
                f"{speaker}: {text.strip()}" if speaker and has_word(text) else text
                for speaker, text in zip(speakers, texts, strict=True)
            ]
        return Documents(texts=texts, source=self.name, speakers=speakers, notes=notes)

    def _column(self, name: str, option: str) -> list[str]:
        if name not in self.frame.columns:
            raise CorpusError(
                f"{self.name} has no column {name!r}: choose {option} from "
                f"{_listed(self.frame.columns)}",
                code="corpus.no_such_column",
            )
        series = self.frame.get_column(name)
        try:
            if series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object):
                raise pl.exceptions.InvalidOperationError("bytes and lists are no text")
            texts: list[str] = series.cast(pl.String).fill_null("").to_list()
        except pl.exceptions.PolarsError as error:
            raise CorpusError(
                f"column {name!r} of {self.name} holds no text: choose another {option}",
                code="corpus.not_text",
            ) from error
        row = next((row for row, text in enumerate(texts, start=1) if "\0" in text), None)
        if row is not None:
            raise CorpusError(
                f"column {name!r} of {self.name} holds a NUL character in row {row}: it is damaged "
                "or not text; remove the character and try again",
                code="corpus.nul",
            )
        return texts

    def _guess_text_column(self) -> str:
        columns = self.frame.columns
        if len(columns) == 1:
            return columns[0]
        prose = [name for name in columns if _is_prose(self.frame.get_column(name))]
        if len(prose) != 1:
            several = f"several columns are prose ({_listed(prose)})"
            raise CorpusError(
                f"in {self.name} {several if prose else 'no column is prose'}: name the one to "
                f"read with {self.option.format('text')}, one of {_listed(columns)}",
                code="corpus.ambiguous_column",
            )
        return prose[0]


def _is_prose(series: pl.Series) -> bool:
    if series.dtype != pl.String:
        return False
    cells = series.drop_nulls().str.strip_chars()
    cells = cells.filter(cells != "")
    if cells.is_empty():
        return False
    words_per_cell = cells.str.count_matches(r"\S*\p{L}\S*").mean()
    return (
        isinstance(words_per_cell, float)
        and words_per_cell >= _PROSE_WORDS_PER_CELL
        and cells.n_unique() >= _PROSE_DISTINCT_SHARE * len(cells)
    )


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)
