"""The default runtime: a step graph executed by ONNX Runtime, without PyTorch."""

import onnxruntime as ort

from lorelm.errors import BundleError
from lorelm.model.config import ModelConfig
from lorelm.runtime.base import FloatArray, IdArray, State

_OUTPUTS = ("logits_BV", "next_h_LBH", "next_c_LBH")


class OnnxRuntime:
    """Runs a step graph of :mod:`lorelm.runtime.step_graph`. Safe to call from several threads.

    Args:
        graph: the serialized graph.
        config: the sizes that the graph must have.
        name: what to call the graph in an error.
        num_threads: for one step; more than one helps from about eight rows on.

    Raises:
        BundleError: the graph cannot be read, or is of another model.
    """

    def __init__(
        self, graph: bytes, config: ModelConfig, *, name: str = "step graph", num_threads: int = 1
    ) -> None:
        self.config = config
        options = ort.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no common base but this
            raise BundleError(f"{name} cannot be read as an ONNX graph: {error}") from error
        shapes = {
            value.name: value.shape
            for value in (*self._session.get_inputs(), *self._session.get_outputs())
        }
        state_shape = [config.num_layers, "B", config.hidden_size]
        if shapes.get("logits_BV") != ["B", config.vocabulary_size]:
            raise BundleError(f"{name} does not fit a vocabulary of {config.vocabulary_size} words")
        if shapes.get("h_LBH") != state_shape or shapes.get("c_LBH") != state_shape:
            raise BundleError(
                f"{name} does not have {config.num_layers} layers of {config.hidden_size}"
            )

    def step(self, ids_B: IdArray, state: State) -> tuple[FloatArray, State]:
        logits_BV, next_h_LBH, next_c_LBH = self._session.run(
            _OUTPUTS, {"ids_B": ids_B, "h_LBH": state.h_LBH, "c_LBH": state.c_LBH}
        )
        return logits_BV, State(next_h_LBH, next_c_LBH)
