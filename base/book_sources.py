"""The list of the books: where each one is, and how large its text must be."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lorelm.errors import CorpusError

GITHUB: Final = "https://github.com"
_NUMBERS: Final = ("words", "paragraphs", "chapters")
_COLUMNS: Final = ("work", "author", "title", "repository", "commit", *_NUMBERS)
_WORK: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
_REPOSITORY: Final = re.compile(rf"{re.escape(GITHUB)}/[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How large the text of a book is."""

    words: int
    paragraphs: int
    chapters: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """An edition at a commit.

    Attributes:
        work: name of the edition, also of its file in the cache.
        repository: its address on GitHub.
        commit: 40 hexadecimal digits.
        counts: of the text that was extracted when the list was made.
    """

    work: str
    author: str
    title: str
    repository: str
    commit: str
    counts: Counts

    def archive_url(self, mirror: str) -> str:
        """Return the address of the repository's files at the commit, as a zip archive."""
        return f"{mirror}{self.repository.removeprefix(GITHUB)}/archive/{self.commit}.zip"


def read_sources(path: Path) -> list[Source]:
    """Read the list of the books, in its order.

    Raises:
        CorpusError: it cannot be read, lacks a column or a book, or one of its lines is wrong.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            lines = [(reader.line_num, row) for row in reader]
            columns = reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(
            f"{path} cannot be read ({_reason(error)}): name the list of the books with --sources",
            code="books.sources_unreadable",
        ) from error
    if missing := [name for name in _COLUMNS if name not in columns]:
        raise CorpusError(
            f"{path} lacks the column {', '.join(missing)}: restore the file from the repository",
            code="books.sources_wrong",
        )
    sources = [_source(path, number, row) for number, row in lines]
    works = [source.work for source in sources]
    if not works or len(set(works)) < len(works):
        raise CorpusError(
            f"{path} names {'a book twice' if works else 'no book'}: restore the file from the "
            "repository",
            code="books.sources_wrong",
        )
    return sources


def _source(path: Path, number: int, row: dict[str, str | None]) -> Source:
    values = {name: row[name] or "" for name in _COLUMNS}
    for name, pattern in (("work", _WORK), ("repository", _REPOSITORY), ("commit", _COMMIT)):
        if not pattern.fullmatch(values[name]):
            raise _wrong(path, number, name, values[name])
    for name in _NUMBERS:
        if not values[name].isascii() or not values[name].isdecimal():
            raise _wrong(path, number, name, values[name])
    return Source(
        work=values["work"],
        author=values["author"],
        title=values["title"],
        repository=values["repository"],
        commit=values["commit"],
        counts=Counts(
            words=int(values["words"]),
            paragraphs=int(values["paragraphs"]),
            chapters=int(values["chapters"]),
        ),
    )


def _wrong(path: Path, number: int, name: str, value: str) -> CorpusError:
    return CorpusError(
        f"{path} is wrong in line {number}: {value!r} is no {name}; restore the file from the "
        "repository",
        code="books.sources_wrong",
    )


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
