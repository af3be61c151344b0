import math

import numpy as np
import pytest

from lorelm.evaluation.perplexity import perplexity, predict, score_stream
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
    score = score_stream(runtime_with_output_bias([0, 0, 0, 0]), np.array([2, 3, 1, 3, 1]))
    assert score.perplexity == pytest.approx(4)
    assert score.num_tokens == 5


def test_a_stream_worked_by_hand() -> None:
    probabilities = [0.1, 0.2, 0.3, 0.4]
    runtime = runtime_with_output_bias([math.log(p) for p in probabilities])
    score = score_stream(runtime, np.array([2, 0, 1, 3, 1]))
    expected = -(math.log(0.3) + math.log(0.1) + 2 * math.log(0.2) + math.log(0.4)) / 5
    assert score.loss_nats_per_token == pytest.approx(expected, rel=1e-6)
    assert score.perplexity == pytest.approx(math.exp(expected), rel=1e-6)
    assert score.unknown_rate == pytest.approx(1 / 3)  # of three words, `<eos>` not counted


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


def test_an_empty_stream_has_no_score() -> None:
    with pytest.raises(ValueError, match="empty"):
        score_stream(runtime_with_output_bias([0, 0, 0, 0]), np.array([], np.int64))


def test_a_loss_beyond_a_float_is_infinite() -> None:
    assert perplexity(1e4) == math.inf
