"""Read the pickle in a foreign file, and the numbers of its tensors: :func:`read_pickled_file`.

A file is a pickle alone, or of one of ``torch.save``'s two formats: a zip file with the pickle and
a record per storage, or (before PyTorch 1.6) five pickles followed by the storages.
"""

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from lorelm.bundle.importing.stubs import TensorClaim
from lorelm.bundle.importing.unpickler import MAX_PICKLE_BYTES, Budget, read_pickle
from lorelm.errors import InputError
from lorelm.typing import Floats32

_MAGIC_NUMBER: Final = 0x1950A86A20F9469CFC6C
_MAGIC_BYTES: Final = _MAGIC_NUMBER.to_bytes(10, "little")
_PROTOCOL: Final = 1001
_ZIP_START: Final = b"PK\x03\x04"
_MAX_DIRECTORY_BYTES: Final = 2_000_000  # ten thousand records of long names
_OLD_STARTS: Final = (b"(lp0\n", b"(dp0\n", b"(lp1\n", b"(dp1\n", b"ccopy_reg\n", b"ccopyreg\n")


# What is often taken for a pickle, by how it begins, with the remedy for each.
_OTHER_FORMATS: Final = {
    rb"\Z": "it is empty",
    rb"\s*<(!doctype|html|\?xml)": "it is a web page, and not the file that was to be fetched",
    rb"\s*<": "it is a text and no pickle: with a word a line, it is to end in .txt",
    b"version https://git-lfs": (
        "it is a pointer of Git LFS and not the file: git lfs pull fetches that"
    ),
    rb'.{8}\{"': (
        "it is a file of safetensors: load it, and save the weights with "
        "torch.save(model.state_dict(), ...)"
    ),
}


