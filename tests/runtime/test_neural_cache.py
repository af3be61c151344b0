import math

import numpy as np
import pytest

from lorelm.model.config import ModelConfig
from lorelm.runtime.base import State
from lorelm.runtime.neural_cache import CachedRuntime


class Spiral:
    """A runtime that is worked by hand: the state turns by one radian an id."""

    config = ModelConfig(vocabulary_size=5, embedding_size=2, hidden_size=2, num_layers=1)

    def step(self, ids_B, state):
        turns_B = state.cell[0][:, 0] + 1 + ids_B
        h_BH = np.stack([np.cos(turns_B), np.sin(turns_B)], axis=1).astype(np.float32)
        c_BH = np.stack([turns_B, turns_B], axis=1).astype(np.float32)
        logits_BV = np.log(np.tile([0.1, 0.2, 0.3, 0.25, 0.15], (len(ids_B), 1)))
        return logits_BV.astype(np.float32), State([h_BH, c_BH])


def read(runtime, ids, state=None):
    state = state or State.zeros(Spiral.config, 1)
    for id_ in ids:
        logits_BV, state = runtime.step(np.array([id_]), state)
    return np.exp(logits_BV[0].astype(np.float64)), state


def test_a_few_steps_are_worked_by_hand():
    cached = CachedRuntime(Spiral(), size=10, theta=2.0, weight=0.25)
    found_V, _ = read(cached, [1, 3, 3, 4])
    # After the ids 1, 3, 3, 4 the angles are 2, 6, 10, 15, and 3, 3, 4 followed the first three.
    likeness = {angle: math.exp(2 * math.cos(15 - angle)) for angle in (2, 6, 10)}
    total = sum(likeness.values())
    cache_V = np.array([0, 0, 0, likeness[2] + likeness[6], likeness[10]]) / total
    expected_V = 0.75 * np.array([0.1, 0.2, 0.3, 0.25, 0.15]) + 0.25 * cache_V
    np.testing.assert_allclose(found_V, expected_V, rtol=1e-5)


def test_it_holds_the_last_ones_only():
    whole = CachedRuntime(Spiral(), size=3, theta=1.0, weight=0.5)
    found_V, state = read(whole, [2, 2, 2, 2, 4, 4, 4])
    assert len(state.past[0].next_N) == 3
    assert state.past[0].next_N.tolist() == [4, 4, 4]
    assert found_V[2] == pytest.approx(0.5 * 0.3)


def test_before_anything_was_read_it_is_the_network():
    cached = CachedRuntime(Spiral(), size=3, theta=1.0, weight=0.5)
    found_V, _ = read(cached, [1])
    np.testing.assert_allclose(found_V, [0.1, 0.2, 0.3, 0.25, 0.15], rtol=1e-6)


def test_a_text_is_read_alike_whatever_stands_beside_it():
    cached = CachedRuntime(Spiral(), size=4, theta=1.5, weight=0.3)
    ids_TB = np.random.default_rng(0).integers(0, 5, (9, 3))
    together = State.zeros(Spiral.config, 3)
    for ids_B in ids_TB:
        logits_BV, together = cached.step(ids_B, together)
    for row in range(3):
        alone_V, _ = read(cached, ids_TB[:, row])
        np.testing.assert_array_equal(np.exp(logits_BV[row].astype(np.float64)), alone_V)


def test_rows_that_leave_take_what_they_hold_with_them():
    cached = CachedRuntime(Spiral(), size=4, theta=1.5, weight=0.3)
    _, state = read(cached, [1, 2, 3])
    batch = cached.batch(3)
    batch.put(0, state)
    batch.move(0, 2)
    np.testing.assert_array_equal(
        read(cached, [4], batch.state(2))[0], read(cached, [1, 2, 3, 4])[0]
    )
