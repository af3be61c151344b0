"""Build the ONNX graph of one step from a model's weights, in float32 or int8.

The graph reads one id of each of B texts; each layer has a hidden and a cell state::

    ids_B, h_0_BH, c_0_BH, h_1_BH, …  ->  logits_BV, next_h_0_BH, next_c_0_BH, next_h_1_BH, …

In int8, weights are quantised by output column, and their operands have fixed scales: the hidden
state lies in (-1, 1), so its scale is the constant 1/127, and the embeddings have one scale for the
whole table. Fixed scales and integer sums, which are exact, make a row's
logits independent of the rows beside it; scales measured at run time would not.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from lorelm.errors import MissingExtraError
from lorelm.model.config import ModelConfig
from lorelm.runtime.base import input_names, output_names
from lorelm.typing import Floats32

Precision = Literal["float32", "int8"]
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)

Weights = Mapping[str, Floats32]
"""A model's tensors, named and shaped as :meth:`ModelConfig.tensor_shapes` says."""

# For a small vocabulary, the first layer's products with every word's embedding are tabulated:
# 15 % more tokens/s for the classic model, for a table of 7.5 MB in memory.
MAX_TABLE_BYTES: Final = 16_000_000

_STATE_SCALE: Final = np.float32(1 / 127)
_ZERO_POINT: Final = np.uint8(128)

# Weights take seven bits, not eight: a processor without VNNI adds two products in 16 bits, which
# overflow with all eight (255 * 127 * 2 > 32767) and do not with seven (255 * 63 * 2 < 32767).
_WEIGHT_LEVELS: Final = 63

_SMALLEST: Final = np.float32(1e-12)  # a scale is never zero, also of a row of zeros

_FLOAT: Final = 1  # TensorProto.FLOAT
_OPSET: Final = 18
_IR_VERSION: Final = 9


def build_step_graph(
    weights: Weights,
    config: ModelConfig,
    precision: Precision,
    *,
    max_table_bytes: int = MAX_TABLE_BYTES,
) -> bytes:
    """Return the serialized ONNX model of one step.

    Args:
        max_table_bytes: in int8, the first layer's products are tabulated up to this size of the
            table in memory.

    Raises:
        MissingExtraError: the package ``onnx`` is not installed.
    """
    graph = _Graph()
    kind = _Int8Products if precision == "int8" else _Float32Products
    products = kind(graph, tied=config.tied)
    table_bytes = config.vocabulary_size * 4 * config.hidden_size * 4
    is_tabulated = precision == "int8" and table_bytes <= max_table_bytes
    embedding_VE = weights["embedding.weight"]
    inputs, inputs_scale = "", np.float32(1)
    if not is_tabulated:
        inputs, inputs_scale = products.embed(embedding_VE)
    for layer in range(config.num_layers):
        weight_ih = weights[f"lstm.weight_ih_l{layer}"].T
        weight_hh = weights[f"lstm.weight_hh_l{layer}"].T
        bias = weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]
        operand = products.operand(f"h_{layer}_BH")
        if layer == 0 and is_tabulated:
            from_word = graph.look_up(products.tabulate(embedding_VE, weight_ih, bias))
            gates = graph.node("Add", [from_word, products.linear(operand, weight_hh, None)])
        else:
            gates = products.linear(
                graph.node("Concat", [inputs, operand], axis=1),
                np.concatenate([weight_ih * inputs_scale, weight_hh]),
                bias,
            )
        next_h = _cell(graph, gates, layer, config.hidden_size)
        inputs, inputs_scale = products.operand(next_h), np.float32(1)
    if config.is_projected:
        sums = products.linear(inputs, weights["projection.weight"].T, weights["projection.bias"])
        inputs = products.operand(graph.node("Tanh", [sums]))
    logits = products.logits(inputs, weights["fc.weight"], weights["fc.bias"])
    graph.node("Identity", [logits], output="logits_BV")
    return graph.serialize(config)


def _cell(graph: "_Graph", gates: str, layer: int, hidden_size: int) -> str:
    """Add an LSTM cell: from the gates' sums (i, f, g, o) and the cell state to the new c and h."""
    i, f, g, o = graph.quarters(gates, hidden_size)
    kept = graph.node("Mul", [graph.node("Sigmoid", [f]), f"c_{layer}_BH"])
    added = graph.node("Mul", [graph.node("Sigmoid", [i]), graph.node("Tanh", [g])])
    next_c = graph.node("Add", [kept, added], output=f"next_c_{layer}_BH")
    shown = graph.node("Tanh", [next_c])
    return graph.node("Mul", [graph.node("Sigmoid", [o]), shown], output=f"next_h_{layer}_BH")


