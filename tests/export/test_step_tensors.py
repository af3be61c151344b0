from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.export.conftest import ExportedFiles, InBrowser

from lorelm.bundle import Bundle
from lorelm.errors import BundleError
from lorelm.export.model_files import model_file
from lorelm.export.onnx_file import read_graph
from lorelm.export.step_tensors import step_tensors
from lorelm.export.tensor_file import tensor_file
from lorelm.model.config import ModelConfig
from lorelm.runtime.base import State
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import Weights, build_step_graph

CONFIG = ModelConfig(vocabulary_size=40, embedding_size=10, hidden_size=12, num_layers=2)


def random_weights(config: ModelConfig) -> Weights:
    rng = np.random.default_rng(3)
    weights = {
        name: rng.normal(0, 0.6, shape).astype(np.float32)
        for name, shape in config.tensor_shapes().items()
    }
    return weights | ({"fc.weight": weights["embedding.weight"]} if config.tied else {})


@pytest.mark.system
@pytest.mark.parametrize("max_table_bytes", [0, 1_000_000])
@pytest.mark.parametrize(
    "config",
    [CONFIG, replace(CONFIG, tied=True), replace(CONFIG, tied=True, embedding_size=12)],
    ids=["untied", "projected", "tied"],
)
def test_every_kind_of_graph_gives_the_same_logits(
    config: ModelConfig, max_table_bytes: int, tmp_path: Path, in_browser: InBrowser
) -> None:
    graph = build_step_graph(
        random_weights(config), config, "int8", max_table_bytes=max_table_bytes
    )
    assert _logits(graph, config, tmp_path, in_browser) == _expected(graph, config)


@pytest.mark.system
def test_a_table_of_floats_of_an_older_version_is_read(
    tmp_path: Path, in_browser: InBrowser
) -> None:
    graph = _with_float_table(build_step_graph(random_weights(CONFIG), CONFIG, "int8"))
    assert "table_VG" in step_tensors(read_graph(graph), CONFIG)
    assert _logits(graph, CONFIG, tmp_path, in_browser) == _expected(graph, CONFIG)


def _with_float_table(graph: bytes) -> bytes:
    """Put the table itself in place of its factors, as older graphs have it."""
    model = onnx.load_from_string(graph)
    nodes = {node.op_type: node for node in model.graph.node}
    [table] = [node.input[0] for node in model.graph.node if node.op_type == "Gather"]
    table_VG = np.random.default_rng(4).normal(size=(40, 48)).astype(np.float32)
    for operator in ("MatMulInteger", "Cast"):
        model.graph.node.remove(nodes[operator])
    for operator in ("Mul", "Add"):  # the first ones are those of the table
        model.graph.node.remove(next(n for n in model.graph.node if n.op_type == operator))
    model.graph.initializer.append(onnx.numpy_helper.from_array(table_VG, table))
    return model.SerializeToString()


def _logits(
    graph: bytes, config: ModelConfig, folder: Path, in_browser: InBrowser
) -> list[list[float]]:
    tensors = step_tensors(read_graph(graph), config)
    metadata = {"format": 1, "network": asdict(config)}
    (folder / "model").write_bytes(tensor_file(tensors, metadata))
    return in_browser("logits", ids=[3, 1, 17, 3, 39], model=str(folder / "model"))


def _expected(graph: bytes, config: ModelConfig) -> list[list[float]]:
    runtime, state = OnnxRuntime(graph, config), State.zeros(config, 1)
    rows = []
    for id_ in [3, 1, 17, 3, 39]:
        logits_1V, state = runtime.step(np.array([id_]), state)
        rows.append(logits_1V[0].tolist())
    return rows


def test_a_foreign_graph_is_refused() -> None:
    node = onnx.helper.make_node("Add", ["x", "x"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], []))
    with pytest.raises(ValueError, match="not the step graph"):
        step_tensors(read_graph(model.SerializeToString()), CONFIG)


def test_a_bundle_with_another_graph_is_refused_in_a_sentence(older_bundle: Path) -> None:
    path = older_bundle / "step.int8.onnx"
    bundle = Bundle.load(older_bundle)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BundleError) as caught:
        model_file(bundle, mixture=False)
    assert caught.value.code == "export.other_graph"
    assert str(path) in str(caught.value)


def test_the_files_are_small(exported_files: ExportedFiles, tiny_bundle: Path) -> None:
    """The products of the first layer travel as their factors, not as a table of floats."""
    config = Bundle.load(tiny_bundle).manifest.model
    size = Path(exported_files(tiny_bundle)["model"]).stat().st_size
    num_weights = sum(np.prod(shape) for shape in config.tensor_shapes().values())
    assert size < 1.6 * num_weights
