"""Tables to documents: CSV, TSV, JSONL and Parquet files, and data frames, read by Polars."""

import contextlib
import importlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.structure import Content, Turn, cue_name
from lorelm.errors import CorpusError, MissingExtraError

try:
    import polars as pl
except ImportError as error:
    raise MissingExtraError(
        "reading a table (CSV, TSV, JSONL, Parquet, data frame)", "train"
    ) from error


# A column is prose when its cells are mostly different and hold several words: names, titles and
# numbers are not. On lotr_scripts.csv the dialogue has 11 words a cell, the next column 4.
_PROSE_WORDS_PER_CELL = 3.0
_PROSE_DISTINCT_SHARE = 0.2

# In lotr_scripts.csv the column of the characters changes on 86 % of the rows, and a name has 4.
_SPEAKER_COLUMNS = {
    *("speaker", "speakers", "char", "character", "name", "who", "author", "from", "sender"),
    *("user", "username", "role", "player", "person", "actor", "nick"),
}
_MIN_TURNS = 6
_NAME_CHARACTERS = 40
_NAMED_SHARE = 0.9
_MIN_TURNS_EACH = 3
_CHANGING_SHARE = 0.3
_TURNING_SHARE = 0.7
_SCENE_ROWS = 4

_POLARS_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_SHOWN_CHARACTERS = 60


def table_content(path: Path, frame: pl.DataFrame, options: ReadingOptions) -> Content:
    """Return the turns of a table that was read from a file.

    Raises:
        CorpusError: it has no rows, or not the columns that the options name.
    """
    if frame.is_empty():
        raise CorpusError(
            f"{path} has a header but no rows: a corpus needs text in it", code="corpus.empty"
        )
    table = _Table(str(path), frame, "{0}_column (--{0}-column)")
    return replace(table.content(options), source=path.name)


