"""Tensors in one file, in the layout of safetensors, compressed.

The layout is public (https://github.com/huggingface/safetensors#format) and small: the length of a
JSON header in eight bytes, the header, the tensors. It is written here because serving installs
have no package for it. The file is a gzip, since a static host may or may not compress what it
sends, and a browser decompresses a gzip itself.
"""

import gzip
import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_NAMES: Final = {
    np.dtype(np.float32): "F32",
    np.dtype(np.uint32): "U32",
    np.dtype(np.uint16): "U16",
    np.dtype(np.uint8): "U8",
    np.dtype(np.int8): "I8",
}


def tensor_file(tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, Any]) -> bytes:
    """Return the content of a file; the same for the same tensors and metadata.

    Args:
        metadata: becomes one JSON text with the key ``lorelm``.
    """
    header: dict[str, Any] = {"__metadata__": {"lorelm": _json(metadata)}}
    parts, size = [], 0
    # Wide numbers first, so that each tensor begins at a multiple of the size of its numbers.
    for name in sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name)):
        tensor = tensors[name]
        content = tensor.astype(tensor.dtype.newbyteorder("<"), copy=False).tobytes()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": tensor.shape,
            "data_offsets": [size, size + len(content)],
        }
        parts.append(content)
        size += len(content)
    text = _json(header).encode()
    text += b" " * (-len(text) % 8)
    return gzip.compress(b"".join([len(text).to_bytes(8, "little"), text, *parts]), mtime=0)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
