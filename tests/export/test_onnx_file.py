import numpy as np
import onnx
import pytest

from lorelm.bundle import EMBEDDED_PATH
from lorelm.export.onnx_file import read_graph

CONTENT = (EMBEDDED_PATH / "step.int8.onnx").read_bytes()


def test_it_reads_what_the_package_onnx_reads() -> None:
    graph, expected = read_graph(CONTENT), onnx.load_from_string(CONTENT).graph
    assert [(n.operator, list(n.inputs), list(n.outputs)) for n in graph.nodes] == [
        (node.op_type, list(node.input), list(node.output)) for node in expected.node
    ]
    assert len(graph.constants) == len(expected.initializer)
    for constant in expected.initializer:
        array = onnx.numpy_helper.to_array(constant)
        assert graph.constants[constant.name].dtype == array.dtype
        assert np.array_equal(graph.constants[constant.name], array)


@pytest.mark.parametrize(
    "content",
    [b"", b"no graph", CONTENT[:1000], CONTENT[:-1], b"\x3a\xff\xff\xff\xff\x0f", b"\x3b\x00"],
)
def test_what_is_no_whole_graph_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="this is no step graph"):
        read_graph(content)
