"""Builds the ONNX graph of one step from a model's weights, in float32 or int8.

The graph reads one id for each of B texts::

    ids_B, h_LBH, c_LBH  ->  logits_BV, next_h_LBH, next_c_LBH

In int8, weights are quantised by output column, and what they are multiplied with has a fixed
scale: the hidden state lies in (-1, 1), so its scale is the constant 1/127, and the embeddings
have one scale for the whole table. Fixed scales and integer sums, which are exact, make a row's
logits independent of the rows beside it; scales measured at run time would not.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from lorelm.errors import MissingExtraError
from lorelm.model.config import ModelConfig
from lorelm.runtime.base import FloatArray

Precision = Literal["float32", "int8"]
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)

Weights = Mapping[str, FloatArray]
"""A model's tensors, named and shaped as :meth:`ModelConfig.tensor_shapes` says."""

_STATE_SCALE: Final = np.float32(1 / 127)
_ZERO_POINT: Final = np.uint8(128)

# Weights take seven bits, not eight: a processor without VNNI adds two products in 16 bits, which
# overflow with all eight (255 * 127 * 2 > 32767) and do not with seven (255 * 63 * 2 < 32767).
_WEIGHT_LEVELS: Final = 63

_OPSET: Final = 18
_IR_VERSION: Final = 9


def build_step_graph(weights: Weights, config: ModelConfig, precision: Precision) -> bytes:
    """The serialized ONNX model of one step.

    Raises:
        MissingExtraError: the package ``onnx`` is not installed.
    """
    graph = _Graph()
    products: _Products = _Int8Products(graph) if precision == "int8" else _Float32Products(graph)
    h_1BH = graph.split("h_LBH", config.num_layers)
    c_1BH = graph.split("c_LBH", config.num_layers)
    next_h, next_c = [], []
    inputs, inputs_scale = products.embed(weights["embedding.weight"])
    for layer in range(config.num_layers):
        gates = products.linear(
            graph.node("Concat", [inputs, products.operand(h_1BH[layer])], axis=2),
            np.concatenate(
                [
                    weights[f"lstm.weight_ih_l{layer}"].T * inputs_scale,
                    weights[f"lstm.weight_hh_l{layer}"].T,
                ]
            ),
            weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"],
        )
        h, c = _cell(graph, gates, c_1BH[layer], config.hidden_size)
        next_h.append(h)
        next_c.append(c)
        inputs, inputs_scale = products.operand(h), np.float32(1)
    rows = graph.node("Squeeze", [inputs, graph.constant(np.array([0]))])
    logits = products.linear(rows, weights["fc.weight"].T, weights["fc.bias"])
    graph.node("Identity", [logits], output="logits_BV")
    graph.node("Concat", next_h, output="next_h_LBH", axis=0)
    graph.node("Concat", next_c, output="next_c_LBH", axis=0)
    return graph.serialize(config)


def _cell(graph: "_Graph", gates: str, c: str, hidden_size: int) -> tuple[str, str]:
    """One LSTM cell: the gates' sums (i, f, g, o) and the cell state to the new h and c."""
    sizes = graph.constant(np.full(4, hidden_size))
    i, f, g, o = graph.nodes("Split", [gates, sizes], num_outputs=4, axis=2)
    kept = graph.node("Mul", [graph.node("Sigmoid", [f]), c])
    added = graph.node("Mul", [graph.node("Sigmoid", [i]), graph.node("Tanh", [g])])
    next_c = graph.node("Add", [kept, added])
    next_h = graph.node("Mul", [graph.node("Sigmoid", [o]), graph.node("Tanh", [next_c])])
    return next_h, next_c


class _Products(Protocol):
    """How a precision looks up, holds and multiplies."""

    def embed(self, table_VE: FloatArray) -> tuple[str, np.float32]:
        """The rows `[1, B, E]` of the ids, as an operand, and the scale still to be applied."""
        ...

    def operand(self, state: str) -> str:
        """A hidden state as it goes into a product."""
        ...

    def linear(self, operand: str, weight_KN: FloatArray, bias_N: FloatArray) -> str:
        """Operand times weight plus bias, in float32."""
        ...


