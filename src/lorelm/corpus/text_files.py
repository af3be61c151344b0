"""Text out of files: decoded at once or, of a file larger than memory, line by line."""

import codecs
import encodings
import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

from lorelm.errors import CorpusError

LARGE_FILE_BYTES: Final = 64 << 20
"""Larger plain text is a :class:`TextFile`: in memory it would take ten times as much."""

BLOCK_BYTES: Final = 4 << 20

MAX_LINE_BYTES: Final = 8 << 20
"""A line is a document and is tokenized in memory, where it takes up to 50 times as much."""


def decode(path: Path, content: bytes, encoding: str, *, lines_before: int = 0) -> str:
    """Decode the content of a file.

    Args:
        lines_before: lines of the file before `content`, for messages.

    Raises:
        CorpusError: the encoding is unknown or does not fit, or the text holds a NUL character.
    """
    # Python's own codecs alone: a package may have registered one that takes any name.
    codec = encodings.search_function(encoding.lower())
    is_utf8 = codec is not None and codec.name == "utf-8"
    if is_utf8 and content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise CorpusError(
            f"{path} is UTF-16, not UTF-8: read it with the encoding utf-16 (--encoding)",
            code="corpus.encoding",
        )
    if is_utf8:
        content = content.removeprefix(codecs.BOM_UTF8)
    try:
        if codec is None:
            raise LookupError(encoding)
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = lines_before + content.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{path} is not {encoding} text (see line {line}): save it as UTF-8, or name its "
            "encoding (--encoding), for example cp1252",
            code="corpus.encoding",
        ) from error
    except (LookupError, UnicodeError) as error:
        raise CorpusError(
            f"there is no encoding called {encoding!r}: try utf-8 or cp1252",
            code="corpus.unknown_encoding",
        ) from error
    if "\0" in text:
        line = lines_before + text[: text.index("\0")].count("\n") + 1
        raise CorpusError(
            f"{path} holds a NUL character in line {line}: it is damaged or not text; "
            "remove the character and try again",
            code="corpus.nul",
        )
    return text


def has_word(text: str) -> bool:
    """Return whether a text holds a letter or a digit."""
    return any(map(str.isalnum, text))


_Item = TypeVar("_Item")


class StreamedSequence(Sequence[_Item]):
    """Items that are read from their beginning; an item at a place takes a pass up to it."""

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return list(self)[place]
        place = place + len(self) if place < 0 else place
        for item in islice(self, place, None) if place >= 0 else ():
            return item
        raise IndexError(place)


class TextFile(StreamedSequence[str]):
    """Lines of a UTF-8 file that hold a word, each a document.

    Iterating takes one block of memory. The length takes a pass over the file.

    Raises:
        CorpusError: on iterating: the file is gone, or a line is not UTF-8, holds a NUL character,
            or is longer than 8 MB.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._length: int | None = None

    @property
    def num_bytes(self) -> int:
        return self.path.stat().st_size

    def content_hash(self) -> str:
        """Return the SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def __iter__(self) -> Iterator[str]:
        for lines in self._blocks():
            yield from filter(has_word, lines)

    def __len__(self) -> int:
        if self._length is None:
            self._length = sum(1 for _ in self)
        return self._length

    def estimated_len(self) -> float:
        """Estimate the number of lines with a word by the first block of the file."""
        lines = next(self._blocks())
        num_bytes = sum(len(line.encode()) + 1 for line in lines)
        # In this order: the split of bundles that were trained before depends on the last bit.
        return self.num_bytes / (num_bytes / max(1, sum(map(has_word, lines))))

    def head(self, num_bytes: int) -> list[str]:
        """Return the first documents of the file, about `num_bytes` of them."""
        head: list[str] = []
        for text in self:
            head.append(text)
            num_bytes -= len(text.encode()) + 1
            if num_bytes <= 0:
                break
        return head

    def _blocks(self) -> Iterator[list[str]]:
        """Yield the lines of the file, a few megabytes of them at a time."""
        for num_lines, block in self._whole_lines():
            try:
                text = block.decode()
            except UnicodeDecodeError:
                text = ""
            if not text or "\0" in text:
                decode(self.path, block, "utf-8", lines_before=num_lines)  # raises the error
            yield text.replace("\r\n", "\n").replace("\r", "\n").split("\n")

    def _whole_lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield blocks of whole lines, each with the number of lines before it."""
        num_lines = 0
        rest = b""
        try:
            with self.path.open("rb") as file:
                if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
                    file.seek(0)
                while block := file.read(BLOCK_BYTES):
                    block = rest + block
                    end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
                    rest = block[end:]
                    if end:
                        yield num_lines, block[:end]
                        num_lines += block.count(b"\n")
                    if len(rest) > MAX_LINE_BYTES:
                        raise self._too_long(num_lines + 1)
        except OSError as error:
            raise CorpusError(
                f"{self.path} cannot be read: {error.strerror}", code="corpus.unreadable"
            ) from error
        if rest:
            yield num_lines, rest

    def _too_long(self, line: int) -> CorpusError:
        return CorpusError(
            f"line {line} of {self.path} is longer than {MAX_LINE_BYTES >> 20} MB, and a line is "
            "a document: put line breaks into it",
            code="corpus.long_line",
        )
