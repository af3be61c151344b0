import gzip
import json

import numpy as np
from safetensors.numpy import load

from lorelm.export.tensor_file import tensor_file

TENSORS = {
    "bytes": np.arange(-3, 4, dtype=np.int8),
    "floats": np.array([[1.5, -2.0]], np.float32),
    "counts": np.array([1, 70_000], np.uint32),
    "none": np.zeros((0, 4), np.uint8),
}


def test_the_library_reads_it() -> None:
    content = gzip.decompress(tensor_file(TENSORS, {"words": ["é", "\n"]}))
    tensors = load(content)
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert np.array_equal(tensors[name], tensor)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["lorelm"]) == {"words": ["é", "\n"]}


def test_the_same_tensors_give_the_same_bytes() -> None:
    """Also tomorrow, and given in another order: the name of the file is its hash."""
    reordered = dict(reversed(TENSORS.items()))
    assert tensor_file(TENSORS, {"format": 1}) == tensor_file(reordered, {"format": 1})


def test_each_tensor_begins_where_its_type_may() -> None:
    content = gzip.decompress(tensor_file(TENSORS, {"x": "y" * 3}))
    size = int.from_bytes(content[:8], "little")
    assert (8 + size) % 8 == 0
    header = json.loads(content[8 : 8 + size])
    for name, tensor in TENSORS.items():
        assert header[name]["data_offsets"][0] % tensor.dtype.itemsize == 0
