"""Zip archives, which office files and EPUB are too, with limits on what they unpack to."""

import io
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lorelm.errors import CorpusError

MAX_UNPACKED_BYTES: Final = 512 << 20
"""Of an archive. A novel in EPUB has 1 MB, one with pictures 50 MB."""

MAX_RATIO: Final = 200
"""Of unpacked to packed bytes. Text in XML has 5 to 20; deflate reaches 1,032 on zeros."""

MAX_MEMBERS: Final = 20_000

HARMLESS_BYTES: Final = 16 << 20
"""Of unpacked repeated characters, which are no danger whatever their ratio."""

_ENCRYPTED_FLAG: Final = 0x1


class Archive:
    """A zip archive whose declared sizes were checked.

    Attributes:
        path: of the file, for messages.
        names: of the members that are no folders.
        comment: of the archive; GitHub writes the commit there.

    Raises:
        CorpusError: it is damaged, locked, or unpacks to more than a text would.
    """

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            raise _damaged(path, error) from error
        members = [member for member in self._zip.infolist() if not member.is_dir()]
        self.names = [member.filename for member in members]
        self.comment = self._zip.comment
        _check_sizes(path, members, len(content))

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def read(self, name: str) -> bytes:
        """Return the content of a member.

        Raises:
            CorpusError: it is missing, locked or damaged. A member that is longer than the archive
                declares is damaged too: zipfile reads no further and compares checksums.
        """
        try:
            member = self._zip.getinfo(name)
        except KeyError as error:
            raise CorpusError(
                f"{self.path} is damaged: it has no part {name}; save it again",
                code="corpus.damaged",
            ) from error
        if member.flag_bits & _ENCRYPTED_FLAG:
            raise locked(self.path)
        try:
            return self._zip.read(member)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            RuntimeError,
            ValueError,
        ) as error:
            raise _damaged(self.path, error, name) from error

    def check(self) -> None:
        """Unpack every member, so that another library meets no size that was not declared.

        Raises:
            CorpusError: one is damaged or locked.
        """
        for name in self.names:
            self.read(name)


def is_zip(content: bytes) -> bool:
    """Return whether a file begins as a zip archive does."""
    return content.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def locked(path: Path) -> CorpusError:
    """Return the error of a file that needs a password."""
    return CorpusError(
        f"{path} is locked with a password: save it without one", code="corpus.locked"
    )


def _check_sizes(path: Path, members: Iterable[zipfile.ZipInfo], num_packed: int) -> None:
    members = list(members)
    num_unpacked = sum(member.file_size for member in members)
    if (
        num_unpacked > MAX_UNPACKED_BYTES
        or len(members) > MAX_MEMBERS
        or (num_unpacked > HARMLESS_BYTES and num_unpacked > MAX_RATIO * num_packed)
    ):
        raise CorpusError(
            f"{path} is refused: its {len(members):,} parts would unpack from "
            f"{num_packed / 1e6:,.1f} to {num_unpacked / 1e6:,.0f} MB, as no text does; if it is "
            "one, unpack it yourself and name the folder",
            code="corpus.zip_bomb",
        )


def _damaged(path: Path, error: Exception, name: str = "") -> CorpusError:
    place = f" at its part {name}" if name else ""
    return CorpusError(
        f"{path} is damaged{place} ({str(error) or 'it ends too early'}): copy or save it again",
        code="corpus.damaged",
    )
