"""PyTorch, the float32 graph and the int8 graph are three ways to one answer."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lorelm.errors import BundleError
from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runtime.base import Runtime, State
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import build_step_graph
from lorelm.runtime.torch_runtime import TorchRuntime

CONFIGS = [
    ModelConfig(vocabulary_size=23, embedding_size=7, hidden_size=12, num_layers=1),
    ModelConfig(vocabulary_size=40, embedding_size=24, hidden_size=16, num_layers=3),
    ModelConfig(vocabulary_size=40, embedding_size=24, hidden_size=16, num_layers=2, tied=True),
]


def random_model(config: ModelConfig) -> LSTMLanguageModel:
    torch.manual_seed(1)
    return LSTMLanguageModel(config).eval()


def graph_of(model: LSTMLanguageModel, precision: str, *, tabulated: bool = True) -> bytes:
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    max_table_bytes = 10**9 if tabulated else 0
    return build_step_graph(weights, model.config, precision, max_table_bytes=max_table_bytes)


def logits_after(runtime: Runtime, ids: list[int]) -> np.ndarray:
    state = State.zeros(runtime.config, 1)
    for id_ in ids:
        logits_BV, state = runtime.step(np.array([id_]), state)
    return logits_BV


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(
    ("precision", "tabulated", "tolerance"),
    [("float32", False, 1e-5), ("int8", False, 0.05), ("int8", True, 0.05)],
)
def test_graph_agrees_with_pytorch(
    config: ModelConfig, precision: str, tabulated: bool, tolerance: float
) -> None:
    model = random_model(config)
    ids = [1, 5, 3, 22, 0, 7, 7, 2]
    expected = logits_after(TorchRuntime(model), ids)
    graph = graph_of(model, precision, tabulated=tabulated)
    actual = logits_after(OnnxRuntime(graph, config), ids)
    assert np.abs(actual - expected).max() < tolerance


def test_one_unit_worked_by_hand() -> None:
    config = ModelConfig(vocabulary_size=3, embedding_size=1, hidden_size=1, num_layers=1)
    weights = {
        "embedding.weight": np.array([[0.0], [0.5], [1.0]], np.float32),
        "lstm.weight_ih_l0": np.array([[1.0], [-1.0], [0.5], [2.0]], np.float32),
        "lstm.weight_hh_l0": np.array([[0.3], [0.2], [-0.4], [0.1]], np.float32),
        "lstm.bias_ih_l0": np.array([0.1, 0.2, 0.3, 0.4], np.float32),
        "lstm.bias_hh_l0": np.array([0.0, 0.0, 0.0, -0.4], np.float32),
        "fc.weight": np.array([[1.0], [2.0], [-1.0]], np.float32),
        "fc.bias": np.array([0.0, 0.1, 0.2], np.float32),
    }
    state = State([np.full((1, 1), number, np.float32) for number in (0.5, -0.25)])

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    i, f = sigmoid(1.0 + 0.15 + 0.1), sigmoid(-1.0 + 0.1 + 0.2)
    g, o = math.tanh(0.5 - 0.2 + 0.3), sigmoid(2.0 + 0.05 + 0.4 - 0.4)
    c = f * -0.25 + i * g
    h = o * math.tanh(c)

    runtime = OnnxRuntime(build_step_graph(weights, config, "float32"), config)
    logits_BV, after = runtime.step(np.array([2]), state)
    assert after.cell[0].item() == pytest.approx(c, abs=1e-6)
    assert after.hidden[0].item() == pytest.approx(h, abs=1e-6)
    assert logits_BV[0] == pytest.approx([h, 2 * h + 0.1, -h + 0.2], abs=1e-6)


INT8_RUNTIMES = [
    OnnxRuntime(graph_of(random_model(config), "int8", tabulated=tabulated), config)
    for config in CONFIGS[1:]
    for tabulated in (False, True)
]


@given(
    rows=st.lists(st.integers(0, 39), min_size=1, max_size=70),
    seed=st.integers(0, 2**32 - 1),
    runtime=st.sampled_from(INT8_RUNTIMES),
)
def test_an_int8_row_does_not_depend_on_the_rows_beside_it(
    rows: list[int], seed: int, runtime: OnnxRuntime
) -> None:
    random = np.random.default_rng(seed)
    shape = (2 * runtime.config.num_layers, len(rows), runtime.config.hidden_size)
    state = State(list(random.uniform(-1, 1, shape).astype(np.float32)))
    together, after = runtime.step(np.array(rows), state)
    for row in {0, len(rows) // 2, len(rows) - 1}:
        alone, after_alone = runtime.step(
            np.array([rows[row]]), State([array[[row]] for array in state.arrays])
        )
        assert (alone[0] == together[row]).all()
        for one, all_ in zip(after_alone.arrays, after.arrays, strict=True):
            assert (one[0] == all_[row]).all()


def test_int8_sums_cannot_overflow_sixteen_bits() -> None:
    """Without VNNI a processor adds two products of a state and a weight in 16 bits."""
    import onnx

    graph = onnx.load_from_string(graph_of(random_model(CONFIGS[1]), "int8")).graph
    weights = [
        onnx.numpy_helper.to_array(constant)
        for constant in graph.initializer
        if constant.data_type == onnx.TensorProto.INT8
    ]
    assert len(weights) == CONFIGS[1].num_layers + 2  # the tabulated layer has two
    largest = max(int(np.abs(w.astype(int)).max()) for w in weights)
    assert 0 < 2 * 255 * largest < 2**15


def test_a_graph_of_another_model_is_refused() -> None:
    graph = graph_of(random_model(CONFIGS[0]), "float32")
    with pytest.raises(BundleError, match="vocabulary of 40 words"):
        OnnxRuntime(graph, CONFIGS[1])


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(BundleError, match=r"step\.onnx cannot be read"):
        OnnxRuntime(b"not a graph", CONFIGS[0], name="step.onnx")
