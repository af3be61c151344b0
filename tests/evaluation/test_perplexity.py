import math

import numpy as np
import pytest

from lorelm.corpus.vocabulary import unknown_rate
from lorelm.evaluation.perplexity import perplexity, predict
from lorelm.model.config import ModelConfig
from lorelm.runtime.mixture import log_softmax
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import build_step_graph

CONFIG = ModelConfig(vocabulary_size=4, embedding_size=2, hidden_size=3, num_layers=1)


def runtime_with_output_bias(bias: list[float]) -> OnnxRuntime:
    """A model that predicts the same distribution after any context."""
    weights = {name: np.zeros(shape, np.float32) for name, shape in CONFIG.tensor_shapes().items()}
    weights["fc.bias"] = np.array(bias, np.float32)
    return OnnxRuntime(build_step_graph(weights, CONFIG, "float32"), CONFIG)


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary() -> None:
    runtime = runtime_with_output_bias([0, 0, 0, 0])
    logs = predict(runtime, np.array([2, 3, 1, 3, 1])).log_probabilities
    assert perplexity(-logs.mean()) == pytest.approx(4)
    assert len(logs) == 5


def test_a_stream_worked_by_hand() -> None:
    probabilities = [0.1, 0.2, 0.3, 0.4]
    runtime = runtime_with_output_bias([math.log(p) for p in probabilities])
    stream = np.array([2, 0, 1, 3, 1])
    loss = -predict(runtime, stream).log_probabilities.mean()
    expected = -(math.log(0.3) + math.log(0.1) + 2 * math.log(0.2) + math.log(0.4)) / 5
    assert loss == pytest.approx(expected, rel=1e-6)
    assert perplexity(loss) == pytest.approx(math.exp(expected), rel=1e-6)
    assert unknown_rate(stream) == pytest.approx(1 / 3)  # of three words, `<eos>` not counted


def test_log_probabilities_sum_to_one_even_for_huge_logits() -> None:
    logits_V = np.array([1000.0, -1000.0, 999.0], np.float32)
    assert np.exp(log_softmax(logits_V)).sum() == pytest.approx(1)


def test_the_top_prediction_is_the_likeliest_id() -> None:
    probabilities = [0.1, 0.2, 0.3, 0.4]
    runtime = runtime_with_output_bias([math.log(p) for p in probabilities])
    predictions = predict(runtime, np.array([2, 3, 1, 3, 1]))
    assert predictions.confidence == pytest.approx([0.4] * 5)
    assert predictions.is_correct.tolist() == [False, True, False, True, False]
    assert np.exp(predictions.log_probabilities) == pytest.approx([0.3, 0.4, 0.2, 0.4, 0.2])


def test_a_loss_beyond_a_float_is_infinite() -> None:
    assert perplexity(1e4) == math.inf
