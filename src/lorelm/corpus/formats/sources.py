"""The files that a path stands for: a file, a folder, an archive, a pattern, or standard input."""

import glob
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.archives import Archive
from lorelm.corpus.formats.recognise import KNOWN_SUFFIXES, is_archive, read_content
from lorelm.corpus.shakespeare import SHAKESPEARE
from lorelm.corpus.structure import Content
from lorelm.errors import CorpusError

STANDARD_INPUT: Final = "-"
_SHOWN_SUFFIXES: Final = 4


def read_sources(paths: Sequence[str], options: ReadingOptions) -> Content:
    """Read all files that some paths stand for; each file is a work, or several.

    Raises:
        CorpusError: a path stands for nothing, or a file cannot be read.
        MissingExtraError: a file's reader needs a library that is not installed.
    """
    left_out = _LeftOut()
    contents = [
        read_content(path, content, options)
        for path, content in chain.from_iterable(_files(path, left_out) for path in paths)
    ]
    if not contents:
        raise CorpusError(
            f"{paths[0]} holds no file with text: name one, or a folder with files such as .txt",
            code="corpus.no_files",
        )
    if len(contents) == 1:
        return contents[0].with_notes(left_out.notes)
    return _merged(_name(paths, len(contents)), contents, left_out.notes)


def is_there(path: Path) -> bool:
    """Return whether a path stands for something; a folder called shakespeare is not the corpus."""
    if path.name == SHAKESPEARE:
        return path.is_file()
    return path.exists() or bool(_matches(str(path)))


def read_file(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        CorpusError: it is missing, empty, or cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise CorpusError(
            f"there is no file {path}: check the path", code="corpus.no_such_file"
        ) from error
    except OSError as error:
        raise CorpusError(
            f"{path} cannot be read: {error.strerror}", code="corpus.unreadable"
        ) from error
    if not content:
        raise CorpusError(f"{path} is empty: a corpus needs text in it", code="corpus.empty")
    return content


@dataclass
class _LeftOut:
    """Counts the files of folders and archives that are not read."""

    suffixes: Counter[str] = field(default_factory=Counter)
    num_empty: int = 0

    @property
    def notes(self) -> list[str]:
        notes = []
        if self.suffixes:
            names = ", ".join(name for name, _ in self.suffixes.most_common(_SHOWN_SUFFIXES))
            more = " and others" if len(self.suffixes) > _SHOWN_SUFFIXES else ""
            notes.append(
                f"Files with other endings are left out: {self.suffixes.total():,} ({names}{more})."
            )
        if self.num_empty:
            notes.append(f"Empty files are left out: {self.num_empty:,}.")
        return notes


def _files(path: str, left_out: _LeftOut) -> Iterator[tuple[Path, bytes]]:
    """Yield the files that a path stands for, with their contents."""
    if path == STANDARD_INPUT:
        content = sys.stdin.buffer.read()
        if not content:
            raise CorpusError(
                "standard input is empty: a corpus needs text in it", code="corpus.empty"
            )
        yield Path("standard input"), content
    elif _is_folder(path):
        yield from _folder(Path(path), left_out)
    elif not os.path.lexists(path) and (matches := _matches(path)):
        for match in matches:
            yield from _files(match, left_out)
    else:
        yield from _file(Path(path), left_out)


def _file(path: Path, left_out: _LeftOut) -> Iterator[tuple[Path, bytes]]:
    content = read_file(path)
    if is_archive(content, path):
        yield from _members(Archive(path, content), left_out)
    else:
        yield path, content


def _folder(folder: Path, left_out: _LeftOut) -> Iterator[tuple[Path, bytes]]:
    """Yield the files of a folder and of those in it, in the order in which people count them."""
    try:
        paths = [
            Path(there, name)
            for there, folders, names in os.walk(folder, onerror=_raise)
            if _is_visible(Path(there).relative_to(folder).parts)
            for name in names
            if _is_visible((name,))
        ]
    except OSError as error:
        raise CorpusError(
            f"{folder} cannot be read: {error.strerror}", code="corpus.unreadable"
        ) from error
    for path in sorted(paths, key=lambda path: _natural(str(path))):
        if path.suffix.lower() not in KNOWN_SUFFIXES:
            left_out.suffixes[path.suffix or path.name] += 1
        elif not path.stat().st_size:
            left_out.num_empty += 1
        else:
            yield from _file(path, left_out)


def _members(archive: Archive, left_out: _LeftOut) -> Iterator[tuple[Path, bytes]]:
    for name in sorted(archive.names, key=_natural):
        if not _is_visible(Path(name).parts) or name.startswith("__MACOSX"):
            continue
        suffix = Path(name).suffix.lower()
        if suffix not in KNOWN_SUFFIXES or suffix == ".zip":
            left_out.suffixes[suffix or name] += 1
        elif content := archive.read(name):
            yield archive.path / name, content
        else:
            left_out.num_empty += 1


def _merged(name: str, contents: Sequence[Content], notes: Iterable[str]) -> Content:
    """Join the works of several files; their kind is that of most words."""
    words: Counter[tuple[object, ...]] = Counter()
    for content in contents:
        words[content.kind, content.unit] += sum(turn.num_words for turn in content.turns)
    (kind, unit), _ = words.most_common(1)[0]
    kinds = Counter(content.kind for content in contents)
    notes = [f"{len(contents):,} files are read.", *notes]
    if len(kinds) > 1:
        listed = ", ".join(f"{count} of {kind}" for kind, count in kinds.most_common())
        notes.append(f"Not all files are of one kind ({listed}); all are read as {kind}.")
    # A note that all files have is told once.
    notes += dict.fromkeys(note for content in contents for note in content.notes)
    return Content(
        kind=kind,  # type: ignore[arg-type]
        works=[work for content in contents for work in content.works],
        source=name,
        notes=notes,
        warnings=_merged_warnings(contents),
        unit=unit,  # type: ignore[arg-type]
    )


def _merged_warnings(contents: Sequence[Content]) -> list[str]:
    """Return the warning of the first file that has one, and how many others have one."""
    warned = [content.warnings for content in contents if content.warnings]
    if len(warned) < 2:
        return [warning for warnings in warned for warning in warnings]
    others = len(warned) - 1
    return [*warned[0], f"The same holds for {others:,} other file{'s' if others > 1 else ''}."]


def _name(paths: Sequence[str], num_files: int) -> str:
    name = "standard input" if paths[0] == STANDARD_INPUT else Path(paths[0]).resolve().name
    others = len(paths) - 1
    return f"{name} and {others} more" if others else name or f"{num_files} files"


def _is_folder(path: str) -> bool:
    # Not Path.is_dir, which raises without permission to look.
    return os.path.isdir(path)  # noqa: PTH112


def _matches(pattern: str) -> list[str]:
    if not glob.has_magic(pattern):
        return []
    return sorted(glob.glob(pattern, recursive=True), key=_natural)  # noqa: PTH207 - relative stays so


def _is_visible(parts: Sequence[str]) -> bool:
    return not any(part.startswith(".") for part in parts)


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts "chapter 2" before "chapter 10"."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"(\d+)", name.casefold())
    ]


def _raise(error: OSError) -> None:
    raise error
