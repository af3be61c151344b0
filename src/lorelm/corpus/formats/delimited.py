"""CSV and its relatives, whose separators, quotes and header are told from their first rows."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import polars as pl

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.chat_exports import DISCORD_COLUMNS, read_discord_rows
from lorelm.corpus.structure import Content
from lorelm.corpus.tables import parse_errors, table_content

_SEPARATORS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_SAMPLE_CHARACTERS: Final = 1 << 16
_REGULAR_SHARE: Final = 0.9
_QUOTED_SHARE: Final = 0.5
_HEADER_WORDS: Final = 5
_HEADER_CHARACTERS: Final = 60


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the cells of a table are set apart."""

    separator: str
    quote: str


def read(path: Path, text: str, options: ReadingOptions) -> Content:
    """Read the turns of a table.

    Raises:
        CorpusError: rows have different numbers of cells, or there are no rows.
    """
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    dialect = dialect_of(text, usual)
    notes = []
    if dialect.separator != usual:
        notes.append(f"The cells of {path.name} are separated by {_SEPARATORS[dialect.separator]}.")
    if '\\"' in text and '""' not in text:
        text = text.replace('\\"', '""')  # quotes as MySQL and JSON write them
    first = next(iter(_rows(text, dialect, 1)), [])
    has_header = is_header(first, options)
    advice = "check its quotes and separators, or read its lines as text (ending .txt)"
    with parse_errors(path, advice):
        frame = pl.read_csv(
            io.StringIO(text),
            separator=dialect.separator,
            quote_char=dialect.quote,
            has_header=has_header,
            infer_schema=False,
        )
    if not has_header:
        notes.append(no_header_note(path, frame.columns))
    if DISCORD_COLUMNS.issubset(frame.columns) and options.text_column is None:
        return read_discord_rows(path, frame.rows(named=True)).with_notes(notes)
    return table_content(path, frame, options).with_notes(notes)


def dialect_of(text: str, default: str) -> Dialect:
    """Find the separator that cuts most rows into as many cells as the first one.

    Args:
        default: the separator by the file's ending. It stays if it fits, since prose holds commas
            and semicolons too.
    """
    sample = text[:_SAMPLE_CHARACTERS]
    if len(text) > len(sample):
        sample = sample[: sample.rfind("\n") + 1]
    found = [Dialect(separator, '"') for separator in (default, *_SEPARATORS)]
    found = [dialect for dialect in found if _is_regular(_rows(sample, dialect))]
    dialect = found[0] if found else Dialect(default, '"')
    single = Dialect(dialect.separator, "'")
    if (
        '"' not in sample
        and _are_quoted(_rows(sample, dialect))
        and _is_regular(_rows(sample, single))
    ):
        return single
    return dialect


def is_header(cells: Sequence[str], options: ReadingOptions) -> bool:
    """Return whether the first row of a table names its columns.

    Names are short, differ, and are neither numbers nor sentences. What the user names as a column
    is one.
    """
    names = [cell.strip() for cell in cells]
    wanted = {options.text_column, options.speaker_column, options.scene_column} - {None, ""}
    if wanted.intersection(names):
        return True
    filled = [name for name in names if name]
    return len(filled) == len(set(filled)) and not any(map(_is_content, filled))


def no_header_note(path: Path, columns: Sequence[str]) -> str:
    """Return the sentence on a table whose first row is text."""
    return (
        f"The first row of {path.name} reads like text and not like names of columns, so it is "
        f"taken as text, and the columns are called {', '.join(columns[:4])}"
        f"{' and so on' if len(columns) > 4 else ''}."
    )


def _rows(text: str, dialect: Dialect, max_rows: int | None = None) -> list[list[str]]:
    """Return the first rows that are not empty; none if the dialect does not fit them."""
    reader = csv.reader(io.StringIO(text), delimiter=dialect.separator, quotechar=dialect.quote)
    try:
        return list(islice(filter(None, reader), max_rows))
    except csv.Error:
        return []


def _is_regular(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether nearly all rows have as many cells as the first one, and several."""
    if not rows or len(rows[0]) < 2:
        return False
    counts = Counter(map(len, rows))
    return counts[len(rows[0])] >= _REGULAR_SHARE * len(rows)


def _are_quoted(rows: Sequence[Sequence[str]]) -> bool:
    cells = [cell.strip() for row in rows[1:] for cell in row if cell.strip()]
    quoted = sum(len(cell) > 1 and cell[0] == cell[-1] == "'" for cell in cells)
    return bool(cells) and quoted >= _QUOTED_SHARE * len(cells)


def _is_content(cell: str) -> bool:
    """Return whether a cell is a number, a date or a sentence, and no name of a column."""
    return (
        len(cell.split()) > _HEADER_WORDS
        or len(cell) > _HEADER_CHARACTERS
        or bool(re.fullmatch(r"[\d.,:/ +-]+", cell))
        or bool(re.search(r"\w{2}[.!?…][\"'”’)]?$|[!?]", cell))
    )