class _Float32Products:
    """Look-ups and products in float32."""

    def __init__(self, graph: "_Graph", *, tied: bool) -> None:
        self._graph = graph
        self._tied = tied
        self._table = ""

    def embed(self, table_VE: Floats32) -> tuple[str, np.float32]:
        """The rows `[B, E]` of the ids, as an operand, and the scale still to be applied."""
        self._table = self._graph.constant(table_VE)
        return self._graph.look_up(self._table), np.float32(1)

    def logits(self, operand: str, weight_VH: Floats32, bias_V: Floats32) -> str:
        """The output layer; of a tied model its matrix is the table of :meth:`embed`."""
        if not self._tied:
            return self.linear(operand, weight_VH.T, bias_V)
        product = self._graph.node("MatMul", [operand, self._graph.transposed(self._table)])
        return self._graph.node("Add", [product, self._graph.constant(bias_V)])

    def tabulate(self, table_VE: Floats32, weight_EG: Floats32, bias_G: Floats32) -> str:
        """Return the products `[V, G]` of all rows of a table."""
        return self.linear(self._graph.constant(table_VE), weight_EG, bias_G)

    def operand(self, state: str) -> str:
        """Convert a hidden state to an operand of a product."""
        return state

    def linear(self, operand: str, weight_KN: Floats32, bias_N: Floats32 | None) -> str:
        """Operand times weight plus bias (if there is one), in float32."""
        product = self._graph.node("MatMul", [operand, self._graph.constant(weight_KN)])
        if bias_N is None:
            return product
        return self._graph.node("Add", [product, self._graph.constant(bias_N)])


class _Int8Products(_Float32Products):
    """The same with integer operands, whose products are scaled back to float32."""

    def __init__(self, graph: "_Graph", *, tied: bool) -> None:
        super().__init__(graph, tied=tied)
        self._scale = graph.constant(np.array(_STATE_SCALE))
        self._zero_point = graph.constant(np.array(_ZERO_POINT))
        self._table_scale_V = ""

    def embed(self, table_VE: Floats32) -> tuple[str, np.float32]:
        if self._tied:
            scale = _operand_scale(table_VE)
            return self._embed_from_output_layer(table_VE, scale), scale / _STATE_SCALE
        quantised_VE, scale = _quantised_operands(table_VE)
        return self._graph.look_up(self._graph.constant(quantised_VE)), scale / _STATE_SCALE

    def tabulate(self, table_VE: Floats32, weight_EG: Floats32, bias_G: Floats32) -> str:
        # Standard operators, which ONNX Runtime computes once, on loading. The file has the
        # factors, of 1.3 MB instead of 11.2 for the product (911 words, 320 by 3,072).
        graph = self._graph
        operands_VE, operand_scale = _quantised_operands(table_VE)
        weight_GE, scale_G = _quantised(weight_EG.T)
        factors = [graph.constant(operands_VE), graph.constant(weight_GE.T), self._zero_point]
        sums = graph.node("Cast", [graph.node("MatMulInteger", factors)], to=_FLOAT)
        scaled = graph.node("Mul", [sums, graph.constant(operand_scale * scale_G)])
        return graph.node("Add", [scaled, graph.constant(bias_G)])

    def operand(self, state: str) -> str:
        return self._graph.node("QuantizeLinear", [state, self._scale, self._zero_point])

    def linear(self, operand: str, weight_KN: Floats32, bias_N: Floats32 | None) -> str:
        quantised_NK, scale_N = _quantised(weight_KN.T)
        bias = "" if bias_N is None else self._graph.constant(bias_N)
        return self._product(
            operand, self._graph.constant(quantised_NK.T), self._graph.constant(scale_N), bias
        )

    def logits(self, operand: str, weight_VH: Floats32, bias_V: Floats32) -> str:
        if not self._table:
            return self.linear(operand, weight_VH.T, bias_V)
        weight = self._graph.transposed(self._table)
        return self._product(operand, weight, self._table_scale_V, self._graph.constant(bias_V))

    def _embed_from_output_layer(self, table_VE: Floats32, scale: np.float32) -> str:
        """Return the rows of a tied model from the output layer's table, which is stored once.

        That has a scale per word; the rows are requantised to the one scale of all operands.
        """
        quantised_VE, scale_V = _quantised(table_VE)
        self._table = self._graph.constant(quantised_VE)
        self._table_scale_V = self._graph.constant(scale_V)
        graph, column = self._graph, self._graph.constant(np.array([1]))
        rows_BE = graph.node("Cast", [graph.look_up(self._table)], to=_FLOAT)
        scale_B1 = graph.node("Unsqueeze", [graph.look_up(self._table_scale_V), column])
        product_BE = graph.node("Mul", [rows_BE, scale_B1])
        scale_of_all = graph.constant(np.array(scale))
        return graph.node("QuantizeLinear", [product_BE, scale_of_all, self._zero_point])

    def _product(self, operand: str, weight_KN: str, scale_N: str, bias_N: str) -> str:
        # ONNX Runtime's own operator: the standard MatMulInteger, Cast, Mul and Add give the same
        # numbers and two thirds of the speed.
        return self._graph.node(
            "MatMulIntegerToFloat",
            [operand, weight_KN, self._scale, scale_N, self._zero_point, "", bias_N],
            domain="com.microsoft",
        )


