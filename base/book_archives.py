"""Download the archives of the editions into a folder that outlives an interrupted run."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

from book_sources import GITHUB, Source
from lorelm.corpus.formats.archives import Archive
from lorelm.errors import CorpusError

MAX_ARCHIVE_BYTES: Final = 256 << 20
"""Of a download. An edition with pictures has some 30 MB."""

_ATTEMPTS: Final = 3
_CHUNK_BYTES: Final = 1 << 16
_TIMEOUT_SECONDS: Final = 60
_PARTIAL: Final = 206
_NOT_FOUND: Final = 404
_RANGE_NOT_SATISFIABLE: Final = 416
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500


class _TransferError(Exception):
    """A download broke off; another attempt may succeed."""


class ArchiveCache:
    """Folder of archives, each of which was verified before it got its name.

    Args:
        folder: it is made if it is missing.
        mirror: address that takes the place of https://github.com.
        pause_seconds: before the second attempt of a download; twice as long before the third.
    """

    def __init__(self, folder: Path, *, mirror: str = GITHUB, pause_seconds: float = 5) -> None:
        self._folder = folder
        self._mirror = mirror
        self._pause_seconds = pause_seconds

    def archive(self, source: Source) -> Archive:
        """Return the archive of an edition; download it if the folder does not hold it.

        Raises:
            CorpusError: it cannot be downloaded or saved, is damaged or belongs to another commit.
        """
        url = source.archive_url(self._mirror)
        path = self._folder / f"{source.work}.{source.commit}.zip"
        part = path.with_name(f"{path.name}.part")
        with _wrap_disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            if path.exists():
                with suppress(CorpusError):  # damaged since it was saved
                    return _verified(path, path.read_bytes(), source, url)
            while True:
                is_resumed = part.exists()
                self._download(url, part)
                try:
                    archive = _verified(path, part.read_bytes(), source, url)
                except CorpusError:
                    part.unlink()
                    # The first part may be of an archive that GitHub has packed again since then.
                    if not is_resumed:
                        raise
                else:
                    part.replace(path)
                    return archive

    def _download(self, url: str, part: Path) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                _receive(url, part)
            except _TransferError as error:
                if attempt == _ATTEMPTS:
                    raise CorpusError(
                        f"{url} cannot be downloaded ({error}): check the connection and run the "
                        "same command again, which continues from there",
                        code="books.download",
                    ) from error
                time.sleep(self._pause_seconds * attempt)
            else:
                return


def _receive(url: str, part: Path) -> None:
    """Append to a file what is missing of a download.

    A server that cannot send a range of bytes sends all of them; the file then begins anew.
    """
    num_bytes = part.stat().st_size if part.exists() else 0
    with _wrap_transfer_errors(url, part):
        response = _opener(num_bytes).open(url, timeout=_TIMEOUT_SECONDS)
    with response:
        is_rest = response.status == _PARTIAL
        if is_rest and not response.headers.get("Content-Range", "").startswith(
            f"bytes {num_bytes}-"
        ):
            part.unlink()
            raise _TransferError("another part was sent than the one asked for")
        with part.open("ab" if is_rest else "wb") as file:
            for chunk in _chunks(response, url, part):
                file.write(chunk)
                if file.tell() > MAX_ARCHIVE_BYTES:
                    raise CorpusError(
                        f"{url} is refused: it is longer than {MAX_ARCHIVE_BYTES / 1e6:.0f} MB, as "
                        "no edition is; use GitHub or another mirror (--mirror)",
                        code="books.too_large",
                    )


def _chunks(response: http.client.HTTPResponse, url: str, part: Path) -> Iterator[bytes]:
    num_missing = response.length or 0  # of unknown length: 0
    while True:
        with _wrap_transfer_errors(url, part):
            chunk = response.read(_CHUNK_BYTES)
        if not chunk:
            break
        num_missing -= len(chunk)
        yield chunk
    # `read` returns what came when the connection ended; it does not compare lengths.
    if num_missing > 0:
        raise _TransferError(f"{num_missing:,} bytes are missing")


def _opener(num_bytes: int) -> urllib.request.OpenerDirector:
    """Return what opens addresses of the web and nothing else, such as files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", "lorelm-fetch-books")]
    if num_bytes:
        opener.addheaders.append(("Range", f"bytes={num_bytes}-"))
    return opener


@contextmanager
def _wrap_transfer_errors(url: str, part: Path) -> Iterator[None]:
    """Turn errors of the network into those that another attempt may help, and those it cannot."""
    try:
        yield
    except urllib.error.HTTPError as error:
        with error:
            _raise_status_error(url, part, error)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise _TransferError(str(reason) or type(error).__name__) from error


def _raise_status_error(url: str, part: Path, error: urllib.error.HTTPError) -> NoReturn:
    if error.code == _RANGE_NOT_SATISFIABLE:  # the file is as long as the archive, or longer
        part.unlink(missing_ok=True)
    if error.code in (_RANGE_NOT_SATISFIABLE, _TOO_MANY_REQUESTS) or error.code >= _SERVER_ERROR:
        raise _TransferError(f"HTTP {error.code}") from error
    hint = (
        "the repository may have moved, or lost the commit"
        if error.code == _NOT_FOUND
        else "wait, or use another mirror (--mirror)"
    )
    raise CorpusError(
        f"{url} cannot be downloaded (HTTP {error.code}): {hint}", code="books.refused"
    ) from error


def _verified(path: Path, content: bytes, source: Source, url: str) -> Archive:
    """Return the archive that a download holds, if it is whole and of the right commit."""
    try:
        archive = Archive(path, content)
        archive.check()
    except CorpusError as error:
        is_bomb = error.code == "corpus.zip_bomb"
        reason = "it unpacks to more than a book" if is_bomb else error.__cause__ or error
        raise CorpusError(
            f"{url} sent an archive that cannot be used ({reason}): run the same "
            "command again, or use another mirror (--mirror)",
            code="books.damaged_archive",
        ) from error
    found = archive.comment.decode("ascii", "replace")  # GitHub writes the commit there
    if found != source.commit:
        raise CorpusError(
            f"{url} sent the files of commit {found or '(none named)'}, not of {source.commit}: "
            "use GitHub or another mirror (--mirror)",
            code="books.wrong_commit",
        )
    return archive


@contextmanager
def _wrap_disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CorpusError(
            f"{folder} cannot be used for the downloads ({error.strerror or error}): free space on "
            "the disk or choose another folder with --cache",
            code="books.cache_unusable",
        ) from error