class _Float32Products:
    def __init__(self, graph: "_Graph") -> None:
        self._graph = graph

    def embed(self, table_VE: FloatArray) -> tuple[str, np.float32]:
        return self._graph.look_up(table_VE), np.float32(1)

    def operand(self, state: str) -> str:
        return state

    def linear(self, operand: str, weight_KN: FloatArray, bias_N: FloatArray) -> str:
        product = self._graph.node("MatMul", [operand, self._graph.constant(weight_KN)])
        return self._graph.node("Add", [product, self._graph.constant(bias_N)])


class _Int8Products:
    def __init__(self, graph: "_Graph") -> None:
        self._graph = graph
        self._scale = graph.constant(np.array(_STATE_SCALE))
        self._zero_point = graph.constant(np.array(_ZERO_POINT))

    def embed(self, table_VE: FloatArray) -> tuple[str, np.float32]:
        scale = np.abs(table_VE).max() / np.float32(127)
        quantised = np.rint(table_VE / scale) + _ZERO_POINT
        return self._graph.look_up(quantised.astype(np.uint8)), scale / _STATE_SCALE

    def operand(self, state: str) -> str:
        return self._graph.node("QuantizeLinear", [state, self._scale, self._zero_point])

    def linear(self, operand: str, weight_KN: FloatArray, bias_N: FloatArray) -> str:
        scale_N = np.maximum(np.abs(weight_KN).max(axis=0), 1e-12) / np.float32(_WEIGHT_LEVELS)
        quantised = np.rint(weight_KN / scale_N).astype(np.int8)
        # ONNX Runtime's own operator: the standard MatMulInteger, Cast, Mul and Add give the same
        # numbers and two thirds of the speed.
        return self._graph.node(
            "MatMulIntegerToFloat",
            [
                operand,
                self._graph.constant(quantised),
                self._scale,
                self._graph.constant(scale_N.astype(np.float32)),
                self._zero_point,
                "",
                self._graph.constant(bias_N),
            ],
            domain="com.microsoft",
        )


class _Graph:
    """An ONNX graph in the making: nodes and constants that name themselves."""

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
        return self.nodes(operator, inputs, output=output, num_outputs=1, **attributes)[0]

    def nodes(
        self,
        operator: str,
        inputs: Sequence[str],
        *,
        num_outputs: int,
        output: str = "",
        **attributes: Any,
    ) -> list[str]:
        prefix = output or f"{operator.lower()}_{len(self._nodes)}"
        outputs = [prefix] if num_outputs == 1 else [f"{prefix}_{i}" for i in range(num_outputs)]
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, outputs, **attributes))
        return outputs

    def look_up(self, table_VE: npt.NDArray[Any]) -> str:
        """The rows `[1, B, E]` of the table that `ids_B` name."""
        rows = self.node("Gather", [self.constant(table_VE), "ids_B"])
        return self.node("Unsqueeze", [rows, self.constant(np.array([0]))])

    def split(self, state_LBH: str, num_layers: int) -> list[str]:
        """One `[1, B, H]` a layer."""
        if num_layers == 1:
            return [state_LBH]
        sizes = self.constant(np.ones(num_layers, dtype=np.int64))
        return self.nodes("Split", [state_LBH, sizes], num_outputs=num_layers, axis=0)

    def serialize(self, config: ModelConfig) -> bytes:
        helper, float32 = self._onnx.helper, self._onnx.TensorProto.FLOAT
        state_shape = [config.num_layers, "B", config.hidden_size]
        graph = helper.make_graph(
            self._nodes,
            "lorelm_step",
            inputs=[
                helper.make_tensor_value_info("ids_B", self._onnx.TensorProto.INT64, ["B"]),
                helper.make_tensor_value_info("h_LBH", float32, state_shape),
                helper.make_tensor_value_info("c_LBH", float32, state_shape),
            ],
            outputs=[
                helper.make_tensor_value_info("logits_BV", float32, ["B", config.vocabulary_size]),
                helper.make_tensor_value_info("next_h_LBH", float32, state_shape),
                helper.make_tensor_value_info("next_c_LBH", float32, state_shape),
            ],
            initializer=self._constants,
        )
        model = helper.make_model(
            graph,
            producer_name="lorelm",
            ir_version=_IR_VERSION,
            opset_imports=[
                helper.make_opsetid("", _OPSET),
                helper.make_opsetid("com.microsoft", 1),
            ],
        )
        self._onnx.checker.check_model(model)
        serialized: bytes = model.SerializeToString()
        return serialized
