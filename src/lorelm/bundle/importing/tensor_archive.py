"""A file of ``torch.save`` written anew, with chosen tensors of a foreign one and nothing else.

What PyTorch reads is thus what was looked through: no name and no operation of the foreign pickle
is in it, whatever PyTorch's own reader would make of them.
"""

import io
import struct
import zipfile
from collections.abc import Mapping

from lorelm.bundle.importing.pickled_file import PickledFile
from lorelm.bundle.importing.pickles import StorageClaim, TensorClaim


def tensor_archive(file: PickledFile, tensors: Mapping[str, TensorClaim]) -> io.BytesIO:
    """The tensors of a file by new names, in the zip format of ``torch.save``.

    Raises:
        InputError: the file cannot be read.
    """
    archive = io.BytesIO()
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    keys = {key: str(number) for number, key in enumerate(storages)}
    with zipfile.ZipFile(archive, "w") as records:
        records.writestr("archive/data.pkl", _pickle(tensors, keys))
        records.writestr("archive/byteorder", "little")
        for key, claim in storages.items():
            records.writestr(f"archive/data/{keys[key]}", file.storage(claim))
        records.writestr("archive/version", "3\n")
    archive.seek(0)
    return archive


def _pickle(tensors: Mapping[str, TensorClaim], keys: Mapping[str, str]) -> bytes:
    """A dict of tensors as ``torch.save`` pickles one, in protocol 2."""
    items = b"".join(
        _text(name) + _tensor(tensor, keys[tensor.storage.key]) for name, tensor in tensors.items()
    )
    return b"\x80\x02}(" + items + b"u."


def _tensor(tensor: TensorClaim, key: str) -> bytes:
    """A call of _rebuild_tensor_v2(storage, offset, shape, stride, requires_grad, hooks)."""
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + _storage(tensor.storage, key)
        + _int(tensor.offset)
        + _ints(tensor.shape)
        + _ints(tensor.stride)
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def _storage(claim: StorageClaim, key: str) -> bytes:
    name = f"ctorch\n{claim.type}\n".encode("ascii")
    parts = _text("storage") + name + _text(key) + _text("cpu") + _int(claim.num_items)
    return b"(" + parts + b"tQ"


def _ints(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_int, values)) + b"t"


def _int(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def _text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data
