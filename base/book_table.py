"""The table of all books: a row a paragraph, in reading order."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from book_sources import Counts, Source
from book_text import Paragraph
from lorelm.errors import CorpusError, MissingExtraError

try:
    import polars as pl
except ImportError as error:
    raise MissingExtraError("writing Parquet files", "train") from error

ROWS_SHA256: Final = "40265146dfa8cfbec8d8373f8b85ff8bb77e68656e3afe3efbc0a9dfc9b7d0d6"
"""Of the rows that `sources.csv` describes, as :func:`rows_sha256` computes it."""

_WORD: Final = re.compile(r"[A-Za-z0-9’']+")
"""As the list counts them: `Dantès` is two, `ne’er-do-well` three."""

_SCHEMA: Final = {
    "work": pl.String,
    "author": pl.String,
    "title": pl.String,
    "chapter": pl.Int32,
    "text": pl.String,
}


class Row(NamedTuple):
    """A paragraph with the book that it is from; chapters are numbered from 1 in each book."""

    work: str
    author: str
    title: str
    chapter: int
    text: str


def rows_of(source: Source, paragraphs: Iterable[Paragraph]) -> list[Row]:
    """Return the rows of a book."""
    return [
        Row(source.work, source.author, source.title, paragraph.chapter, paragraph.text)
        for paragraph in paragraphs
    ]


def count(rows: Sequence[Row]) -> Counts:
    """Return how large the text of a book is."""
    return Counts(
        words=sum(len(_WORD.findall(row.text)) for row in rows),
        paragraphs=len(rows),
        chapters=len({row.chapter for row in rows}),
    )


def describe_difference(source: Source, found: Counts) -> str | None:
    """Return a line on how the counts of a book differ from its source; None if they agree."""
    differences = []
    for name in ("words", "paragraphs", "chapters"):
        number, expected = getattr(found, name), getattr(source.counts, name)
        if number != expected:
            difference = number - expected
            differences.append(f"{number:,} {name} instead of {expected:,} ({difference:+,})")
    return f"{source.work} has {', '.join(differences)}" if differences else None


def rows_sha256(rows: Iterable[Row]) -> str:
    """Return a hash of the rows, each as a JSON array in a line.

    The bytes of a Parquet file depend on the version of Polars; this hash does not.
    """
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, ensure_ascii=False).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as a Parquet file, whole or not at all.

    Raises:
        CorpusError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        pl.DataFrame(rows, schema=_SCHEMA, orient="row").write_parquet(part, compression="zstd")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CorpusError(
            f"{path} cannot be written ({error.strerror or error}): free space on the disk or "
            "choose another file with --out",
            code="books.out_unwritable",
        ) from error
