import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel

VOCABULARY_SIZE = 7


def small_model(
    *, num_layers: int = 2, tied: bool = False, hidden_size: int = 4, seed: int = 0
) -> LSTMLanguageModel:
    torch.manual_seed(seed)
    config = ModelConfig(
        vocabulary_size=VOCABULARY_SIZE,
        embedding_size=4 if tied else 3,
        hidden_size=hidden_size,
        num_layers=num_layers,
        tied=tied,
    )
    return LSTMLanguageModel(config)


def some_ids(num_steps: int, batch_size: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(VOCABULARY_SIZE, (num_steps, batch_size), generator=generator)


def test_shapes_are_time_batch_vocabulary_and_layers_batch_hidden():
    model = small_model(num_layers=3)
    logits_TBV, (h_LBH, c_LBH) = model(some_ids(5, 2), model.initial_state(2))
    assert logits_TBV.shape == (5, 2, VOCABULARY_SIZE)
    assert h_LBH.shape == c_LBH.shape == (3, 2, 4)


def test_the_initial_state_is_zero():
    h_LBH, c_LBH = small_model(num_layers=3).initial_state(2)
    assert h_LBH.shape == c_LBH.shape == (3, 2, 4)
    assert not h_LBH.any()
    assert not c_LBH.any()


@settings(max_examples=20)
@given(
    num_steps=st.integers(1, 8),
    batch_size=st.integers(1, 4),
    num_layers=st.integers(1, 3),
    seed=st.integers(0, 9),
)
def test_one_pass_over_many_steps_equals_single_steps(num_steps, batch_size, num_layers, seed):
    model = small_model(num_layers=num_layers, seed=seed).eval()
    ids_TB = some_ids(num_steps, batch_size)
    logits_TBV, final = model(ids_TB, model.initial_state(batch_size))
    state, steps = model.initial_state(batch_size), []
    for ids_B in ids_TB:
        logits_1BV, state = model(ids_B[None], state)
        steps.append(logits_1BV)
    torch.testing.assert_close(torch.cat(steps), logits_TBV, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(state, final, atol=1e-5, rtol=1e-5)


def test_a_text_is_read_alike_whatever_stands_beside_it():
    model = small_model().eval()
    ids_TB = some_ids(6, 3)
    together, _ = model(ids_TB, model.initial_state(3))
    for row in range(3):
        alone, _ = model(ids_TB[:, [row]], model.initial_state(1))
        torch.testing.assert_close(alone, together[:, [row]], atol=1e-5, rtol=1e-5)


def test_a_later_id_does_not_change_an_earlier_prediction():
    model = small_model().eval()
    ids_TB = some_ids(6, 1)
    changed_TB = ids_TB.clone()
    changed_TB[4] = (changed_TB[4] + 1) % VOCABULARY_SIZE
    before, _ = model(ids_TB, model.initial_state(1))
    after, _ = model(changed_TB, model.initial_state(1))
    torch.testing.assert_close(after[:4], before[:4], atol=0, rtol=0)
    assert not torch.equal(after[4:], before[4:])


@pytest.mark.parametrize(("tied", "hidden_size"), [(False, 4), (True, 4), (True, 6)])
def test_a_gradient_reaches_every_parameter(tied, hidden_size):
    model = small_model(num_layers=2, tied=tied, hidden_size=hidden_size)
    ids_TB = torch.arange(VOCABULARY_SIZE).repeat(3, 1)
    logits_TBV, _ = model(ids_TB, model.initial_state(VOCABULARY_SIZE))
    loss = torch.nn.functional.cross_entropy(logits_TBV.flatten(0, 1), ids_TB.flatten())
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_one_unit_is_worked_by_hand():
    config = ModelConfig(vocabulary_size=3, embedding_size=1, hidden_size=1, num_layers=1)
    model = LSTMLanguageModel(config)
    embedding = [0.5, -1.0, 2.0]
    input_weight = {"i": 0.1, "f": -0.2, "g": 0.3, "o": 0.4}
    hidden_weight = {"i": 0.5, "f": 0.6, "g": -0.7, "o": 0.8}
    bias = {"i": 0.05, "f": 1.0, "g": -0.1, "o": 0.2}
    output_weight, output_bias = [1.0, -2.0, 0.5], [0.1, 0.2, -0.3]
    weights = {
        "embedding.weight": [[value] for value in embedding],
        "lstm.weight_ih_l0": [[value] for value in input_weight.values()],
        "lstm.weight_hh_l0": [[value] for value in hidden_weight.values()],
        "lstm.bias_ih_l0": [value + 1 for value in bias.values()],
        "lstm.bias_hh_l0": [-1.0] * 4,
        "fc.weight": [[value] for value in output_weight],
        "fc.bias": output_bias,
    }
    model.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    ids = [2, 0, 1]

    h, c, logits = 0.0, 0.0, []
    for id_ in ids:
        gates = {
            gate: input_weight[gate] * embedding[id_] + hidden_weight[gate] * h + bias[gate]
            for gate in "ifgo"
        }
        sigmoid = {gate: 1 / (1 + math.exp(-total)) for gate, total in gates.items()}
        c = sigmoid["f"] * c + sigmoid["i"] * math.tanh(gates["g"])
        h = sigmoid["o"] * math.tanh(c)
        logits.append([w * h + b for w, b in zip(output_weight, output_bias, strict=True)])

    logits_TBV, (h_LBH, c_LBH) = model(torch.tensor(ids)[:, None], model.initial_state(1))
    torch.testing.assert_close(logits_TBV[:, 0], torch.tensor(logits), atol=1e-6, rtol=1e-5)
    assert h_LBH.item() == pytest.approx(h, abs=1e-6)
    assert c_LBH.item() == pytest.approx(c, abs=1e-6)


def test_a_tied_model_has_one_matrix_for_both():
    model = small_model(tied=True)
    assert model.fc.weight is model.embedding.weight
    assert set(model.state_dict()) == set(model.config.tensor_shapes())


def test_a_tied_model_of_two_sizes_projects_the_outputs_by_hand():
    model = small_model(tied=True, hidden_size=2, num_layers=1)
    weights = model.state_dict()
    ids_TB = some_ids(1, 1)
    _, (h_LBH, _) = model(ids_TB, model.initial_state(1))
    h = h_LBH.flatten().tolist()
    inputs = [
        math.tanh(sum(w * x for w, x in zip(row, h, strict=True)) + bias)
        for row, bias in zip(
            weights["projection.weight"].tolist(), weights["projection.bias"].tolist(), strict=True
        )
    ]
    logits = [
        sum(w * x for w, x in zip(row, inputs, strict=True))
        for row in weights["embedding.weight"].tolist()
    ]
    logits_TBV, _ = model(ids_TB, model.initial_state(1))
    torch.testing.assert_close(logits_TBV.flatten(), torch.tensor(logits))


@pytest.mark.parametrize("num_layers", [1, 2])
def test_running_layer_by_layer_equals_the_whole_model(num_layers):
    model = small_model(num_layers=num_layers)
    inputs_TBI, (h_LBH, c_LBH) = torch.randn(6, 2, 3), model.initial_state(2)
    expected_TBH, (expected_h_LBH, _) = model.lstm(inputs_TBI, (h_LBH, c_LBH))
    for layer in range(num_layers):
        state = (h_LBH[[layer]], c_LBH[[layer]])
        inputs_TBI, (h_1BH, _) = model.run_layer(inputs_TBI, state, model.lstm_weights(layer))
        torch.testing.assert_close(h_1BH[0], expected_h_LBH[layer])
    torch.testing.assert_close(inputs_TBI, expected_TBH)
