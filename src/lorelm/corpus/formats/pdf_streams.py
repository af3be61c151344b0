"""Size of what is packed in a PDF, so that a bomb is refused before a library unpacks it."""

import re
import zlib
from pathlib import Path
from typing import Final

from lorelm.corpus.formats.archives import HARMLESS_BYTES, MAX_RATIO, MAX_UNPACKED_BYTES
from lorelm.errors import CorpusError

_STREAM: Final = re.compile(rb"stream\r?\n(?=[\x08\x18\x28\x38\x48\x58\x68\x78])")
_CHUNK_BYTES: Final = 1 << 16
_MAX_LEVELS: Final = 4


def check_streams(path: Path, content: bytes) -> None:
    """Unpack all deflated streams, in pieces that are thrown away, and add up their sizes.

    PDFium would hold a stream that unpacks to 1 GB in 2 GB of memory.

    Raises:
        CorpusError: they unpack to more than a text would.
    """
    # Pictures with plain areas have high ratios too.
    limit = min(MAX_UNPACKED_BYTES, max(4 * HARMLESS_BYTES, MAX_RATIO * len(content)))
    num_unpacked = 0
    end = 0
    for found in _STREAM.finditer(content):
        if found.end() < end:
            continue  # within the stream before
        num_new, end = _unpacked_size(content, found.end(), limit - num_unpacked)
        num_unpacked += num_new
        if num_unpacked > limit:
            raise CorpusError(
                f"{path} is refused: its {len(content) / 1e6:,.1f} MB would unpack to more than "
                f"{limit / 1e6:,.0f} MB, as no text does; if it is one, print it to PDF again",
                code="corpus.zip_bomb",
            )


def _unpacked_size(content: bytes, start: int, limit: int) -> tuple[int, int]:
    """Return the unpacked size of a stream, up to a limit, and where it ends."""
    levels = [_Inflater()]
    num_unpacked = 0
    place = start
    while place < len(content) and not levels[0].is_done and num_unpacked <= limit:
        data = content[place : place + _CHUNK_BYTES]
        place += len(data)
        for level in range(_MAX_LEVELS):
            data = levels[level].feed(data, limit - num_unpacked + 1)
            num_unpacked += len(data)
            if level + 1 == len(levels):
                if level + 1 == _MAX_LEVELS or data[:1] != b"\x78":
                    break
                levels.append(_Inflater())  # deflated twice
    return num_unpacked, place - levels[0].num_unused


class _Inflater:
    """Unpacks a deflated stream piece by piece; damage ends it."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj()
        self._is_damaged = False

    @property
    def is_done(self) -> bool:
        return self._is_damaged or self._inflate.eof

    @property
    def num_unused(self) -> int:
        return len(self._inflate.unused_data)

    def feed(self, data: bytes, max_length: int) -> bytes:
        if self.is_done or not data or max_length <= 0:
            return b""
        try:
            return self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)
        except zlib.error:
            self._is_damaged = True
            return b""
