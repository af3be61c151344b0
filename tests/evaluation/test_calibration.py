import numpy as np
import pytest

from lorelm.evaluation.perplexity import Predictions
from lorelm.evaluation.scores import calibration


def predictions(confidence: list[float], right: list[bool]) -> Predictions:
    return Predictions(
        log_probabilities=np.zeros(len(right)),
        confidence=np.array(confidence),
        is_correct=np.array(right),
        h_NH=np.zeros((0, 0), np.float32),
    )


def test_classes_worked_by_hand() -> None:
    found = calibration(predictions([0.1, 0.12, 0.55, 1.0], [False, True, True, True]))
    assert found.count.tolist() == [2, 1, 1]
    assert found.confidence == pytest.approx([0.11, 0.55, 1.0])
    assert found.accuracy == pytest.approx([0.5, 1, 1])
    assert found.error == pytest.approx((2 * 0.39 + 0.45 + 0) / 4)


def test_perfect_calibration_has_no_error() -> None:
    random = np.random.default_rng(0)
    confidence = random.uniform(size=100_000)
    found = calibration(
        predictions(confidence.tolist(), (random.uniform(size=100_000) < confidence))
    )
    assert found.error < 0.01
    assert calibration(predictions([0.99] * 100, [False] * 100)).error == pytest.approx(0.99)