@contextmanager
def naming(path: Path, *, code: str = "import.refused") -> Iterator[None]:
    """Name the file in the error that refuses it, or that says why it cannot be read."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path} is not imported: {error}", code=code) from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error})", code="import.unreadable"
        ) from error


@dataclass(frozen=True)
class PickledFile:
    """A foreign file whose pickle was read.

    Attributes:
        places: where in the file the bytes of each storage lie, by its key.
    """

    path: Path
    value: Any
    places: Mapping[str, range]

    def arrays(self, tensors: Mapping[str, TensorClaim]) -> dict[str, Floats32]:
        """Return the numbers of tensors of floats, in float32; refuse NaN and infinity."""
        keys = {tensor.storage.key for tensor in tensors.values()}
        with naming(self.path, code="import.changed_file"), self.path.open("rb") as file:
            stored = {key: _read(file, self.places[key]) for key in keys}
        arrays = {name: _array(t, stored[t.storage.key]) for name, t in tensors.items()}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise InputError(
                    f"{self.path} is not imported: its tensor {name} holds numbers that are "
                    "infinite or none (NaN): the training went astray; take a checkpoint from "
                    "before",
                    code="import.not_finite",
                )
        return arrays


def _array(tensor: TensorClaim, data: bytes) -> Floats32:
    dtype = tensor.storage.dtype
    strides = [step * dtype.itemsize for step in tensor.stride]
    # NumPy checks once more that the array lies within the buffer.
    stored = np.ndarray(tensor.shape, dtype, data, tensor.offset * dtype.itemsize, strides)
    if tensor.storage.type == "BFloat16Storage":  # the upper half of a float32
        return (stored.astype("<u4") << 16).view(np.float32)
    with np.errstate(over="ignore"):  # infinite numbers are refused by name
        return stored.astype(np.float32)


def is_pickled(path: Path) -> bool:
    """Tell whether a file begins like one of ``torch.save``'s, or like a pickle.

    Pickles of before protocol 2 begin like texts: of those, only lists, dicts and instances count.
    """
    with naming(path):
        return _head(path, 20).startswith((_ZIP_START, b"\x80", *_OLD_STARTS))


def read_pickled_file(path: Path) -> PickledFile:
    """Read what is pickled in a file, and check that the storages of its tensors are complete."""
    with naming(path):
        is_zip = _head(path, len(_ZIP_START)) == _ZIP_START
        return _read_zip(path) if is_zip else _read_plain(path)


def _read(file: BinaryIO, place: range) -> bytes:
    file.seek(place.start)
    data = file.read(len(place))
    if len(data) < len(place):
        raise InputError("it was changed while it was read")
    return data


def _head(path: Path, num_bytes: int) -> bytes:
    if path.exists() and not path.is_file():  # opening a pipe would block
        raise OSError("it is no file")
    with path.open("rb") as file:
        return file.read(min(num_bytes, path.stat().st_size))


def _read_plain(path: Path) -> PickledFile:
    data = _head(path, MAX_PICKLE_BYTES)
    _refuse_other_formats(data)
    if path.stat().st_size > MAX_PICKLE_BYTES and _MAGIC_BYTES not in data[:32]:
        raise InputError(
            f"it has more than {MAX_PICKLE_BYTES / 1e6:,.0f} MB, too much for a pickle"
        )
    pickles, budget = io.BytesIO(data), Budget()
    value, storages = read_pickle(pickles, budget)
    if value == _MAGIC_NUMBER:
        return _read_old_format(path, pickles, budget)
    if storages:
        raise InputError("it claims tensors that are not in it")
    return PickledFile(path, value, {})


def _refuse_other_formats(data: bytes) -> None:
    for pattern, message in _OTHER_FORMATS.items():
        if re.match(pattern, data[:100], re.IGNORECASE | re.DOTALL):
            raise InputError(message)


def _read_old_format(path: Path, pickles: BinaryIO, budget: Budget) -> PickledFile:
    """Read what follows the magic number: version, machine, value, keys of storages, storages."""
    version, _ = read_pickle(pickles, budget)
    machine, _ = read_pickle(pickles, budget)
    value, storages = read_pickle(pickles, budget)
    keys, _ = read_pickle(pickles, budget)
    is_little_endian = isinstance(machine, dict) and machine.get("little_endian")
    if version != _PROTOCOL or not is_little_endian:
        raise InputError("it is of a form of torch.save that is not known: save it again")
    is_list = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not is_list or sorted(keys) != sorted(storages):
        raise InputError("it is damaged: its list of storages is not that of its tensors")
    places = {}
    start, num_bytes = pickles.tell(), path.stat().st_size
    with path.open("rb") as file:
        for key in keys:
            storage = storages[key]
            file.seek(min(start, num_bytes))
            length = file.read(8)  # each storage begins with its length in numbers
            if len(length) == 8 and int.from_bytes(length, "little") != storage.num_items:
                raise InputError(f"it is damaged: its storage {key!r} has another length")
            places[key] = range(start + 8, start + 8 + storage.num_bytes)
            start = places[key].stop
    _check_length(start, num_bytes)
    return PickledFile(path, value, places)


def _check_length(end: int, num_bytes: int) -> None:
    if end > num_bytes:
        raise InputError(f"it is cut off: {end - num_bytes:,} bytes are missing; copy it again")


class _BoundedFile(io.FileIO):
    """File of which no long directory is read: of a million records, each would take 500 bytes."""

    def read(self, size: int | None = -1, /) -> Any:
        if (size or 0) > _MAX_DIRECTORY_BYTES:
            raise InputError("it is a zip file of more records than torch.save writes")
        return super().read(size)


def _read_zip(path: Path) -> PickledFile:
    try:
        with path.open("rb") as file:
            records = _records(path, file)
            names = [name for name in records if name.split("/")[1:] == ["data.pkl"]]
            if len(names) != 1:
                raise InputError("it is a zip file, and not one of torch.save: it has no data.pkl")
            data, folder = records[names[0]], names[0].removesuffix("data.pkl")
            if len(data) > MAX_PICKLE_BYTES:
                raise InputError(f"its data.pkl has more than {MAX_PICKLE_BYTES / 1e6:,.0f} MB")
            order = records.get(f"{folder}byteorder")
            if order is not None and _read(file, order[:10]) != b"little":
                raise InputError(
                    "it was written on a machine that puts the high byte first: save it again"
                )
            value, storages = read_pickle(io.BytesIO(_read(file, data)))
    except InputError:
        raise
    # NotImplementedError: of a version of the format that Python's zipfile does not read.
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError) as error:
        raise InputError(
            f"it begins like a file of torch.save, and is cut off or damaged ({error})"
        ) from error
    places = {}
    for key, storage in storages.items():
        place = records.get(f"{folder}data/{key}", range(0))
        if len(place) < storage.num_bytes:
            raise InputError(
                f"its storage {key!r} is missing, or shorter than the {storage.num_bytes:,} bytes "
                "that it is said to hold"
            )
        places[key] = place[: storage.num_bytes]
    return PickledFile(path, value, places)


def _records(path: Path, file: BinaryIO) -> dict[str, range]:
    """Return where each record lies; refuse compressed ones, so that nothing expands."""
    with _BoundedFile(path) as bounded, zipfile.ZipFile(bounded) as archive:
        infos = archive.infolist()
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
    is_overlapping = sum(info.file_size for info in infos) > path.stat().st_size
    if is_overlapping or len({info.filename for info in infos}) != len(infos):
        raise InputError("it is a zip file of records that torch.save did not write")
    return {info.filename: _place(file, info) for info in infos}


def _place(file: BinaryIO, info: zipfile.ZipInfo) -> range:
    """Return where a record's bytes lie, by the lengths of the names in its own header."""
    file.seek(info.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != _ZIP_START:
        raise InputError(f"its record {info.filename!r} is not where it should be")
    name_length, extra_length = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    start = info.header_offset + 30 + name_length + extra_length
    _check_length(start + info.file_size, file.seek(0, io.SEEK_END))
    return range(start, start + info.file_size)
