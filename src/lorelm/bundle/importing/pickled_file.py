"""From a foreign file to what is pickled in it: :func:`read_pickled_file`.

A file is a pickle alone, or of one of ``torch.save``'s two formats: a zip file with the pickle and
a record for each storage, or (before PyTorch 1.6) five pickles and then the storages.
"""

import io
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeGuard

from lorelm.bundle.importing.pickles import MAX_PICKLE_BYTES, Pickled, StorageClaim, read_pickle
from lorelm.errors import InputError

_MAGIC_NUMBER: Final = 0x1950A86A20F9469CFC6C
_GIT_LFS: Final = b"version https://git-lfs"
_MAGIC_BYTES: Final = _MAGIC_NUMBER.to_bytes(10, "little")
_PROTOCOL: Final = 1001
_ZIP_START: Final = b"PK\x03\x04"
_ZIP_END: Final = b"PK\x05\x06"
_ZIP_END_BYTES: Final = 22
_ZIP64_LOCATOR: Final = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES: Final = 20
_ZIP64_END_BYTES: Final = 56
_MAX_END_BYTES: Final = _ZIP64_END_BYTES + _ZIP64_LOCATOR_BYTES + _ZIP_END_BYTES + 65_535
"""The last records of a zip file, with its comment."""

_MAX_RECORDS: Final = 10_000
_MAX_DIRECTORY_BYTES: Final = 200 * _MAX_RECORDS
_OLD_STARTS: Final = (b"(lp0\n", b"(dp0\n", b"(lp1\n", b"(dp1\n", b"ccopy_reg\n", b"ccopyreg\n")
_LENGTH: Final = struct.Struct("<q")
"""In the old format, each storage begins with its length in numbers."""


@dataclass(frozen=True)
class PickledFile:
    """A foreign file, looked through.

    Attributes:
        offsets: where in the file the bytes of each storage begin, by its key.
    """

    path: Path
    pickled: Pickled
    offsets: Mapping[str, int]

    def storage(self, claim: StorageClaim) -> bytes:
        """The bytes of a storage.

        Raises:
            InputError: they cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offsets[claim.key])
                data = file.read(claim.num_bytes)
        except OSError as error:
            raise InputError(f"{self.path} cannot be read ({error.strerror or error})") from error
        if len(data) < claim.num_bytes:
            raise InputError(f"{self.path} was changed while it was read")
        return data


def is_pickled(path: Path) -> bool:
    """Whether a file begins like one of ``torch.save``'s, or like a pickle.

    Pickles of before protocol 2 begin like texts: of those, only lists, dicts and instances count.

    Raises:
        InputError: it cannot be read.
    """
    start = _head(path, max(map(len, _OLD_STARTS)))
    return start.startswith((_ZIP_START, b"\x80", *_OLD_STARTS))


def read_pickled_file(path: Path) -> PickledFile:
    """What is pickled in a file, with the storages of its tensors checked to be there, whole.

    Raises:
        InputError: the file cannot be read, is no such file, is cut off, or asks for more than
            plain values and tensors. The message names the file.
    """
    is_zip = _head(path, len(_ZIP_START)) == _ZIP_START
    try:
        return _read_zip(path) if is_zip else _read_plain(path)
    except InputError as error:
        raise InputError(f"{path} is not imported: {error}") from error


def _head(path: Path, num_bytes: int) -> bytes:
    if path.exists() and not path.is_file():  # to open a pipe would wait for ever
        raise InputError(f"{path} cannot be read (it is no file)")
    try:
        with path.open("rb") as file:
            return file.read(min(num_bytes, path.stat().st_size))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})") from error


def _read_plain(path: Path) -> PickledFile:
    """A pickle alone, or the old format."""
    num_bytes = path.stat().st_size
    data = _head(path, MAX_PICKLE_BYTES)
    _refuse_other_formats(data)
    if num_bytes > MAX_PICKLE_BYTES and _MAGIC_BYTES not in data[:32]:
        raise InputError(
            f"it has more than {MAX_PICKLE_BYTES / 1e6:,.0f} MB, too much for a pickle"
        )
    first = read_pickle(data)
    if first.value == _MAGIC_NUMBER:
        return _read_legacy(path, data, first)
    if first.storages:
        raise InputError("it claims tensors that are not in it")
    return PickledFile(path, first, {})


def _refuse_other_formats(data: bytes) -> None:
    """Names what people take for such a file.

    Raises:
        InputError: it is one of those.
    """
    if not data:
        raise InputError("it is empty")
    start = data[:100].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise InputError("it is a web page, and not the file that was to be fetched")
    if start.startswith(b"<"):
        raise InputError("it is a text and no pickle: with a word a line, it is to end in .txt")
    if data.startswith(_GIT_LFS):
        raise InputError("it is a pointer of Git LFS and not the file: git lfs pull fetches that")
    if data[8:10] == b'{"':
        raise InputError(
            "it is a file of safetensors: load it, and save the weights with "
            "torch.save(model.state_dict(), ...)"
        )


def _read_legacy(path: Path, data: bytes, magic: Pickled) -> PickledFile:
    """The old format: a version, facts of a machine, the value, the keys of its storages, those.

    Args:
        magic: what the file begins with. All of its pickles together may build what one may.
    """
    parts = []
    start, built_bytes = magic.num_bytes, magic.built_bytes
    for _ in range(4):
        part = read_pickle(data[start:], built_bytes=built_bytes)
        start, built_bytes = start + part.num_bytes, part.built_bytes
        parts.append(part)
    version, machine, pickled, keys = parts
    is_little_endian = isinstance(machine.value, dict) and machine.value.get("little_endian")
    if version.value != _PROTOCOL or not is_little_endian:
        raise InputError("it is of a form of torch.save that is not known: save it again")
    if not _are_keys(keys.value) or sorted(keys.value) != sorted(pickled.storages):
        raise InputError("it is damaged: its list of storages is not that of its tensors")
    offsets = {}
    num_bytes = path.stat().st_size
    with path.open("rb") as file:
        for key in keys.value:
            if start > num_bytes:
                raise InputError(_cut_off(start - num_bytes))
            claim = pickled.storages[key]
            file.seek(start)
            length = file.read(_LENGTH.size)
            if len(length) == _LENGTH.size and _LENGTH.unpack(length)[0] != claim.num_items:
                raise InputError(f"it is damaged: its storage {key!r} has another length")
            offsets[key] = start + _LENGTH.size
            start = offsets[key] + claim.num_bytes
    if start > num_bytes:
        raise InputError(_cut_off(start - num_bytes))
    return PickledFile(path, pickled, offsets)


def _are_keys(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(key, str) for key in value)


def _read_zip(path: Path) -> PickledFile:
    try:
        with path.open("rb") as file, zipfile.ZipFile(_with_short_directory(file)) as archive:
            records = _checked_records(archive, file.seek(0, io.SEEK_END))
            data = _data_pickle(records)
            folder = data.filename.removesuffix("data.pkl")
            _check_byte_order(file, records.get(f"{folder}byteorder"))
            pickled = read_pickle(_stored(file, data))
            offsets = {}
            for key, claim in pickled.storages.items():
                info = records.get(f"{folder}data/{key}")
                _check_storage(info, claim)
                assert info is not None
                offsets[key] = _data_offset(file, info)
            return PickledFile(path, pickled, offsets)
    except InputError:
        raise
    # NotImplementedError: of a version of the format that Python's zipfile does not read.
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError) as error:
        raise InputError(
            f"it begins like a file of torch.save, and is cut off or damaged ({error})"
        ) from error


def _with_short_directory(file: BinaryIO) -> BinaryIO:
    """The same zip file; refuses one whose directory is too long to be read, by its last records.

    Where there is one of 64 bits before the last, Python believes that.
    """
    file.seek(max(0, file.seek(0, io.SEEK_END) - _MAX_END_BYTES))
    end = file.read()
    place = end.rfind(_ZIP_END)
    if place < 0 or len(end) - place < _ZIP_END_BYTES:
        raise InputError("it begins like a file of torch.save, and is cut off: save it again")
    [directory_bytes] = struct.unpack("<I", end[place + 12 : place + 16])
    locator = place - _ZIP64_LOCATOR_BYTES
    if end[max(locator, 0) :].startswith(_ZIP64_LOCATOR) and locator >= _ZIP64_END_BYTES:
        last = end[locator - _ZIP64_END_BYTES : locator]
        [directory_bytes] = struct.unpack("<Q", last[40:48])
    if directory_bytes > _MAX_DIRECTORY_BYTES:
        raise InputError("it is a zip file of more records than torch.save writes")
    return file


def _checked_records(archive: zipfile.ZipFile, num_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The records by their names: as torch.save writes them, so that nothing expands."""
    infos = archive.infolist()
    records = {info.filename: info for info in infos}
    if len(records) != len(infos) or len(infos) > _MAX_RECORDS:
        raise InputError(
            f"it is a zip file of {len(infos):,} records that torch.save did not write"
        )
    if any(info.filename.endswith("/constants.pkl") for info in infos):
        raise InputError(
            "it is a program for TorchScript (torch.jit.save): save the weights alone, with "
            "torch.save(model.state_dict(), ...)"
        )
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise InputError(
                f"its record {info.filename!r} is compressed to {info.compress_size:,} bytes of "
                f"{info.file_size:,}, which torch.save does not do"
            )
    if sum(info.file_size for info in infos) > num_bytes:
        raise InputError("its records claim more bytes than it has")
    return records