def to_frame(path: Path, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return a frame of objects that were read from a file; a key is a column."""
    with parse_errors(path, "its objects must have values of one type under a key"):
        return pl.DataFrame(rows, infer_schema_length=None, strict=False)


def read_parquet(path: Path, content: bytes, options: ReadingOptions) -> Content:
    """Read the turns of a Parquet file; the errors are those of ``readers.read_documents``."""
    with parse_errors(path, "it is damaged or no Parquet file; write it again"):
        frame = pl.read_parquet(io.BytesIO(content))
    return table_content(path, frame, options)


def read_json_lines(path: Path, text: str, options: ReadingOptions) -> Content:
    """Read the turns of a JSONL file; the errors are those of ``readers.read_documents``."""
    with parse_errors(path, "each line must be a JSON object"):
        try:
            frame = pl.read_ndjson(io.StringIO(text), infer_schema_length=None)
        except _POLARS_ERRORS:
            _check_json_lines(path, text)
            raise
    return table_content(path, frame, options)


def _check_json_lines(path: Path, text: str) -> None:
    """Name the first line that is no JSON object, which Polars does not.

    Raises:
        CorpusError: there is one.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            is_object = not line.strip() or isinstance(json.loads(line), dict)
        except (ValueError, RecursionError):
            is_object = False
        if not is_object:
            raise CorpusError(
                f"{path} cannot be read as a table: line {number} is no JSON object, and each line "
                f"must be one: {line[:_SHOWN_CHARACTERS]!r}",
                code="corpus.damaged_table",
            )


def read_frame(frame: Any, options: ReadingOptions, *, source: str) -> Content:
    """Read the turns of a data frame; the errors are those of ``readers.read_frame``."""
    with parse_errors(source, "give a polars or pandas frame"):
        columns = _to_polars(frame)
    if columns is None:
        raise CorpusError(
            f"{source} is a {type(frame).__name__}, which is no data frame: give a polars or "
            "pandas frame, or an object with __arrow_c_stream__ or __dataframe__",
            code="corpus.not_a_frame",
        )
    if columns.is_empty():
        raise CorpusError(f"{source} has no rows: a corpus needs text in it", code="corpus.empty")
    return _Table(source, columns, "{}_column").content(options)


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


@contextlib.contextmanager
def parse_errors(source: str | Path, advice: str) -> Iterator[None]:
    """Raise one line for any error of Polars, panics of its Rust code included."""
    try:
        yield
    except _POLARS_ERRORS as error:
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

    def content(self, options: ReadingOptions) -> Content:
        notes = []
        text_column = options.text_column
        if text_column is None:
            text_column = self._guess_text_column()
            why = "the only one" if self.frame.width == 1 else "the only one that is prose"
            notes.append(f"Taking the text from column {text_column!r}, {why}.")
        texts = self._column(text_column, self.option.format("text"))
        speaker_column = options.speaker_column
        if speaker_column is None:
            speaker_column = self._guess_speaker_column(text_column)
            if speaker_column is not None:
                notes.append(
                    f"Taking the speakers from column {speaker_column!r}; "
                    f"{self.option.format('speaker')} '' leaves them out."
                )
        speakers = [""] * len(texts)
        if speaker_column:
            names = self._column(speaker_column, self.option.format("speaker"))
            speakers = list(map(cue_name, names))
        is_continuous = bool(speaker_column or options.scene_column)
        return Content(
            kind="table",
            works=self._works(texts, speakers, options.scene_column, {text_column, speaker_column}),
            source=self.name,
            notes=notes,
            unit="scene" if is_continuous else "line",
            columns=self.frame.columns,
        )

    def _works(
        self,
        texts: Sequence[str],
        speakers: Sequence[str],
        scene_column: str | None,
        taken: set[str | None],
    ) -> list[list[list[Turn]]]:
        """Begin a scene where a column changes; the column with the fewest values names the works.

        Columns whose values stay for some rows count, and the scene column. The works of the films'
        table are the films, whose scenes stand among one another.
        """
        changes = {
            name: _changes(self.frame.get_column(name))
            for name in self.frame.columns
            if name not in taken and name != scene_column
        }
        changes = {
            name: rows for name, rows in changes.items() if 0 < len(rows) * _SCENE_ROWS < len(texts)
        }
        if scene_column is not None:
            self._column(scene_column, self.option.format("scene"))
            scene_rows = _changes(self.frame.get_column(scene_column))
            changes = {n: rows for n, rows in changes.items() if len(rows) < len(scene_rows)}
            changes[scene_column] = scene_rows
        columns = {name: self.frame.get_column(name) for name in changes}
        name = min(columns, key=lambda name: columns[name].n_unique(), default=None)
        work_of = [""] * len(texts) if name is None else columns[name].to_list()
        starts = {0}.union(*changes.values())
        works: dict[object, list[list[Turn]]] = {}
        for row, (text, speaker) in enumerate(zip(texts, speakers, strict=True)):
            scenes = works.setdefault(work_of[row], [])
            if row in starts:
                scenes.append([])
            scenes[-1].append(Turn(text.strip() if speaker else text, speaker))
        return [*works.values()]

    def _guess_speaker_column(self, text_column: str) -> str | None:
        """Return the column with the names of speakers, if there is one.

        Its values are short, recur, and change from row to row; a column whose name says so goes
        before others.
        """
        found = [
            name
            for name in self.frame.columns
            if name != text_column and _names_speakers(name, self.frame.get_column(name))
        ]
        return max(found, key=lambda name: name.casefold() in _SPEAKER_COLUMNS, default=None)

    def _column(self, name: str, option: str) -> list[str]:
        if name not in self.frame.columns:
            raise CorpusError(
                f"{self.name} has no column {name!r}: choose {option} from "
                f"{_listed(self.frame.columns)}",
                code="corpus.no_such_column",
                columns=self.frame.columns,
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
                columns=self.frame.columns,
            ) from error
        row = next((row for row, text in enumerate(texts, start=1) if "\0" in text), None)
        if row is not None:
            raise CorpusError(
                f"column {name!r} of {self.name} holds a NUL character in row {row}: it is damaged "
                "or not text; remove the character and try again",
                code="corpus.nul",
                columns=self.frame.columns,
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
                columns=columns,
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


def _changes(series: pl.Series) -> list[int]:
    """Return the rows whose value differs from that of the row before."""
    if series.dtype.is_nested() or series.dtype == pl.Object:
        return []
    return series.ne_missing(series.shift(1)).arg_true().to_list()[series[0] is not None :]


def _names_speakers(name: str, series: pl.Series) -> bool:
    if series.dtype != pl.String or len(series) < _MIN_TURNS:
        return False
    cells = [" ".join(cell.split()) for cell in series.fill_null("").to_list()]
    names = [cell for cell in cells if any(map(str.isalpha, cell))]
    if len(names) < _NAMED_SHARE * len(cells) or max(map(len, names)) > _NAME_CHARACTERS:
        return False
    num_different = len(set(names))
    if name.casefold() in _SPEAKER_COLUMNS:
        return num_different > 1
    num_changes = sum(before != after for before, after in pairwise(cells))
    return (
        # Labels of two kinds change by chance on half of the rows; two people take turns.
        num_changes >= (_CHANGING_SHARE if num_different > 2 else _TURNING_SHARE) * len(cells)
        and num_different > 1
        and len(names) >= _MIN_TURNS_EACH * num_different
        and sum(cell[0].isupper() for cell in names) >= _NAMED_SHARE * len(names)
    )


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)
