"""Fetch the books of the base model and rebuild the table that it was trained on.

    python base/fetch_books.py --out books.parquet

The exit code is 0 if the table is the same, row by row, 1 if it is another one, and 2 if it could
not be made.
"""

import sys
from pathlib import Path
from typing import Final

import click

from book_archives import ArchiveCache
from book_sources import GITHUB, Source, read_sources
from book_table import (
    ROWS_SHA256,
    Row,
    count,
    describe_difference,
    rows_of,
    rows_sha256,
    write_table,
)
from book_text import read_book
from lorelm.errors import CorpusError, LoreLMError

SOURCES: Final = Path(__file__).with_name("sources.csv")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Parquet file to write.",
)
@click.option(
    "--sources",
    type=click.Path(path_type=Path),
    default=SOURCES,
    help="List of the books.  [default: sources.csv beside this script]",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the downloads; they are not repeated.  [default: OUT.downloads]",
)
@click.option("--mirror", default=GITHUB, show_default=True, help="Address to use for GitHub's.")
@click.option(
    "--accept-differences",
    is_flag=True,
    help="Write the table even if it is not the one that the base model was trained on.",
)
def main(
    out: Path, sources: Path, cache: Path | None, mirror: str, accept_differences: bool
) -> None:
    """Fetch the books of the base model and write their paragraphs to a Parquet file."""
    try:
        check_options(out, mirror)
        downloads = ArchiveCache(
            cache or out.with_name(f"{out.name}.downloads"), mirror=mirror.rstrip("/")
        )
        rows, differences = fetch(read_sources(sources), downloads)
        if sources == SOURCES and rows_sha256(rows) != ROWS_SHA256:
            differences.append(f"the hash of all rows is not {ROWS_SHA256}")
        is_written = accept_differences or not differences
        if is_written:
            write_table(out, rows)
        report(out if is_written else None, rows, differences)
    except LoreLMError as error:
        click.echo(f"fetch_books: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        click.echo("fetch_books: stopped; run the same command again to continue", err=True)
        sys.exit(130)
    sys.exit(1 if differences else 0)


def check_options(out: Path, mirror: str) -> None:
    """Check before the downloads what would fail after them.

    Raises:
        CorpusError: the mirror is no address, or there is no folder for the table.
    """
    if not mirror.startswith(("https://", "http://")):
        raise CorpusError(
            f"{mirror!r} is no address of a mirror (--mirror): write it as {GITHUB}",
            code="books.mirror",
        )
    if not out.parent.is_dir():
        raise CorpusError(
            f"{out.parent} is no folder: create it or choose another file with --out",
            code="books.out_unwritable",
        )


def fetch(sources: list[Source], downloads: ArchiveCache) -> tuple[list[Row], list[str]]:
    """Return the rows of all books, and a line for each book that differs from its source.

    Raises:
        CorpusError: an archive cannot be downloaded or read.
    """
    rows: list[Row] = []
    differences: list[str] = []
    for number, source in enumerate(sources, 1):
        click.echo(f"{number}/{len(sources)} {source.work}", err=True)
        book = rows_of(source, read_book(downloads.archive(source)))
        if difference := describe_difference(source, count(book)):
            differences.append(difference)
        rows += book
    return rows, differences


def report(written: Path | None, rows: list[Row], differences: list[str]) -> None:
    """Say what was written, and what differs."""
    for difference in differences:
        click.echo(f"fetch_books: {difference}", err=True)
    if written is None:
        click.echo(
            "fetch_books: nothing was written; --accept-differences writes the table all the same",
            err=True,
        )
    else:
        click.echo(f"{written}: {len(rows):,} rows")
    click.echo(f"SHA-256 of the rows: {rows_sha256(rows)}")


if __name__ == "__main__":
    main()