def _data_pickle(records: Mapping[str, zipfile.ZipInfo]) -> zipfile.ZipInfo:
    found = [info for name, info in records.items() if name.split("/")[1:] == ["data.pkl"]]
    if len(found) != 1:
        raise InputError("it is a zip file, and not one of torch.save: it has no data.pkl")
    if found[0].file_size > MAX_PICKLE_BYTES:
        raise InputError(f"its data.pkl has more than {MAX_PICKLE_BYTES / 1e6:,.0f} MB")
    return found[0]


def _check_byte_order(file: BinaryIO, info: zipfile.ZipInfo | None) -> None:
    if info is not None and (info.file_size > 10 or _stored(file, info) != b"little"):
        raise InputError("it was written on a machine that puts the high byte first: save it again")


def _data_offset(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a record begin; its own header says again how long its names are."""
    file.seek(info.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != _ZIP_START:
        raise InputError(f"its record {info.filename!r} is not where it should be")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    offset = info.header_offset + 30 + int(name_length) + int(extra_length)
    missing = offset + info.file_size - file.seek(0, 2)
    if missing > 0:
        raise InputError(_cut_off(missing))
    return offset


def _stored(file: BinaryIO, info: zipfile.ZipInfo) -> bytes:
    file.seek(_data_offset(file, info))
    return file.read(info.file_size)


def _check_storage(info: zipfile.ZipInfo | None, claim: StorageClaim) -> None:
    if info is None:
        raise InputError(f"its storage {claim.key!r} is missing")
    if info.file_size < claim.num_bytes:
        raise InputError(
            f"its storage {claim.key!r} is said to hold {claim.num_bytes:,} bytes and has "
            f"{info.file_size:,}"
        )


def _cut_off(num_bytes: int) -> str:
    return f"it is cut off: {num_bytes:,} bytes are missing; copy it again"
