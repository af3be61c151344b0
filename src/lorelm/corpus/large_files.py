"""Text files too large to be held in memory: their lines are read when they are asked for."""

import codecs
import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar, overload

from lorelm.corpus.documents import has_word
from lorelm.corpus.text_files import decode
from lorelm.errors import CorpusError

LARGE_FILE_BYTES: Final = 64 << 20
"""Plain text above it is read as a :class:`LargeFile`: in memory it takes ten times as much."""

_BLOCK_BYTES: Final = 4 << 20

_MAX_LINE_BYTES: Final = 8 << 20
"""A line is a document, and is held in memory cut into tokens: up to 50 times as much."""

_Item = TypeVar("_Item")


class ReadInOrder(Sequence[_Item]):
    """A sequence that is read from its beginning; an item at a place takes a pass up to there."""

    @overload
    def __getitem__(self, place: int) -> _Item: ...

    @overload
    def __getitem__(self, place: slice) -> list[_Item]: ...

    def __getitem__(self, place: int | slice) -> _Item | list[_Item]:
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            wanted = range(start, stop, step)
            return [self[i] for i in wanted] if step < 0 else list(islice(self, start, stop, step))
        place = place + len(self) if place < 0 else place
        if place >= 0:
            for item in islice(self, place, None):
                return item
        raise IndexError(place)


class LargeFile(ReadInOrder[str]):
    """The lines of a UTF-8 file that hold a word, each a document.

    Made to be read from its beginning, which takes a block of memory at a time. Its length, and
    the line at a place, take a pass over the file.

    Raises:
        CorpusError: on reading: the file is gone, a line is not UTF-8, holds a NUL character, or is
            longer than 8 MB.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._length: int | None = None

    @property
    def num_bytes(self) -> int:
        return self.path.stat().st_size

    def content_hash(self) -> str:
        """SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def __iter__(self) -> Iterator[str]:
        for lines in self._blocks():
            yield from filter(has_word, lines)

    def __len__(self) -> int:
        if self._length is None:
            self._length = sum(1 for _ in self)
        return self._length

    def mean_line_bytes(self) -> float:
        """The mean length of a document, line break included, by the first block of the file."""
        lines = next(self._blocks())
        num_bytes = sum(len(line.encode()) + 1 for line in lines)
        return num_bytes / max(1, sum(map(has_word, lines)))

    def head(self, num_bytes: int) -> list[str]:
        """The documents with which the file begins, about `num_bytes` of them."""
        head: list[str] = []
        for text in self:
            head.append(text)
            num_bytes -= len(text.encode()) + 1
            if num_bytes <= 0:
                break
        return head

    def _blocks(self) -> Iterator[list[str]]:
        """The lines of the file, a few megabytes of them at a time."""
        for num_lines, block in self._whole_lines():
            try:
                text = block.decode()
            except UnicodeDecodeError:
                text = ""
            if not text or "\0" in text:
                decode(
                    self.path, block, "utf-8", lines_before=num_lines
                )  # which says what is wrong
            yield text.replace("\r\n", "\n").replace("\r", "\n").split("\n")

    def _whole_lines(self) -> Iterator[tuple[int, bytes]]:
        """Pieces of the file that end with a line, and how many lines are before each."""
        num_lines = 0
        rest = b""
        try:
            with self.path.open("rb") as file:
                if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
                    file.seek(0)
                while block := file.read(_BLOCK_BYTES):
                    block = rest + block
                    end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
                    rest = block[end:]
                    if end:
                        yield num_lines, block[:end]
                        num_lines += block.count(b"\n")
                    if len(rest) > _MAX_LINE_BYTES:
                        raise self._too_long(num_lines + 1)
        except OSError as error:
            raise CorpusError(f"{self.path} cannot be read: {error.strerror}") from error
        if rest:
            yield num_lines, rest

    def _too_long(self, line: int) -> CorpusError:
        return CorpusError(
            f"line {line} of {self.path} is longer than {_MAX_LINE_BYTES >> 20} MB, and a line is "
            "a document: put line breaks into it"
        )
