"""The tensors of an int8 step graph, as the step in the browser reads them.

The names, with their axes as in ARCHITECTURE.md, K for the width of an operand and G for 4H::

    layer_0.weight_GK, .scale_G, .bias_G    of each layer, with the gates in the order i, f, g, o
    projection.weight_EH, .scale_E, .bias_E where the model has a projection
    output.weight_VK, .scale_V, .bias_V
    rows_VE                                 the embeddings, as operands
    rows_scale                              of a tied model, whose rows are those of the output
    words.weight_GE, .scale_G, .bias_G      where the products with `rows_VE` are tabulated
    table_VG                                these products, in a graph of an older version

A product is ``(sum of whole numbers) * scale + bias``, in float32. The scale is that of the row
times that of the operand: 1/127, which is not in `scale` but for `words`. Without `words` and
without `table_VG`, the operand of the first layer is the word's row and then its hidden state.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lorelm.export.onnx_file import Graph, Node
from lorelm.model.config import ModelConfig

Tensors = Mapping[str, npt.NDArray[Any]]

_ZERO_POINT: Final = 128


def step_tensors(graph: Graph, config: ModelConfig) -> Tensors:
    """Return the tensors of a graph that :mod:`lorelm.runtime.step_graph` built.

    Raises:
        ValueError: it is another graph.
    """
    try:
        return _Reader(graph).tensors(config)
    except (KeyError, IndexError, StopIteration, TypeError) as error:
        raise ValueError(f"this is not the step graph of such a model: {error!r}") from error


class _Reader:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._constants = graph.constants
        self._made_by = {name: node for node in graph.nodes for name in node.outputs}

    def tensors(self, config: ModelConfig) -> Tensors:
        products = [n for n in self._graph.nodes if n.operator == "MatMulIntegerToFloat"]
        names = [
            *(f"layer_{layer}" for layer in range(config.num_layers)),
            *(["projection"] if config.is_projected else []),
            "output",
        ]
        tensors = self._inputs()
        for name, product in zip(names, products, strict=True):
            tensors |= self._product(name, product)
        return tensors

    def _inputs(self) -> dict[str, npt.NDArray[Any]]:
        """Return what the id that is read becomes an operand, or products, by."""
        source = self._first("Gather").inputs[0]
        table = self._constants.get(source)
        if table is None:
            return self._tabulated(self._made_by[source])
        if table.dtype == np.float32:
            return {"table_VG": table}
        if table.dtype == np.uint8:
            return {"rows_VE": _as_int8(table)}
        return {"rows_scale": self._constants[self._first("QuantizeLinear").inputs[1]].reshape(1)}

    def _tabulated(self, add: Node) -> dict[str, npt.NDArray[Any]]:
        """Return the factors of a table: cast(rows x weight) * scale + bias."""
        scaled, bias = self._made_by[add.inputs[0]], self._constants[add.inputs[1]]
        cast = self._made_by[scaled.inputs[0]]
        rows, weight, _ = self._made_by[cast.inputs[0]].inputs
        return {
            "rows_VE": _as_int8(self._constants[rows]),
            "words.weight_GE": np.ascontiguousarray(self._constants[weight].T),
            "words.scale_G": self._constants[scaled.inputs[1]],
            "words.bias_G": bias,
        }

    def _product(self, name: str, node: Node) -> dict[str, npt.NDArray[Any]]:
        _, weight, _, scale, _, _, bias = node.inputs
        axes = {"projection": "EH", "output": "VK"}.get(name, "GK")
        tensors = {
            f"{name}.weight_{axes}": self._weight(weight),
            f"{name}.scale_{axes[0]}": self._constants[scale],
        }
        if bias:
            tensors[f"{name}.bias_{axes[0]}"] = self._constants[bias]
        return tensors

    def _weight(self, name: str) -> npt.NDArray[Any]:
        """Return a matrix of weights with a row for each output."""
        if name in self._constants:
            return np.ascontiguousarray(self._constants[name].T)
        return self._constants[self._made_by[name].inputs[0]]  # the graph transposes it

    def _first(self, operator: str) -> Node:
        return next(node for node in self._graph.nodes if node.operator == operator)


def _as_int8(operands: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """Return operands without their zero point."""
    return (operands.astype(np.int16) - _ZERO_POINT).astype(np.int8)
