"""The default runtime: a step graph executed by ONNX Runtime, without PyTorch."""

import onnxruntime as ort

from lorelm.errors import BundleError
from lorelm.model.config import ModelConfig
from lorelm.runtime.base import FloatArray, IdArray, State, input_names, output_names


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
        self._input_names = input_names(config.num_layers)
        self._output_names = output_names(config.num_layers)
        self._check(name)

    def step(self, ids_B: IdArray, state: State) -> tuple[FloatArray, State]:
        states = [array for layer in zip(state.h_BH, state.c_BH, strict=True) for array in layer]
        inputs = dict(zip(self._input_names, [ids_B, *states], strict=True))
        logits_BV, *next_states = self._session.run(self._output_names, inputs)
        return logits_BV, State(next_states[0::2], next_states[1::2])

    def _check(self, name: str) -> None:
        """Refuses a graph that is of another model than the configuration."""
        inputs = {value.name: value.shape for value in self._session.get_inputs()}
        outputs = {value.name: value.shape for value in self._session.get_outputs()}
        if outputs.get("logits_BV") != ["B", self.config.vocabulary_size]:
            raise BundleError(
                f"{name} does not fit a vocabulary of {self.config.vocabulary_size} words"
            )
        state_shape = ["B", self.config.hidden_size]
        if (
            list(inputs) != self._input_names
            or list(outputs) != self._output_names
            or any(inputs[state] != state_shape for state in self._input_names[1:])
        ):
            raise BundleError(
                f"{name} does not have {self.config.num_layers} layers of {self.config.hidden_size}"
            )