def _operand_scale(table_VE: Floats32) -> np.float32:
    """Return the one scale of all operands that are rows of a table."""
    scale: np.float32 = max(np.abs(table_VE).max(), _SMALLEST) / np.float32(127)
    return scale


def _quantised_operands(table_VE: Floats32) -> tuple[npt.NDArray[np.uint8], np.float32]:
    """Return the rows of a table as operands of products, and their scale."""
    scale = _operand_scale(table_VE)
    return (np.rint(table_VE / scale) + _ZERO_POINT).astype(np.uint8), scale


def _quantised(weight_NK: Floats32) -> tuple[npt.NDArray[np.int8], Floats32]:
    """Return the rows in integers of seven bits, and the scale of each."""
    largest_N = np.maximum(np.abs(weight_NK).max(axis=1), _SMALLEST)
    scale_N = (largest_N / np.float32(_WEIGHT_LEVELS)).astype(np.float32)
    return np.rint(weight_NK / scale_N[:, None]).astype(np.int8), scale_N


class _Graph:
    """Builder of an ONNX graph; names nodes and constants itself."""

    def __init__(self) -> None:
        try:
            import onnx
        except ImportError as error:
            raise MissingExtraError("writing a bundle", "train") from error
        self._onnx = onnx
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, value: npt.NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        array = np.ascontiguousarray(value).reshape(value.shape)
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def node(
        self, operator: str, inputs: Sequence[str], output: str = "", **attributes: Any
    ) -> str:
        output = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, [output], **attributes))
        return output

    def quarters(self, columns: str, size: int) -> list[str]:
        """Split the columns into four parts of this size."""
        sizes = self.constant(np.full(4, size))
        outputs = [f"split_{len(self._nodes)}_{i}" for i in range(4)]
        split = self._onnx.helper.make_node("Split", [columns, sizes], outputs, axis=1)
        self._nodes.append(split)
        return outputs

    def look_up(self, table_VN: str) -> str:
        """Return the rows `[B, N]` of a constant table at `ids_B`."""
        return self.node("Gather", [table_VN, "ids_B"])

    def transposed(self, constant_NK: str) -> str:
        """Return the constant as `[K, N]`; ONNX Runtime transposes it once, on loading."""
        return self.node("Transpose", [constant_NK], perm=[1, 0])

    def serialize(self, config: ModelConfig) -> bytes:
        helper, types = self._onnx.helper, self._onnx.TensorProto

        def value(name: str) -> Any:
            if name == "ids_B":
                return helper.make_tensor_value_info(name, types.INT64, ["B"])
            width = config.vocabulary_size if name == "logits_BV" else config.hidden_size
            return helper.make_tensor_value_info(name, types.FLOAT, ["B", width])

        graph = helper.make_graph(
            self._nodes,
            "lorelm_step",
            inputs=[value(name) for name in input_names(config.num_layers)],
            outputs=[value(name) for name in output_names(config.num_layers)],
            initializer=self._constants,
        )
        domains = {"": _OPSET, "com.microsoft": 1}
        model = helper.make_model(
            graph,
            producer_name="lorelm",
            ir_version=_IR_VERSION,
            opset_imports=[helper.make_opsetid(*each) for each in domains.items()],
        )
        self._onnx.checker.check_model(model)
        serialized: bytes = model.SerializeToString()
        return serialized
