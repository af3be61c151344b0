"""Tables to documents: CSV, TSV, JSONL and Parquet, read by Polars."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

from lorelm.corpus.documents import Documents, has_word
from lorelm.corpus.reading_options import ReadingOptions
from lorelm.corpus.text_files import decode
from lorelm.errors import CorpusError, MissingExtraError

try:
    import polars as pl
except ImportError as error:
    raise MissingExtraError("reading a table (CSV, TSV, JSONL, Parquet)", "train") from error

_PARQUET = b"PAR1"
_HEADER_WORDS = 5

# A column is prose when its cells are mostly different and hold several words: names, titles and
# numbers are not. On lotr_scripts.csv the dialogue has 11 words a cell, the next column 4.
_PROSE_WORDS_PER_CELL = 3.0
_PROSE_DISTINCT_SHARE = 0.2


def read_table(path: Path, content: bytes, options: ReadingOptions) -> Documents:
    """Reads one text a row. See :func:`lorelm.corpus.readers.read_documents` for the errors."""
    frame = _read_frame(path, content, options.encoding)
    if frame.is_empty():
        raise CorpusError(f"{path} has a header but no rows: a corpus needs text in it")
    notes = []
    text_column = options.text_column
    if text_column is None:
        text_column = _guess_text_column(path, frame)
        why = "the only one" if frame.width == 1 else "the only one that is prose"
        notes.append(f"Taking the text from column {text_column!r}, {why}.")
        if len(text_column.split()) > _HEADER_WORDS:
            notes.append("The first row is taken for the names of the columns: is it one?")
    texts = _column(path, frame, text_column, "--text-column")
    speakers: list[str] = []
    if options.speaker_column is not None:
        speakers = [
            " ".join(name.split())
            for name in _column(path, frame, options.speaker_column, "--speaker-column")
        ]
        texts = [
            f"{speaker}: {text.strip()}" if speaker and has_word(text) else text
            for speaker, text in zip(speakers, texts, strict=True)
        ]
    return Documents(texts=texts, source=path.name, speakers=speakers, notes=notes)


def _read_frame(path: Path, content: bytes, encoding: str) -> pl.DataFrame:
    suffix = path.suffix.lower()
    if content.startswith(_PARQUET) or suffix == ".parquet":
        with _explaining(path, "it is damaged or no Parquet file; write it again"):
            return pl.read_parquet(io.BytesIO(content))
    text = decode(path, content, encoding)
    if suffix in (".jsonl", ".ndjson"):
        with _explaining(path, "each line is to be a JSON object"):
            return pl.read_ndjson(io.StringIO(text), infer_schema_length=None)
    if "\n" not in text:
        text = text.replace("\r", "\n")  # the line ends of old Macs, which Polars does not know
    advice = "check its quotes and separators, or read its lines as text (ending .txt)"
    with _explaining(path, advice):
        return pl.read_csv(
            io.StringIO(text),
            separator="\t" if suffix == ".tsv" else ",",
            infer_schema=False,
        )


@contextlib.contextmanager
def _explaining(path: Path, advice: str) -> Iterator[None]:
    """Turns what Polars has against a file, panics of its Rust code included, into one line."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = (str(error).strip() or "it is damaged").splitlines()[0].rstrip(".")
        raise CorpusError(f"{path} cannot be read as a table ({reason}): {advice}") from error


def _column(path: Path, frame: pl.DataFrame, name: str, flag: str) -> list[str]:
    if name not in frame.columns:
        raise CorpusError(
            f"{path} has no column {name!r}: choose {flag} from {_listed(frame.columns)}"
        )
    series = frame.get_column(name)
    try:
        if series.dtype.is_nested() or series.dtype == pl.Binary:
            raise pl.exceptions.InvalidOperationError("bytes and lists are no text")
        texts: list[str] = series.cast(pl.String).fill_null("").to_list()
    except pl.exceptions.PolarsError as error:
        raise CorpusError(
            f"column {name!r} of {path} holds no text: choose another {flag}"
        ) from error
    row = next((row for row, text in enumerate(texts, start=1) if "\0" in text), None)
    if row is not None:
        raise CorpusError(
            f"column {name!r} of {path} holds a NUL character in row {row}: it is damaged or not "
            "text; remove the character and try again"
        )
    return texts


def _guess_text_column(path: Path, frame: pl.DataFrame) -> str:
    if frame.width == 1:
        return frame.columns[0]
    prose = [name for name in frame.columns if _is_prose(frame.get_column(name))]
    if len(prose) != 1:
        found = f"several columns are prose ({_listed(prose)})" if prose else "no column is prose"
        raise CorpusError(
            f"in {path} {found}: name the one to read with --text-column, one of "
            f"{_listed(frame.columns)}"
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
