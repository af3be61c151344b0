"""Join the books and Shakespeare's plays into the corpus of the base model.

python base/make_corpus.py books.parquet --out corpus
"""

import hashlib
import sys
from pathlib import Path
from typing import Final

import click
import polars as pl

from lorelm.corpus.shakespeare import read_shakespeare
from lorelm.corpus.tokenizer import WordsTokenizer, is_word
from lorelm.corpus.vocabulary import straight
from lorelm.errors import CorpusError, LoreLMError

PARTS: Final = ("train", "valid", "test")
_COLUMNS: Final = ("scene", "speaker", "text")

_SPEECH: Final = r"^(\p{Lu}[\p{Lu}'’ .-]+): "
"""A speech of the plays among the books."""

_HELD_OUT_PERCENT: Final = {0: "valid", 1: "test"}

_PLAIN_PERCENT: Final = range(80, 100)
"""Chapters that the training part has a second time, in plain words."""


_TOKENIZER: Final = WordsTokenizer()


def percent_of(scene: str) -> int:
    """Return the place of a chapter or scene among 100, by the hash of its name."""
    digest = hashlib.sha256(scene.encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100


def part_of(scene: str) -> str:
    """Return the part of a chapter or scene: the same on every machine."""
    return _HELD_OUT_PERCENT.get(percent_of(scene), "train")


def in_plain_words(text: str) -> str:
    """Return the words of a text in lower case, without punctuation and line breaks."""
    return " ".join(filter(is_word, _TOKENIZER.tokenize(text))).lower()


def plain_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return some chapters in plain words, without speakers: chats and subtitles are like that.

    A model that has seen only sentences of books knows little of what follows a word where no
    punctuation stands.
    """
    percent = pl.col("scene").map_elements(percent_of, return_dtype=pl.Int64)
    chapters = rows.filter(percent.is_in(list(_PLAIN_PERCENT)))
    text = pl.col("text").map_elements(in_plain_words, return_dtype=pl.String)
    plain = chapters.select(
        pl.format("{} in plain words", "scene").alias("scene"), speaker=pl.lit(""), text=text
    )
    return plain.filter(pl.col("text") != "")


def book_rows(path: Path) -> pl.DataFrame:
    """Return the paragraphs and speeches of the table that ``fetch_books.py`` writes."""
    try:
        table = pl.read_parquet(path)
    except FileNotFoundError as error:
        raise CorpusError(f"there is no file {path}", code="corpus.no_such_file") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CorpusError(f"{path} is no Parquet file", code="corpus.unreadable") from error
    missing = {"work", "chapter", "text"} - set(table.columns)
    if missing:
        raise CorpusError(
            f"{path} is not the table of fetch_books.py: it lacks {', '.join(sorted(missing))}",
            code="corpus.no_column",
        )
    text = pl.col("text")
    return table.select(
        scene=pl.format("{} {}", "work", "chapter"),
        speaker=text.str.extract(_SPEECH).fill_null(""),
        text=text.str.replace(_SPEECH, ""),
    )


def shakespeare_rows() -> pl.DataFrame:
    """Return the speeches of Shakespeare's plays."""
    rows = [
        (f"shakespeare {play} {number}", turn.speaker, turn.text)
        for play, scenes in enumerate(read_shakespeare().works)
        for number, scene in enumerate(scenes)
        for turn in scene
    ]
    return pl.DataFrame(rows, schema=list(_COLUMNS), orient="row")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("books", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
def main(books: Path, out: Path) -> None:
    """Write train.parquet, valid.parquet and test.parquet from BOOKS and Shakespeare.

    A row is a paragraph or a speech: the chapter or scene that it is from, its speaker, and its
    text with straight quotation marks. One chapter in a hundred validates, another one tests. A
    fifth of the chapters to train on is there a second time, in plain words.
    """
    try:
        table = pl.concat([book_rows(books), shakespeare_rows()])
    except LoreLMError as error:
        click.echo(f"make_corpus: {error}", err=True)
        sys.exit(2)
    # People type straight quotation marks. The tokenizer tells opening from closing ones by spaces.
    table = table.with_columns(
        pl.col("speaker", "text").map_elements(straight, return_dtype=pl.String)
    )
    part = pl.col("scene").map_elements(part_of, return_dtype=pl.String)
    out.mkdir(parents=True, exist_ok=True)
    for name in PARTS:
        rows = table.filter(part == name)
        if name == "train":
            rows = pl.concat([rows, plain_rows(rows)])
        rows.write_parquet(out / f"{name}.parquet", compression="zstd")
        click.echo(f"{name}.parquet: {len(rows):,} rows")


if __name__ == "__main__":
    main()
