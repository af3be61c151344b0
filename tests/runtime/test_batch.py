"""Batches against single steps of the same runtime: the same bits, whatever moves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lorelm.bundle import Bundle
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runtime.base import Runtime, State
from lorelm.runtime.torch_runtime import TorchRuntime

NUM_TEXTS = 5
NAMES = ("int8", "float32", "neural cache", "PyTorch")


@pytest.fixture(scope="module")
def runtimes(tiny_bundle: Path) -> dict[str, Runtime]:
    bundle = Bundle.load(tiny_bundle)
    model = LSTMLanguageModel(bundle.manifest.model)
    model.load_state_dict({name: torch.from_numpy(w) for name, w in bundle.weights().items()})
    return {
        "int8": bundle.runtime(),
        "float32": bundle.runtime("float32"),
        "neural cache": bundle.runtime(cache=True),
        "PyTorch": TorchRuntime(model),
    }


places = st.integers(0, NUM_TEXTS - 1)
actions = st.one_of(
    st.tuples(st.just("step"), st.lists(st.integers(0, 39), min_size=1, max_size=NUM_TEXTS)),
    st.tuples(st.just("move"), st.tuples(places, places)),
    st.tuples(st.just("begin"), places),
    st.tuples(st.just("copy"), st.tuples(places, places)),
)


@pytest.mark.parametrize("name", NAMES)
@given(actions=st.lists(actions, max_size=20))
@settings(max_examples=30)
def test_a_batch_does_to_each_text_what_single_steps_do(
    runtimes: dict[str, Runtime], name: str, actions: list[tuple[str, Any]]
) -> None:
    runtime = runtimes[name]
    batch = runtime.batch(NUM_TEXTS)
    alone = [State.zeros(runtime.config, 1) for _ in range(NUM_TEXTS)]
    for action, value in actions:
        if action == "step":
            logits_BV = batch.step(np.array(value))
            assert logits_BV.shape == (len(value), runtime.config.vocabulary_size)
            for place, id_ in enumerate(value):
                expected_1V, alone[place] = runtime.step(np.array([id_]), alone[place])
                np.testing.assert_array_equal(logits_BV[place], expected_1V[0])
            logits_BV[:] = np.nan  # callers may overwrite it
            for place in range(len(value), NUM_TEXTS):
                alone[place] = State.zeros(runtime.config, 1)
                batch.put(place, alone[place])
        elif action == "move":
            source, target = value
            batch.move(source, target)
            alone[target] = alone[source]
        elif action == "begin":
            alone[value] = State.zeros(runtime.config, 1)
            batch.put(value, alone[value])
        else:
            source, target = value
            batch.put(target, batch.state(source))
            alone[target] = alone[source]


@pytest.mark.parametrize("name", NAMES)
def test_a_state_that_was_taken_out_stays_as_it_was(
    runtimes: dict[str, Runtime], name: str
) -> None:
    runtime = runtimes[name]
    batch = runtime.batch(2)
    batch.step(np.array([3, 4]))
    taken = batch.state(1)
    expected = [array.copy() for array in taken.arrays]
    for _ in range(3):
        batch.step(np.array([5, 6]))
    for array, before in zip(taken.arrays, expected, strict=True):
        np.testing.assert_array_equal(array, before)
        assert array.shape == (1, runtime.config.hidden_size)
    assert taken.num_bytes >= 2 * runtime.config.num_layers * 4 * runtime.config.hidden_size
