"""Spreadsheets: the first sheet of an Excel or OpenDocument workbook, as a table."""

import io
from pathlib import Path

import polars as pl

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.archives import Archive, is_zip
from lorelm.corpus.formats.delimited import is_header, no_header_note
from lorelm.corpus.structure import Content
from lorelm.corpus.tables import table_content
from lorelm.errors import CorpusError, MissingExtraError

try:
    import python_calamine as calamine
except ImportError as error:
    raise MissingExtraError("reading XLSX, XLS and ODS files", "formats") from error


def read(path: Path, content: bytes, options: ReadingOptions) -> Content:
    """Read the turns of the first sheet.

    Raises:
        CorpusError: it is damaged, locked with a password, or has no rows.
    """
    if is_zip(content):
        Archive(path, content).check()
    try:
        workbook = calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        names = workbook.sheet_names
        rows = workbook.get_sheet_by_index(0).to_python()
    except calamine.PasswordError as error:
        raise CorpusError(
            f"{path} is locked with a password: save it without one", code="corpus.locked"
        ) from error
    except (calamine.CalamineError, OSError, ValueError, IndexError) as error:
        raise CorpusError(
            f"{path} is damaged ({error}): save it again, or as CSV", code="corpus.damaged"
        ) from error
    cells = [[_text(cell) for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    notes = []
    if len(names) > 1:
        notes.append(
            f"Of the {len(names)} sheets of {path.name}, the first, {names[0]!r}, is read."
        )
    return table_content(path, _frame(path, cells, options, notes), options).with_notes(notes)


def _frame(
    path: Path, rows: list[list[str]], options: ReadingOptions, notes: list[str]
) -> pl.DataFrame:
    if not rows:
        raise CorpusError(f"{path} is empty: a corpus needs text in it", code="corpus.empty")
    columns = [f"column_{number}" for number in range(1, len(rows[0]) + 1)]
    if is_header(rows[0], options):
        header, *rows = rows
        for place, name in enumerate(header):
            if name and name not in columns:
                columns[place] = name
    else:
        notes.append(no_header_note(path, columns))
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def _text(cell: object) -> str:
    """Return a cell as it is shown: whole numbers without a fraction."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
