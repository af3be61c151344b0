"""Join the books, Shakespeare's plays and chats into the corpus of the base model.

python base/make_corpus.py books.parquet --out corpus
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import click
import polars as pl

from chats import read_chats, straight_quotes
from lorelm.corpus.shakespeare import read_shakespeare
from lorelm.corpus.special_tokens import UNK, UNKNOWN_NAME
from lorelm.corpus.structure import PASSAGE_WORDS
from lorelm.corpus.tokenizer import WordsTokenizer, is_word
from lorelm.errors import CorpusError, LoreLMError

PARTS: Final = ("train", "valid", "test")
_COLUMNS: Final = ("scene", "speaker", "text")

_SPEECH: Final = r"^(\p{Lu}[\p{Lu}'’ .-]+): "
"""A speech of the plays among the books."""

_TELLING: Final = rf"^({UNKNOWN_NAME}): "
"""A paragraph such as 'Said Ralph: "No."', which would be read as a speech of `Said Ralph`."""

_HELD_OUT_PERCENT: Final = {0: "valid", 1: "test"}

_PLAIN_PERCENT: Final = range(80, 100)
"""Chapters that the training part has a second time, in plain words."""

_ORDINARY_SHARE: Final = 0.5
"""Of a word's occurrences in lower case."""

_TOKENIZER: Final = WordsTokenizer()


def percent_of(scene: str) -> int:
    """Return the place of a chapter or scene among 100, by the hash of its name."""
    digest = hashlib.sha256(scene.encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100


def part_of(scene: str) -> str:
    """Return the part of a chapter or scene: the same on every machine."""
    return _HELD_OUT_PERCENT.get(percent_of(scene), "train")


def ordinary_words(texts: pl.Series) -> frozenset[str]:
    """Return the words that stand in lower case more often than not: no names, and not "I"."""
    words = texts.str.extract_all(WordsTokenizer.WORD).explode().drop_nulls()
    counts = words.value_counts().with_columns(lower=pl.first().str.to_lowercase())
    in_lower_case = pl.first() == pl.col("lower")
    shares = counts.group_by("lower").agg(
        pl.col("count").filter(in_lower_case).sum() / pl.col("count").sum()
    )
    return frozenset(shares.filter(pl.col("count") >= _ORDINARY_SHARE)["lower"])


def in_plain_words(text: str, ordinary: frozenset[str]) -> str:
    """Return the words of a text without punctuation and line breaks, names alone in capitals."""
    words = filter(is_word, _TOKENIZER.tokenize(text))
    return " ".join(word.lower() if word.lower() in ordinary else word for word in words)


def plain_rows(rows: pl.DataFrame, ordinary: frozenset[str]) -> pl.DataFrame:
    """Return some chapters in plain words, without speakers: subtitles are like that.

    A model that has seen only sentences of books knows little of what follows a word where no
    punctuation stands. Names keep their capitals: in lower case they would take 500 of 20,000
    places in the vocabulary.
    """
    percent = pl.col("scene").map_elements(percent_of, return_dtype=pl.Int64)
    chapters = rows.filter(percent.is_in(list(_PLAIN_PERCENT)))
    return passage_rows(
        (f"{scene} in plain words", filter(None, (in_plain_words(each, ordinary) for each in text)))
        for scene, text in chapters.group_by("scene", maintain_order=True).agg("text").rows()
    )


def passage_rows(scenes: Iterable[tuple[str, Iterable[str]]]) -> pl.DataFrame:
    """Return the lines of each scene in rows of one document each, which begin with `<unk>`.

    A model never writes `<unk>`, so its texts do not begin like these rows: else half of those
    that it writes without a prompt would be in plain words.
    """
    rows = [
        (f"{scene} {number}", "", f"{UNK} {passage}")
        for scene, lines in scenes
        for number, passage in enumerate(passages(lines))
    ]
    return pl.DataFrame(rows, schema=list(_COLUMNS), orient="row")


def passages(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines joined to texts of about the words of a document."""
    held: list[str] = []
    num_words = 0
    for line in lines:
        held.append(line)
        num_words += len(line.split())
        if num_words >= PASSAGE_WORDS:
            yield "\n".join(held)
            held, num_words = [], 0
    if held:
        yield "\n".join(held)


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
        text=pl.when(text.str.contains(_SPEECH))
        .then(text.str.replace(_SPEECH, ""))
        .otherwise(text.str.replace(_TELLING, "$1, ")),
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
    """Write train.parquet, valid.parquet and test.parquet from BOOKS, Shakespeare and chats.

    A row is a paragraph, a speech or a passage of a chat: the chapter, scene or conversation that
    it is from, its speaker, and its text with straight quotation marks. One chapter in a hundred
    validates, another one tests. A fifth of the chapters to train on are there a second time, in
    plain words.
    """
    try:
        texts = pl.concat([book_rows(books), shakespeare_rows()])
        # People type straight quotation marks; the tokenizer tells opening ones by spaces.
        texts = texts.with_columns(
            pl.col("speaker", "text").map_elements(straight_quotes, return_dtype=pl.String)
        )
        ordinary = ordinary_words(texts["text"])
        chats = read_chats(ordinary)
    except LoreLMError as error:
        click.echo(f"make_corpus: {error}", err=True)
        sys.exit(2)
    part = pl.col("scene").map_elements(part_of, return_dtype=pl.String)
    out.mkdir(parents=True, exist_ok=True)
    for name in PARTS:
        of_books = texts.filter(part == name)
        of_chats = passage_rows(each for each in chats.items() if part_of(each[0]) == name)
        plain = [plain_rows(of_books, ordinary)] if name == "train" else []
        rows = pl.concat([of_books, of_chats, *plain])
        rows.write_parquet(out / f"{name}.parquet", compression="zstd")
        click.echo(f"{name}.parquet: {len(rows):,} rows")


if __name__ == "__main__":
    main()
