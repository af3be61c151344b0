"""Read the nodes and the constants of a step graph, without the package ``onnx``.

Serving installs do not have that package, and it is 60 MB. An ONNX file is a protocol buffer
(https://protobuf.dev/programming-guides/encoding/), with the fields of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, of which these are enough::

    ModelProto   7 graph
    GraphProto   1 node, 5 initializer
    NodeProto    1 input, 2 output, 4 op_type
    TensorProto  1 dims, 2 data_type, 8 name, 9 raw_data
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_DTYPES: Final = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64}
"""Of TensorProto.DataType, those that step graphs have."""


@dataclass(frozen=True)
class Node:
    """An operator, the names of what it reads, and of what it computes."""

    operator: str
    inputs: Sequence[str]
    outputs: Sequence[str]


@dataclass(frozen=True)
class Graph:
    """The nodes in their order, and the constants by their names."""

    nodes: Sequence[Node]
    constants: Mapping[str, npt.NDArray[Any]]


def read_graph(content: bytes) -> Graph:
    """Read a step graph.

    Raises:
        ValueError: it is no ONNX file, or has a constant of a type that no step graph has.
    """
    try:
        [graph] = _fields(memoryview(content), 7)
        return Graph(
            nodes=[_node(node) for node in _fields(graph, 1)],
            constants=dict(_tensor(tensor) for tensor in _fields(graph, 5)),
        )
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is no step graph: {error}") from error


def _node(message: memoryview) -> Node:
    [operator] = _texts(message, 4)
    return Node(operator, _texts(message, 1), _texts(message, 2))


def _tensor(message: memoryview) -> tuple[str, npt.NDArray[Any]]:
    [name], [raw_data], [data_type] = _texts(message, 8), _fields(message, 9), _numbers(message, 2)
    values = np.frombuffer(raw_data, np.dtype(_DTYPES[data_type]).newbyteorder("<"))
    return name, values.reshape(_numbers(message, 1))


def _fields(message: memoryview, wanted: int) -> list[Any]:
    return [value for number, value in _read(message) if number == wanted]


def _texts(message: memoryview, wanted: int) -> list[str]:
    return [bytes(value).decode() for value in _fields(message, wanted)]


def _numbers(message: memoryview, wanted: int) -> list[int]:
    """Return the whole numbers of a field, which may be packed into one value."""
    numbers = []
    for number, value in _read(message):
        if number != wanted:
            continue
        if isinstance(value, int):
            numbers.append(value)
            continue
        place = 0
        while place < len(value):
            each, place = _varint(value, place)
            numbers.append(each)
    return numbers


def _read(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a message: their numbers and values."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield tag >> 3, value
            continue
        if kind not in (1, 2, 5):
            raise ValueError(f"a field of kind {kind}")
        size, place = _varint(message, place) if kind == 2 else (4 if kind == 5 else 8, place)
        if place + size > len(message):
            raise ValueError("cut short")
        yield tag >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, the lowest first, and the place after it."""
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
